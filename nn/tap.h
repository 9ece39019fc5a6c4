// Taps: every internal buffer has a name. A module marks a buffer with tap(); a probe, installed
// for a scope, reads it or replaces it (a lesion returns zeros, noise adds). Without a probe a tap
// costs one branch.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "tensor/core/tensor.h"

namespace passband {

// What made a buffer. Analyses shade and sort by it. Mixing of places: conv (3x3), depthwise (a
// large convolution of each channel), msa (which shows "attention"), parallel (both of these side
// by side, shows "attention" too), lambda, hydra, pooling, and token_mlp (MLP-Mixer); identity
// mixes nothing; mixing of channels: mlp. No residual branches are stem, embedding, head, and
// downsample (Swin's merging, PiT's pooling); a norm is a single layer.
enum class BlockKind : uint8_t {
  stem,
  conv,
  depthwise,
  msa,
  parallel,
  mlp,
  lambda,
  hydra,
  pooling,
  identity,
  token_mlp,
  downsample,
  embedding,
  head,
  norm
};
std::string_view name_of(BlockKind kind);

// Where a buffer lies in the network and in the picture.
struct TapSite {
  std::string path;  // "stages.2.blocks.1.attention": module path, then the tap's name
  std::string name;  // "attention"
  BlockKind kind = BlockKind::conv;
  // token grid the buffer lies on (of the whole image, not of a window)
  int64_t height = 0, width = 0;
  int64_t prefix = 0;             // tokens before the grid (the class token)
  int64_t window = 0, shift = 0;  // attention windows; 0 = global
  double patch = 1;               // input pixels per grid step
  bool subsamples = false;        // the block reduced the resolution
};

// Receives every tapped buffer; returns it, or what shall stand in its place (same shape and type).
using Probe = std::function<Tensor(const TapSite&, const Tensor&)>;

// Installs a probe for the names in `names` (all names when empty) on this thread.
class ProbeGuard {
 public:
  ProbeGuard(std::vector<std::string> names, Probe probe);
  ~ProbeGuard();
  ProbeGuard(const ProbeGuard&) = delete;
  ProbeGuard& operator=(const ProbeGuard&) = delete;
};

// Some probe wants buffers of this name: a fused kernel then makes real what it would otherwise
// keep to itself.
bool tapped(std::string_view name);
// Shows `buffer` to the probes. `site.path` and `site.name` are filled in from the current scope
// and `name`.
Tensor tap(std::string_view name, const Tensor& buffer, const TapSite& site);

// The same for what a single layer makes. `weight` is the name of one of its parameters
// ("blocks.0.attn.qkv.weight"); the path is that name less its last `words` words, then the tap's
// name: with 2 words and "q" "blocks.0.attn.q". The grid is read off the shape: (N, H, W, C), or
// (N, T, C) of a square grid and up to two tokens before it; anything else lies on no grid (0 x 0).
Tensor show_layer(std::string_view name, const Tensor& buffer, std::string_view weight, int words,
                  BlockKind kind);
inline Tensor tap_layer(std::string_view name, const Tensor& buffer, std::string_view weight,
                        BlockKind kind, int words = 1) {
  return tapped(name) ? show_layer(name, buffer, weight, words, kind) : buffer;
}

// The taps of single layers, which tap_layer shows: what a network has besides its blocks.
const std::vector<std::string>& layer_taps();

// Names in use:
//   "out"        residual-stream output after each block or sub-block: (N, H, W, C), or (N, T, C)
//                with `prefix` tokens
//   "branch"     output of the residual branch before the addition
//   "skip"       what it is added to
//   "attention"  probabilities (N * windows, heads, T, T)
//   "lambda"     effective weights of a lambda layer (N, heads, H*W, H*W), signed; read only
//   "lambda_content"  the part of them that comes from the keys; the rest is position; read only
//   "lambda_values"   what they mix: (N, H, W, u v)
//   "hydra_query" "hydra_key" "hydra_value"
//                of Hydra attention, (N, T, C): channel d mixes tokens by query[t, d] key[s, d],
//                signed
//   "features"   what the classifier reads, (N, C)
//   "logits"     (N, classes)
// and of single layers, under the names of their weights:
//   "conv"       output of a convolution (N, H, W, C)
//   "norm"       output of a norm, before the ReLU that it may be fused with
//   "linear"     output of a linear layer, before the residual that it may be fused with
//   "q" "k" "v"  queries, keys and values of an attention layer, heads side by side
//   "heads"      what the heads of an attention or lambda layer give before their projection
//   "hidden"     the hidden layer of an MLP, after its activation

}  // namespace passband
