// Local attention, composed of dense products: maps of tokens are small.
#include "nn/local_attention.h"

#include <cmath>
#include <limits>

#include "nn/linearise.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"

namespace passband {
namespace {

bool near(int64_t a, int64_t b, int64_t reach) { return std::abs(a - b) <= reach; }

// What is added to the logits (T, T + 1) of a query: 0 within its neighbourhood, -infinity outside.
// The last column stands for the padded keys: n of them with logit 0 weigh as one with logit log n.
Tensor neighbourhood(Grid grid, int64_t kernel, DType dtype, Device device) {
  const int64_t tokens = grid.pixels(), reach = kernel / 2;
  const double never = -std::numeric_limits<double>::infinity();
  std::vector<double> values(static_cast<size_t>(tokens * (tokens + 1)), never);
  for (int64_t q = 0; q < tokens; ++q) {
    double* row = values.data() + q * (tokens + 1);
    int64_t padded = kernel * kernel;
    for (int64_t k = 0; k < tokens; ++k) {
      if (!near(q / grid.width, k / grid.width, reach) ||
          !near(q % grid.width, k % grid.width, reach))
        continue;
      row[k] = 0;
      --padded;
    }
    if (padded > 0) row[tokens] = std::log(static_cast<double>(padded));
  }
  return Tensor::from(values, {tokens, tokens + 1}, dtype, device);
}

}  // namespace

bool fits_locally(int64_t kernel, Grid grid) {
  return kernel % 2 == 1 || (kernel >= grid.height && kernel >= grid.width);
}

LocalAttention::LocalAttention(const Scope& scope, int64_t width, Grid grid, const Options& options)
    : qkv(scope / "qkv", width, 3 * width, over_rows(options.linear, grid.pixels(), false)),
      proj(scope / "proj", width, width, over_rows(options.linear, grid.pixels(), true)),
      heads(options.heads),
      kernel(options.kernel),
      grid(grid) {
  CHECK(width % heads == 0, scope.path(), ": ", heads, " heads do not divide a width of ", width);
  CHECK(fits_locally(kernel, grid), scope.path(), ": an even kernel of ", kernel,
        " does not cover a ", grid.height, "x", grid.width, " map");
  qkv.weight->heads = heads;
  scope.count_macs(2 * grid.pixels() * (global() ? grid.pixels() : kernel * kernel) * width);
}

Tensor LocalAttention::probabilities(const Tensor& q, const Tensor& k) const {
  const Tensor logits = matmul(q, k, {.transpose_b = true});  // (N, h, T, T)
  if (global()) return softmax(logits);
  const int64_t n = logits.size(0), tokens = grid.pixels();
  const Tensor padding = Tensor::zeros({n, heads, tokens, 1}, logits.dtype(), logits.device());
  if (!neighbourhood_.defined() || neighbourhood_.dtype() != logits.dtype() ||
      neighbourhood_.device() != logits.device())
    neighbourhood_ = neighbourhood(grid, kernel, logits.dtype(), logits.device());
  return slice(softmax(concat({logits, padding}, 3) + neighbourhood_), 3, 0, tokens);
}

Tensor LocalAttention::operator()(const Tensor& x, const TapSite& site,
                                  const Tensor& residual) const {
  const int64_t n = x.size(0), tokens = grid.pixels(), width = x.size(3), depth = width / heads;
  const Tensor packed = permute(reshape(qkv(x), {n, tokens, 3, heads, depth}), {2, 0, 3, 1, 4});
  const auto part = [&](int64_t i) {
    return reshape(slice(packed, 0, i, 1), {n, heads, tokens, depth});
  };
  const Tensor q = part(0) * (1 / std::sqrt(static_cast<double>(depth)));
  const Tensor p = tap("attention", held(probabilities(q, part(1))), site);
  const Tensor mixed = permute(matmul(p, part(2)), {0, 2, 1, 3});  // (N, T, h, d)
  const Tensor y = reshape(mixed, {n, grid.height, grid.width, width});
  return proj(tap_layer("heads", y, qkv.weight->name, BlockKind::msa, 2), residual);
}

}  // namespace passband
