// Normalisation layers.
#include "nn/norm.h"

#include "nn/linearise.h"
#include "nn/tap.h"
#include "tensor/ops/norm.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

ParameterRef scale(const Scope& scope, int64_t channels, double value) {
  return scope.parameter("weight", {channels}, Init::constant(value), Layout::same, false);
}

ParameterRef shift(const Scope& scope, int64_t channels) {
  return scope.parameter("bias", {channels}, Init::constant(0), Layout::same, false);
}

}  // namespace

BatchNorm::BatchNorm(const Scope& scope, int64_t channels, double gamma)
    : weight(scale(scope, channels, gamma)),
      bias(shift(scope, channels)),
      running_mean(scope.buffer("running_mean", {channels}, 0)),
      running_var(scope.buffer("running_var", {channels}, 1)),
      name(scope.name()),
      shared_(scope.add_batch_norm(weight)) {}

Tensor BatchNorm::operator()(const Tensor& x) const { return run(x, false, {}); }
Tensor BatchNorm::relu(const Tensor& x, const Tensor& residual) const {
  return run(x, true, residual);
}

Tensor BatchNorm::run(const Tensor& x, bool relu, const Tensor& residual) const {
  ScopeGuard guard(name);
  if (!tapped("norm")) return normalise(x, relu, residual);
  const Tensor y = tap_layer("norm", normalise(x, false, {}), weight->name, BlockKind::norm);
  const Tensor sum = residual.defined() ? y + residual : y;
  return relu ? passband::relu(sum) : sum;
}

Tensor BatchNorm::normalise(const Tensor& x, bool relu, const Tensor& residual) const {
  const bool training = in_training() && !(weight->frozen && bias->frozen);
  const Tensor y =
      batch_norm(x, weight->value, bias->value, running_mean->value, running_var->value,
                 {.training = training,
                  .momentum = shared_->momentum,
                  .eps = shared_->eps,
                  .relu = relu,
                  .synchronised = shared_->synchronised},
                 residual);
  return training ? y : settled("batch norm", y);
}

LayerNorm::LayerNorm(const Scope& scope, int64_t channels, double eps)
    : weight(scale(scope, channels, 1)),
      bias(shift(scope, channels)),
      eps(eps),
      name(scope.name()) {}

Tensor LayerNorm::operator()(const Tensor& x) const {
  ScopeGuard guard(name);
  return tap_layer("norm", normalise(x), weight->name, BlockKind::norm);
}

Tensor LayerNorm::normalise(const Tensor& x) const {
  if (context().linearised) return held_norm(x, {x.rank() - 1}, eps) * weight->value + bias->value;
  return layer_norm(x, weight->value, bias->value, eps);
}

GroupNorm::GroupNorm(const Scope& scope, int64_t channels, int64_t groups, double eps)
    : weight(scale(scope, channels, 1)),
      bias(shift(scope, channels)),
      groups(groups),
      eps(eps),
      name(scope.name()) {
  CHECK(channels % groups == 0, scope.path(), ": ", groups, " groups do not divide ", channels,
        " channels");
}

Tensor GroupNorm::operator()(const Tensor& x) const {
  ScopeGuard guard(name);
  return tap_layer("norm", normalise(x), weight->name, BlockKind::norm);
}

Tensor GroupNorm::normalise(const Tensor& x) const {
  if (context().linearised) {
    const Shape split{x.size(0), x.size(1), x.size(2), groups, x.size(3) / groups};
    const Tensor y = reshape(held_norm(reshape(x, split), {1, 2, 4}, eps), x.shape());
    return y * weight->value + bias->value;
  }
  return group_norm(x, weight->value, bias->value, groups, eps);
}

}  // namespace passband
