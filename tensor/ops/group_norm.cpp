// Group norm: checks, the fused first-order gradient, the composed one for higher orders.
#include "tensor/core/device.h"
#include "tensor/ops/group_norm_kernels.h"
#include "tensor/ops/norm.h"
#include "tensor/ops/norm_composed.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// y = gamma * (x - mean) * rstd + beta, statistics over H, W and the channels of a group. The
// gradients: norm_composed.h.
struct GroupNorm {
  static constexpr auto name = "group_norm";
  static constexpr auto saves = Save::input;
  int64_t groups;
  double eps;
  Buffer mean, rstd;

  Attributes attributes() const {
    return {{"groups", {static_cast<double>(groups)}}, {"eps", {eps}}};
  }
  Tensor forward(const Tensor& x, const Tensor& gamma, const Tensor& beta) {
    if (x.numel() == 0) return Tensor::empty_like(x);
    Tensor y = Tensor::empty_like(x);
    mean.memory = Tensor::empty({x.size(0), groups}, statistics_type(x), x.device());
    rstd.memory = Tensor::empty_like(mean.memory);
    DISPATCH(x.device(), group_norm_forward, y, mean.memory, rstd.memory, x, gamma, beta, eps);
    return y;
  }

  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor &x = s.input(0), &gamma = s.input(1);
    if (recording()) return composed(x, gamma, dy);
    const NormGradients g{s.needs(0) ? Tensor::empty_like(x) : Tensor{}, Tensor::empty_like(gamma),
                          Tensor::empty_like(gamma)};
    DISPATCH(x.device(), group_norm_backward, g, dy, NormSaved{x, mean.memory, rstd.memory, gamma});
    return {g.dx, g.dgamma, g.dbeta};
  }

  void release() { mean = rstd = {}; }

 private:
  Grads composed(const Tensor& x, const Tensor& gamma, const Tensor& dy) const {
    const int64_t width = x.size(3) / groups;
    const Shape split{x.size(0), x.size(1) * x.size(2), groups, width}, channels{groups, width};
    const DType wide = statistics_type(x);
    const NormGradients g =
        composed_norm_gradients(reshape(cast(x, wide), split), reshape(gamma, channels),
                                reshape(cast(dy, wide), split), {1, 3}, eps);
    return {cast(reshape(g.dx, x.shape()), x.dtype()), reshape(g.dgamma, gamma.shape()),
            reshape(g.dbeta, gamma.shape())};
  }
};

}  // namespace

Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, int64_t groups,
                  double eps) {
  CHECK(x.rank() == 4 && is_floating(x.dtype()),
        "group_norm: x must be floating point (N, H, W, C), it is ", x);
  CHECK(groups >= 1 && x.size(3) % groups == 0, "group_norm: ", groups,
        " groups do not divide the ", x.size(3), " channels of x ", x);
  check_norm_parameter("group_norm", "gamma", gamma, x);
  check_norm_parameter("group_norm", "beta", beta, x);
  return apply(GroupNorm{groups, eps}, x, gamma, beta);
}

}  // namespace passband
