// The pre-norm transformer block.
#include "models/transformer_block.h"

#include "nn/attention.h"
#include "tensor/ops/pointwise.h"

namespace passband {
LinearOptions transformer_init() {
  return {.weight_init = Init::truncated_normal(0.02), .bias_init = Init::constant(0)};
}

int64_t tokens_of(const TapSite& site) { return site.prefix + site.height * site.width; }

MakeTokenMixing self_attention(int64_t width, int64_t heads, bool qkv_bias,
                               const LinearOptions& linear) {
  return [=](const Scope& block, const TapSite& site) -> TokenMixing {
    return SelfAttention(
        block / "attn", width,
        {.heads = heads, .qkv_bias = qkv_bias, .linear = linear, .tokens = tokens_of(site)});
  };
}

Tensor add_branch(const Branch& branch, const Tensor& skip, const DropPath& drop_path,
                  const TapSite& site) {
  if (!drop_path.active() && !tapped("branch") && !tapped("skip"))
    return tap("out", branch(skip), site);
  const Tensor shown = tap("branch", branch({}), site);
  return tap("out", tap("skip", skip, site) + drop_path(shown), site);
}

TransformerBlock::TransformerBlock(const Scope& scope, const TransformerOptions& options,
                                   const MakeTokenMixing& mixing)
    : norm1_(scope / "norm1", options.width, options.eps),
      mixing_(mixing(scope, options.site)),
      norm2_(scope / "norm2", options.width, options.eps),
      mlp_(scope / options.mlp, options.width, options.hidden,
           over_rows(options.linear, tokens_of(options.site))),
      name_(scope.path()),
      has_skip_(options.has_skip),
      drop_path_{options.drop_path},
      mixing_site_(options.site),
      mlp_site_(options.site) {
  mlp_site_.kind = BlockKind::mlp;
}

Tensor TransformerBlock::operator()(const Tensor& x) const {
  ScopeGuard guard(name_);
  Tensor mixed;
  {
    ScopeGuard branch(std::string(name_of(mixing_site_.kind)));
    mixed = finish([&](const Tensor& r) { return mixing_(norm1_(x), mixing_site_, r); }, x,
                   mixing_site_);
  }
  ScopeGuard branch("mlp");
  return finish([&](const Tensor& r) { return mlp_(norm2_(mixed), r); }, mixed, mlp_site_);
}

Tensor TransformerBlock::finish(const Branch& branch, const Tensor& skip,
                                const TapSite& site) const {
  if (has_skip_) return add_branch(branch, skip, drop_path_, site);
  return tap("out", tap("branch", branch({}), site), site);
}

}  // namespace passband
