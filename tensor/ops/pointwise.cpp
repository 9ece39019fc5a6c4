// Arithmetic on two operands, and operations in place.
#include "tensor/ops/pointwise.h"

#include "tensor/ops/add_all_kernels.h"
#include "tensor/ops/pointwise_kernels.h"
#include "tensor/ops/reduce.h"

namespace passband {
namespace {

template <class F> Tensor broadcast(const char* op, const Tensor& a, const Tensor& b) {
  CHECK(a.defined() && b.defined(), op, ": an operand is undefined: a is ", a, ", b is ", b);
  CHECK(a.dtype() == b.dtype(), op, ": element types differ: a is ", a, ", b is ", b);
  CHECK(a.device() == b.device(), op, ": devices differ: a is ", a, ", b is ", b);
  const Shape shape = broadcast_shape(op, a, b);
  Tensor y = Tensor::empty(shape, a.dtype(), a.device());
  DISPATCH(y.device(), broadcast_zip, y, a, b, broadcast_loops(shape, a.shape(), b.shape()), F{});
  return y;
}

Tensor zeros_for(const Edge& edge, const Tensor& dy) {
  return Tensor::zeros(edge.shape, edge.dtype, dy.device());
}

struct Add {
  static constexpr auto name = "add";
  static constexpr auto saves = Save::none;
  Tensor forward(const Tensor& a, const Tensor& b) const { return broadcast<fn::Add>(name, a, b); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {s.needs(0) ? sum_to(dy, s.edge(0).shape) : Tensor{},
            s.needs(1) ? sum_to(dy, s.edge(1).shape) : Tensor{}};
  }
};

struct Sub {
  static constexpr auto name = "sub";
  static constexpr auto saves = Save::none;
  Tensor forward(const Tensor& a, const Tensor& b) const { return broadcast<fn::Sub>(name, a, b); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {s.needs(0) ? sum_to(dy, s.edge(0).shape) : Tensor{},
            s.needs(1) ? -sum_to(dy, s.edge(1).shape) : Tensor{}};
  }
};

struct Mul {
  static constexpr auto name = "mul";
  static constexpr auto saves = Save::input;
  Tensor forward(const Tensor& a, const Tensor& b) const { return broadcast<fn::Mul>(name, a, b); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {s.needs(0) ? sum_to(dy * s.input(1), s.edge(0).shape) : Tensor{},
            s.needs(1) ? sum_to(dy * s.input(0), s.edge(1).shape) : Tensor{}};
  }
};

struct Div {
  static constexpr auto name = "div";
  static constexpr auto saves = Save::input;
  Tensor forward(const Tensor& a, const Tensor& b) const { return broadcast<fn::Div>(name, a, b); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor da = dy / s.input(1);
    return {s.needs(0) ? sum_to(da, s.edge(0).shape) : Tensor{},
            s.needs(1) ? -sum_to(da * s.input(0) / s.input(1), s.edge(1).shape) : Tensor{}};
  }
};

// 1 where the comparison holds, else 0; derivative 0 almost everywhere.
template <class F> struct Mask {
  static constexpr auto name = "mask";
  static constexpr auto saves = Save::none;
  Tensor forward(const Tensor& a, const Tensor& b) const { return broadcast<F>(name, a, b); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {zeros_for(s.edge(0), dy), zeros_for(s.edge(1), dy)};
  }
};

// Takes is the functor of the result, Left where it is a, Right where it is b.
template <class Takes, class Left, class Right> struct Extreme {
  static constexpr auto name = std::is_same_v<Takes, fn::Maximum> ? "maximum" : "minimum";
  static constexpr auto saves = Save::input;
  Tensor forward(const Tensor& a, const Tensor& b) const { return broadcast<Takes>(name, a, b); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor &a = s.input(0), &b = s.input(1);
    return {s.needs(0) ? sum_to(dy * apply(Mask<Left>{}, a, b), s.edge(0).shape) : Tensor{},
            s.needs(1) ? sum_to(dy * apply(Mask<Right>{}, a, b), s.edge(1).shape) : Tensor{}};
  }
};

struct AddNumber {
  static constexpr auto name = "add";
  static constexpr auto saves = Save::none;
  double c;
  Attributes attributes() const { return {{"number", {c}}}; }
  Tensor forward(const Tensor& a) const { return map(a, fn::AddScalar{c}); }
  Grads backward(const Saved&, const Tensor& dy) const { return {dy}; }
};

struct MulNumber {
  static constexpr auto name = "mul";
  static constexpr auto saves = Save::none;
  double c;
  Attributes attributes() const { return {{"number", {c}}}; }
  Tensor forward(const Tensor& a) const { return map(a, fn::MulScalar{c}); }
  Grads backward(const Saved&, const Tensor& dy) const { return {mul(dy, c)}; }
};

void check_in_place(const char* op, const Tensor& y, const Tensor& x) {
  CHECK(y.shape() == x.shape(), op, ": shapes differ: y is ", y, ", x is ", x);
  CHECK(y.device() == x.device(), op, ": devices differ: y is ", y, ", x is ", x);
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return apply(Add{}, a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return apply(Sub{}, a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return apply(Mul{}, a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return apply(Div{}, a, b); }
Tensor maximum(const Tensor& a, const Tensor& b) {
  return apply(Extreme<fn::Maximum, fn::GreaterEqual, fn::Less>{}, a, b);
}
Tensor minimum(const Tensor& a, const Tensor& b) {
  return apply(Extreme<fn::Minimum, fn::LessEqual, fn::Greater>{}, a, b);
}
Tensor add(const Tensor& a, double c) { return apply(AddNumber{c}, a); }
Tensor mul(const Tensor& a, double c) { return apply(MulNumber{c}, a); }

void add_(Tensor y, const Tensor& x) { add_scaled_(y, x, 1.0); }

void add_scaled_(Tensor y, const Tensor& x, double a) {
  check_in_place("add_", y, x);
  CHECK(y.dtype() == x.dtype(), "add_: element types differ: y is ", y, ", x is ", x);
  DISPATCH(y.device(), zip, y, y, x, fn::AddScaled{a});
  y.bump_version();
}

bool is_in_parts(const Tensor& gradient, const Shape& shape) {
  return gradient.rank() == shape.rank() + 1 && gradient.shape().without(0) == shape;
}

Tensor whole_gradient(const Tensor& gradient, const Shape& shape, DType dtype) {
  const Tensor whole = is_in_parts(gradient, shape) ? sum(gradient, {0}) : gradient;
  return whole.dtype() == dtype ? whole : cast(whole, dtype);
}

void cpu::add_all(const std::vector<InPlaceSum>& sums) {
  for (const auto& [y, x] : sums) add_(y, whole_gradient(x, y.shape(), y.dtype()));
}

void add_all_(const std::vector<InPlaceSum>& sums) {
  std::vector<InPlaceSum> together;
  for (const auto& [y, x] : sums) {
    const bool in_parts =
        y.dtype() == DType::f32 && x.dtype() == DType::f32 && is_in_parts(x, y.shape());
    if (!in_parts) check_in_place("add_all_", y, x);
    CHECK(y.dtype() == x.dtype() || (y.dtype() == DType::f32 && x.dtype() == DType::bf16),
          "add_all_: element types differ: y is ", y, ", x is ", x);
    const bool alike = y.dtype() == DType::f32 && y.device() == sums[0].y.device();
    if (alike) together.push_back({y, x});
    else add_(y, x);
  }
  if (together.empty()) return;
  ON_DEVICE(together[0].y.device(), add_all, together);
  for (InPlaceSum& sum : together) sum.y.bump_version();
}

void scale_(Tensor y, double a) {
  DISPATCH(y.device(), map, y, y, fn::MulScalar{a});
  y.bump_version();
}

void fill_(Tensor y, double value) {
  DISPATCH(y.device(), map, y, y, fn::Fill{value});
  y.bump_version();
}

void copy_(Tensor y, const Tensor& x) {
  const Tensor source = x.to(y.device());
  check_in_place("copy_", y, source);
  DISPATCH(y.device(), convert, y, source);
  y.bump_version();
}

}  // namespace passband
