// The pre-norm transformer block, with whatever mixes its tokens: two residual branches, each with
// the taps "branch", "skip" and "out".
#pragma once
#include <functional>
#include <string>

#include "nn/drop.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/tap.h"

namespace passband {

// Mixes tokens: x (N, T, D) or (N, H, W, D) -> the same shape, plus `residual` where that is
// defined.
using TokenMixing =
    std::function<Tensor(const Tensor& x, const TapSite& site, const Tensor& residual)>;
// Makes the mixing of a block, with its parameters below the block's scope. `site` says on which
// grid of tokens it works.
using MakeTokenMixing = std::function<TokenMixing(const Scope& block, const TapSite& site)>;

// timm's initial values: truncated normal of 0.02, biases 0.
LinearOptions transformer_init();

// Tokens a picture, with those before the grid.
int64_t tokens_of(const TapSite& site);

// Global self-attention under the name "attn". Runs on (N, T, width).
MakeTokenMixing self_attention(int64_t width, int64_t heads, bool qkv_bias,
                               const LinearOptions& linear);

// skip + branch, as the taps "branch", "skip" and "out" show it. `branch` makes the branch, plus
// `residual` where that is defined: its last product adds the skip when nobody looks at either or
// drops one.
using Branch = std::function<Tensor(const Tensor& residual)>;
Tensor add_branch(const Branch& branch, const Tensor& skip, const DropPath& drop_path,
                  const TapSite& site);

struct TransformerOptions {
  int64_t width = 192, hidden = 768;  // of the residual stream and within the MLP
  double eps = 1e-6;                  // of the norms
  LinearOptions linear = {};          // initial values of the MLP
  double drop_path = 0;
  bool has_skip = true;     // false: both branches stand without the sum
  std::string mlp = "mlp";  // its name among the parameters
  TapSite site = {};        // of the tokens; `kind` is what the mixing is
};

// x + mixing(norm1(x)), then x + mlp(norm2(x)), under the scopes "msa" (or what the mixing is) and
// "mlp".
class TransformerBlock {
 public:
  TransformerBlock(const Scope& scope, const TransformerOptions& options,
                   const MakeTokenMixing& mixing);
  Tensor operator()(const Tensor& x) const;

 private:
  Tensor finish(const Branch& branch, const Tensor& skip, const TapSite& site) const;

  LayerNorm norm1_;
  TokenMixing mixing_;
  LayerNorm norm2_;
  Mlp mlp_;
  std::string name_;
  bool has_skip_;
  DropPath drop_path_;
  TapSite mixing_site_, mlp_site_;
};

}  // namespace passband
