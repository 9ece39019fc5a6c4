// Layer norm: checks, the fused first-order gradient, the composed one for higher orders.
#include "tensor/core/device.h"
#include "tensor/ops/layer_norm_kernels.h"
#include "tensor/ops/norm.h"
#include "tensor/ops/norm_composed.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// y = gamma * (x - mean) * rstd + beta over the last dimension. The gradients: see norm_composed.h.
struct LayerNorm {
  static constexpr auto name = "layer_norm";
  static constexpr auto saves = Save::input;
  double eps;
  Buffer mean, rstd;

  Attributes attributes() const { return {{"eps", {eps}}}; }
  Tensor forward(const Tensor& x, const Tensor& gamma, const Tensor& beta) {
    if (x.numel() == 0) return Tensor::empty_like(x);
    Tensor y = Tensor::empty_like(x);
    mean.memory = Tensor::empty({x.shape().outer(-1)}, statistics_type(x), x.device());
    rstd.memory = Tensor::empty_like(mean.memory);
    DISPATCH(x.device(), layer_norm_forward, y, mean.memory, rstd.memory, x, gamma, beta, eps);
    return y;
  }

  Grads backward(const Saved& s, const Tensor& dy, Arrived& arrived) const {
    const Tensor &x = s.input(0), &gamma = s.input(1);
    if (recording()) {
      const DType wide = statistics_type(x);
      const NormGradients g =
          composed_norm_gradients(cast(x, wide), gamma, cast(dy, wide), {x.rank() - 1}, eps);
      return {cast(g.dx, x.dtype()), g.dgamma, g.dbeta};
    }
    NormGradients g{s.needs(0) ? Tensor::empty_like(x) : Tensor{}, Tensor::empty_like(gamma),
                    Tensor::empty_like(gamma)};
    const Tensor added = s.needs(0) ? arrived.take(0) : Tensor{};
    DISPATCH(x.device(), layer_norm_backward, g, dy, added,
             NormSaved{x, mean.memory, rstd.memory, gamma}, s.takes_parts(1) && s.takes_parts(2));
    return {g.dx, g.dgamma, g.dbeta};
  }

  void release() { mean = rstd = {}; }
};

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  CHECK(x.rank() >= 1 && is_floating(x.dtype()),
        "layer_norm: x must be floating point (..., C), it is ", x);
  check_norm_parameter("layer_norm", "gamma", gamma, x);
  check_norm_parameter("layer_norm", "beta", beta, x);
  return apply(LayerNorm{eps}, x, gamma, beta);
}

}  // namespace passband
