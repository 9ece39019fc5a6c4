// Softmax and log-softmax: fused kernels, and composed gradients for higher orders.
#include "tensor/ops/softmax.h"

#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/softmax_kernels.h"

namespace passband {
namespace {

void check_rows(const char* op, const Tensor& x) {
  CHECK(x.rank() >= 1 && x.size(-1) > 0, op, ": needs a last dimension that is not empty, not ", x);
}

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

}  // namespace

Tensor softmax(const Tensor& x) {
  check_rows("softmax", x);
  return apply(Softmax{}, x);
}

Tensor log_softmax(const Tensor& x) {
  check_rows("log_softmax", x);
  return apply(LogSoftmax{}, x);
}

}  // namespace passband
