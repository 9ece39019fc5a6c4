// Inner products along the last dimension, their gradients as products.
#include "tensor/ops/vecdot.h"

#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/vecdot_kernels.h"

namespace passband {
namespace {

struct Vecdot {
  static constexpr auto name = "vecdot";
  static constexpr auto saves = Save::input;
  Tensor forward(const Tensor& a, const Tensor& b) const {
    Tensor y = Tensor::empty(a.shape().without(-1), a.dtype(), a.device());
    DISPATCH(y.device(), vecdot, y, a, b);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor &a = s.input(0), &b = s.input(1);
    const Tensor each = reshape(dy, dy.shape().inserted(-1, 1));
    return {s.needs(0) ? each * b : Tensor{}, s.needs(1) ? sum_to(each * a, b.shape()) : Tensor{}};
  }
};

bool ends_with(const Shape& shape, const Shape& end) {
  if (end.rank() < 1 || end.rank() > shape.rank()) return false;
  for (int d = 1; d <= end.rank(); ++d)
    if (shape[-d] != end[-d]) return false;
  return true;
}

}  // namespace

Tensor vecdot(const Tensor& a, const Tensor& b) {
  CHECK(ends_with(a.shape(), b.shape()),
        "vecdot: b must have the shape of a or its last dimensions: a is ", a, ", b is ", b);
  CHECK(a.dtype() == b.dtype() && is_floating(a.dtype()), "vecdot: a is ", a, ", b is ", b);
  return apply(Vecdot{}, a, b);
}

}  // namespace passband
