// Softmax and log-softmax: fused kernels, and composed gradients for higher orders.
#include "tensor/ops/softmax.h"

#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax_kernels.h"

namespace passband {
namespace {

struct Softmax {
  static constexpr auto name = "softmax";
  static constexpr auto saves = Save::output;
  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty_like(x);
    DISPATCH(x.device(), softmax_forward, y, x);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor y = s.output();
    if (recording()) return {y * (dy - sum(dy * y, {-1}, true))};
    Tensor dx = Tensor::empty_like(y);
    DISPATCH(y.device(), softmax_backward, dx, y, dy);
    return {dx};
  }
};

struct LogSoftmax {
  static constexpr auto name = "log_softmax";
  static constexpr auto saves = Save::output;
  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty_like(x);
    DISPATCH(x.device(), log_softmax_forward, y, x);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor y = s.output();
    if (recording()) return {dy - exp(y) * sum(dy, {-1}, true)};
    Tensor dx = Tensor::empty_like(y);
    DISPATCH(y.device(), log_softmax_backward, dx, y, dy);
    return {dx};
  }
};

template <class Op> Tensor along(const Tensor& x, int dim) {
  CHECK(x.rank() >= 1 && x.size(dim) > 0, Op::name, ": dimension ", dim, " of ", x, " is empty");
  const int at = x.shape().wrap(dim);
  if (at == x.rank() - 1) return apply(Op{}, x);
  return transpose(apply(Op{}, transpose(x, at, -1)), at, -1);
}

}  // namespace

Tensor softmax(const Tensor& x, int dim) { return along<Softmax>(x, dim); }
Tensor log_softmax(const Tensor& x, int dim) { return along<LogSoftmax>(x, dim); }

}  // namespace passband
