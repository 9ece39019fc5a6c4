// Fully connected layers.
#include "nn/linear.h"

#include "nn/linearise.h"
#include "nn/tap.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/mlp.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/shape.h"

namespace passband {

LinearOptions over_rows(LinearOptions options, int64_t rows, std::optional<bool> bias) {
  options.rows = rows;
  options.bias = bias.value_or(options.bias);
  return options;
}

Linear::Linear(const Scope& scope, int64_t in, int64_t out, const LinearOptions& options)
    : name(scope.name()) {
  const Init fallback = Init::fan_in_uniform(in);
  weight =
      scope.parameter("weight", {out, in}, options.weight_init.value_or(fallback), options.layout);
  if (options.bias)
    bias =
        scope.parameter("bias", {out}, options.bias_init.value_or(fallback), Layout::same, false);
  scope.count_macs(options.rows * in * out);
}

Tensor Linear::operator()(const Tensor& x, const Tensor& residual) const {
  if (!tapped("linear")) return untapped(x, residual);
  const Tensor y = tap_layer("linear", untapped(x), weight->name, BlockKind::mlp);
  return residual.defined() ? residual + y : y;
}

Tensor Linear::untapped(const Tensor& x, const Tensor& residual) const {
  ScopeGuard guard(name);
  return linear(x, weight->as(x.dtype()), bias ? bias->as(x.dtype()) : Tensor{}, residual);
}

Mlp::Mlp(const Scope& scope, int64_t width, int64_t hidden, const LinearOptions& options)
    : fc1(scope / "fc1", width, hidden, options),
      fc2(scope / "fc2", hidden, width, options),
      name(scope.name()) {}

Tensor Mlp::operator()(const Tensor& x, const Tensor& residual) const {
  ScopeGuard guard(name);
  if (context().linearised || tapped("hidden") || tapped("linear")) {
    const Tensor hidden = gelu_gate(fc1.untapped(x));
    return fc2(tap_layer("hidden", hidden, fc1.weight->name, BlockKind::mlp, 2), residual);
  }
  const auto bias_of = [&](const Linear& layer) {
    return layer.bias ? layer.bias->as(x.dtype()) : Tensor{};
  };
  return mlp(x, fc1.weight->as(x.dtype()), bias_of(fc1), fc2.weight->as(x.dtype()), bias_of(fc2),
             residual);
}

SqueezeExcite::SqueezeExcite(const Scope& scope, int64_t channels, int64_t reduced)
    : fc1(scope / "fc1", channels, reduced, {.layout = Layout::conv_1x1}),
      fc2(scope / "fc2", reduced, channels, {.layout = Layout::conv_1x1}),
      name(scope.name()) {}

Tensor SqueezeExcite::operator()(const Tensor& x) const {
  ScopeGuard guard(name);
  const Tensor gate = held(sigmoid(fc2(relu(fc1(global_avg_pool(x))))));  // (N, C)
  return x * reshape(gate, Shape{x.size(0), 1, 1, x.size(3)});
}

}  // namespace passband
