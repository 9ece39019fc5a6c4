// Attention of every place to a coarser map, composed of products.
#include "nn/subsampled_attention.h"

#include <cmath>

#include "nn/linearise.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"

namespace passband {
namespace {

constexpr double kShrunkEps = 1e-5;

Grid coarser(const Scope& scope, Grid grid, int64_t cell) {
  CHECK(cell >= 1 && grid.height % cell == 0 && grid.width % cell == 0, scope.path(), ": cells of ",
        cell, "x", cell, " do not tile a ", grid.height, "x", grid.width, " map");
  return {grid.height / cell, grid.width / cell};
}

// (N, H, W, C) -> (N, heads, H W, C / heads)
Tensor by_head(const Tensor& x, int64_t heads) {
  const int64_t n = x.size(0), width = x.size(3);
  return permute(reshape(x, {n, x.size(1) * x.size(2), heads, width / heads}), {0, 2, 1, 3});
}

}  // namespace

SubsampledAttention::SubsampledAttention(const Scope& scope, int64_t width, Grid grid,
                                         const Options& options)
    : q(scope / "q", width, width, over_rows(options.linear, grid.pixels())),
      kv(scope / "kv", width, 2 * width,
         over_rows(options.linear, coarser(scope, grid, options.cell).pixels())),
      proj(scope / "proj", width, width, over_rows(options.linear, grid.pixels())),
      heads(options.heads),
      grid(grid),
      keys(coarser(scope, grid, options.cell)) {
  CHECK(width % heads == 0, scope.path(), ": ", heads, " heads do not divide a width of ", width);
  scope.count_macs(2 * grid.pixels() * keys.pixels() * width);
  if (options.cell == 1) return;
  Conv2dOptions shrinking = options.shrinking;
  shrinking.kernel = shrinking.stride = options.cell;
  shrinking.padding = 0;
  shrinking.bias = true;
  sr.emplace(scope / "sr", width, width, grid, shrinking);
  norm.emplace(scope / "norm", width, kShrunkEps);
}

Tensor SubsampledAttention::operator()(const Tensor& x, const TapSite& site,
                                       const Tensor& residual) const {
  const int64_t n = x.size(0), width = x.size(3);
  CHECK(x.size(1) == grid.height && x.size(2) == grid.width, "sub-sampled attention over a ",
        grid.height, "x", grid.width, " map got ", x);
  const auto shown = [&](const char* name, const Tensor& part) {
    return by_head(tap_layer(name, part, q.weight->name, BlockKind::msa, 2), heads);
  };
  const Tensor pairs = kv.untapped(sr ? (*norm)((*sr)(x)) : x);  // (N, H', W', 2 C)
  const Tensor query = shown("q", q.untapped(x)), key = shown("k", slice(pairs, 3, 0, width)),
               value = shown("v", slice(pairs, 3, width, width));
  const double scale = 1 / std::sqrt(static_cast<double>(width / heads));
  const Tensor weights = held(softmax(matmul(query * scale, key, {.transpose_b = true})));
  const Tensor mixed = matmul(tap("attention", weights, site), value);  // (N, h, H W, d)
  const Tensor y = reshape(permute(mixed, {0, 2, 1, 3}), {n, grid.height, grid.width, width});
  return proj(tap_layer("heads", y, q.weight->name, BlockKind::msa, 2), residual);
}

}  // namespace passband
