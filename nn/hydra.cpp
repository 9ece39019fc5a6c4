// Hydra attention.
#include "nn/hydra.h"

#include "nn/linearise.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr double kSmallest = 1e-24;  // squared length of a token: nothing divides by 0

Tensor unit(const Tensor& x) {
  const Tensor squares = sum(x * x, {x.rank() - 1}, true);
  return x * rsqrt(squares + kSmallest);
}

}  // namespace

HydraAttention::HydraAttention(const Scope& scope, int64_t width, const Options& options)
    : qkv(scope / "qkv", width, 3 * width,
          over_rows(options.linear, options.tokens, options.qkv_bias)),
      proj(scope / "proj", width, width, over_rows(options.linear, options.tokens)) {
  scope.count_macs(2 * options.tokens * width);
}

Tensor HydraAttention::operator()(const Tensor& x, const TapSite& site,
                                  const Tensor& residual) const {
  const Tensor packed = qkv(x);
  const int64_t width = x.size(-1);
  const auto part = [&](int64_t i) { return slice(packed, -1, i * width, width); };
  const Tensor query = held(tap("hydra_query", unit(part(0)), site));
  const Tensor key = held(tap("hydra_key", unit(part(1)), site));
  const Tensor value = tap("hydra_value", part(2), site);
  const Tensor y = query * sum(key * value, {1}, true);
  return proj(tap_layer("heads", y, qkv.weight->name, BlockKind::hydra, 2), residual);
}

}  // namespace passband
