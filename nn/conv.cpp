// Convolution layer and patch embedding.
#include "nn/conv.h"

#include "nn/tap.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// (w - mean) / sqrt(variance + 1e-8) over the filters of each output channel; eps is timm's for
// BiT.
Tensor standardise(const Tensor& w) {
  const Tensor centred = w - mean(w, {1, 2, 3}, true);
  return centred * rsqrt(mean(square(centred), {1, 2, 3}, true) + 1e-8);
}

}  // namespace

Conv2d::Conv2d(const Scope& scope, int64_t in, int64_t out, const Conv2dOptions& options)
    : kernel(options.kernel),
      stride(options.stride),
      padding(options.padding.value_or(options.kernel / 2)),
      groups(options.groups),
      standardised(options.standardised),
      name(scope.name()) {
  CHECK(in % groups == 0 && out % groups == 0, scope.path(), ": ", groups, " groups do not divide ",
        in, " and ", out, " channels");
  const int64_t fan_in = kernel * kernel * in / groups;
  const Init fallback = Init::fan_in_uniform(fan_in);
  weight = scope.parameter("weight", {out, kernel, kernel, in / groups},
                           options.weight_init.value_or(fallback), Layout::conv, options.decay);
  weight->groups = groups;
  if (options.bias)
    bias =
        scope.parameter("bias", {out}, options.bias_init.value_or(fallback), Layout::same, false);
}

Conv2d::Conv2d(const Scope& scope, int64_t in, int64_t out, Grid grid, const Conv2dOptions& options)
    : Conv2d(scope, in, out, options) {
  out_grid = grid.strided(kernel, stride, padding);
  CHECK(out_grid.height >= 1 && out_grid.width >= 1, scope.path(), ": a ", kernel, "x", kernel,
        " kernel does not fit a ", grid.height, "x", grid.width, " map; use a larger image");
  scope.count_macs(out_grid.pixels() * weight->shape.numel());
}

Tensor Conv2d::operator()(const Tensor& x, const Tensor& residual) const {
  ScopeGuard guard(name);
  if (!tapped("conv")) return run(x, residual);
  const Tensor y = tap_layer("conv", run(x, {}), weight->name, BlockKind::conv);
  return residual.defined() ? residual + y : y;
}

Tensor Conv2d::run(const Tensor& x, const Tensor& residual) const {
  const Tensor w =
      standardised ? cast(standardise(weight->value), x.dtype()) : weight->as(x.dtype());
  const Tensor b = bias ? bias->as(x.dtype()) : Tensor{};
  if (kernel == 1 && stride == 1 && groups == 1 && padding == 0)
    return linear(x, reshape(w, Shape{w.size(0), w.size(3)}), b, residual);
  const Tensor y = conv2d(x, w, b, {.stride = stride, .padding = padding, .groups = groups});
  return residual.defined() ? residual + y : y;
}

PatchEmbed::PatchEmbed(const Scope& scope, int64_t in, int64_t width, int64_t patch, Grid grid)
    : proj(scope / "proj", in, width, grid,
           {.kernel = patch, .stride = patch, .padding = 0, .bias = true}),
      name(scope.name()) {}

Tensor PatchEmbed::operator()(const Tensor& x) const {
  ScopeGuard guard(name);
  const Tensor map = proj(x);  // (N, h, w, width)
  return reshape(map, Shape{map.size(0), map.size(1) * map.size(2), map.size(3)});
}

}  // namespace passband
