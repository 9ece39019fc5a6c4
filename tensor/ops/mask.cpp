// Comparisons, and choices by a mask, whose gradients are choices again.
#include "tensor/ops/mask.h"

#include "tensor/core/device.h"
#include "tensor/ops/mask_kernels.h"
#include "tensor/ops/reduce.h"

namespace passband {
namespace {

Tensor compared(const char* op, const Tensor& a, const Tensor& b, Comparison comparison) {
  CHECK(a.defined() && b.defined(), op, ": an operand is undefined: a is ", a, ", b is ", b);
  CHECK(a.dtype() == b.dtype(), op, ": element types differ: a is ", a, ", b is ", b);
  CHECK(a.device() == b.device(), op, ": devices differ: a is ", a, ", b is ", b);
  const Shape shape = broadcast_shape(op, a, b);
  Tensor mask = Tensor::empty(shape, DType::u8, a.device());
  const Broadcast loops = broadcast_loops(shape, a.shape(), b.shape());
  DISPATCH(a.device(), compare, mask, a, b, loops, comparison);
  return mask;
}

Tensor number_like(double value, const Tensor& x) {
  return Tensor::full({}, value, x.dtype(), x.device());
}

// What the shapes of the three broadcast to.
Shape common_shape(const Tensor& mask, const Tensor& a, const Tensor& b) {
  Shape shape;
  const Tensor* const operands[] = {&mask, &a, &b};
  for (const Tensor* operand : operands)
    while (shape.rank() < operand->rank()) shape = shape.inserted(0, 1);
  for (const Tensor* operand : operands)
    for (int d = 1; d <= operand->rank(); ++d) {
      const int64_t size = operand->size(-d);
      CHECK(shape[-d] == 1 || size == 1 || size == shape[-d],
            "where: shapes do not broadcast: the mask is ", mask, ", a is ", a, ", b is ", b);
      if (size != 1) shape[-d] = size;
    }
  return shape;
}

ChoiceLoops choice_loops(const Shape& shape, const Tensor& mask, const Tensor& a, const Tensor& b) {
  const auto of_mask = strides_within(shape, mask.shape()), of_a = strides_within(shape, a.shape()),
             of_b = strides_within(shape, b.shape());
  ChoiceLoops loops;
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape[d] == 1) continue;
    const auto at = static_cast<size_t>(d), last = static_cast<size_t>(std::max(loops.rank - 1, 0));
    const bool merges = loops.rank > 0 && loops.mask[last] == of_mask[at] * shape[d] &&
                        loops.a[last] == of_a[at] * shape[d] &&
                        loops.b[last] == of_b[at] * shape[d];
    const size_t to = merges ? last : static_cast<size_t>(loops.rank++);
    loops.size[to] = shape[d] * (merges ? loops.size[to] : 1);
    loops.mask[to] = of_mask[at];
    loops.a[to] = of_a[at];
    loops.b[to] = of_b[at];
  }
  if (loops.rank == 0) loops.size[static_cast<size_t>(loops.rank++)] = 1;
  return loops;
}

// y = a where the mask holds, else b;   da = dy where it holds, else 0,  db the rest
struct Where {
  static constexpr auto name = "where";
  static constexpr auto saves = Save::none;
  Tensor mask;
  Shape shape;

  Tensor forward(const Tensor& a, const Tensor& b) const {
    Tensor y = Tensor::empty(shape, a.dtype(), a.device());
    DISPATCH(y.device(), choose, y, mask, a, b, choice_loops(shape, mask, a, b));
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {s.needs(0) ? sum_to(where(mask, dy, 0.0), s.edge(0).shape) : Tensor{},
            s.needs(1) ? sum_to(where(mask, 0.0, dy), s.edge(1).shape) : Tensor{}};
  }
};

}  // namespace

Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b) {
  CHECK(mask.defined() && a.defined() && b.defined(),
        "where: an operand is undefined: the mask is ", mask, ", a is ", a, ", b is ", b);
  CHECK(mask.dtype() == DType::u8, "where: the mask is u8, as comparisons make it, not ", mask);
  CHECK(a.dtype() == b.dtype(), "where: element types differ: a is ", a, ", b is ", b);
  CHECK(a.device() == b.device() && a.device() == mask.device(),
        "where: devices differ: the mask is ", mask, ", a is ", a, ", b is ", b);
  return apply(Where{mask, common_shape(mask, a, b)}, a, b);
}

Tensor where(const Tensor& mask, const Tensor& a, double b) {
  return where(mask, a, number_like(b, a));
}
Tensor where(const Tensor& mask, double a, const Tensor& b) {
  return where(mask, number_like(a, b), b);
}

Tensor eq(const Tensor& a, const Tensor& b) { return compared("eq", a, b, Comparison::eq); }
Tensor ne(const Tensor& a, const Tensor& b) { return compared("ne", a, b, Comparison::ne); }
Tensor lt(const Tensor& a, const Tensor& b) { return compared("lt", a, b, Comparison::lt); }
Tensor le(const Tensor& a, const Tensor& b) { return compared("le", a, b, Comparison::le); }
Tensor gt(const Tensor& a, const Tensor& b) { return compared("gt", a, b, Comparison::gt); }
Tensor ge(const Tensor& a, const Tensor& b) { return compared("ge", a, b, Comparison::ge); }
Tensor eq(const Tensor& a, double b) { return eq(a, number_like(b, a)); }
Tensor ne(const Tensor& a, double b) { return ne(a, number_like(b, a)); }
Tensor lt(const Tensor& a, double b) { return lt(a, number_like(b, a)); }
Tensor le(const Tensor& a, double b) { return le(a, number_like(b, a)); }
Tensor gt(const Tensor& a, double b) { return gt(a, number_like(b, a)); }
Tensor ge(const Tensor& a, double b) { return ge(a, number_like(b, a)); }

}  // namespace passband
