// Functions of one operand as operations of the graph.
#include "tensor/ops/gelu.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pointwise_kernels.h"

namespace passband {
namespace {

// y = F(x). F's one derivative runs as a fused kernel, or on tensors where a graph of the gradient
// was asked for.
template <class F> struct Function {
  static constexpr auto name = F::name;
  static constexpr auto saves = F::derivative_of == fn::Of::y ? Save::output : Save::input;
  F f{};
  Tensor forward(const Tensor& x) const { return map(x, f); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor at = saves == Save::output ? s.output() : s.input(0);
    if (!recording()) return {zip(at, dy, fn::Backward<F>{f})};
    return {f.backward(at, dy)};
  }
};

// A step function: derivative 0 almost everywhere.
template <class F> struct Step {
  static constexpr auto name = "step";
  static constexpr auto saves = Save::none;
  F f{};
  Tensor forward(const Tensor& x) const { return map(x, f); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {Tensor::zeros(s.edge(0).shape, s.edge(0).dtype, dy.device())};
  }
};

}  // namespace

// What the formulas of pointwise_functors.h call and pointwise.h does not have. (Argument-dependent
// lookup looks into no unnamed namespace.)
static Tensor multiply_add(const Tensor& a, const Tensor& b, const Tensor& c) { return a * b + c; }
static Tensor where_positive(const Tensor& x, const Tensor& value) {
  return value * apply(Step<fn::Positive>{}, x);
}
static Tensor where_inside(const Tensor& x, double low, double high, const Tensor& value) {
  return value * apply(Step<fn::Inside>{{low, high}}, x);
}

Tensor exp(const Tensor& x) { return apply(Function<fn::Exp>{}, x); }
Tensor log(const Tensor& x) { return apply(Function<fn::Log>{}, x); }
Tensor sqrt(const Tensor& x) { return apply(Function<fn::Sqrt>{}, x); }
Tensor rsqrt(const Tensor& x) { return apply(Function<fn::Rsqrt>{}, x); }
Tensor reciprocal(const Tensor& x) { return apply(Function<fn::Reciprocal>{}, x); }
Tensor square(const Tensor& x) { return apply(Function<fn::Square>{}, x); }
Tensor abs(const Tensor& x) { return apply(Function<fn::Abs>{}, x); }
Tensor sign(const Tensor& x) { return apply(Step<fn::Sign>{}, x); }
Tensor sin(const Tensor& x) { return apply(Function<fn::Sin>{}, x); }
Tensor cos(const Tensor& x) { return apply(Function<fn::Cos>{}, x); }
Tensor tanh(const Tensor& x) { return apply(Function<fn::Tanh>{}, x); }
Tensor sigmoid(const Tensor& x) { return apply(Function<fn::Sigmoid>{}, x); }
Tensor erf(const Tensor& x) { return apply(Function<fn::Erf>{}, x); }
Tensor relu(const Tensor& x) { return apply(Function<fn::Relu>{}, x); }
Tensor leaky_relu(const Tensor& x, double slope) {
  return apply(Function<fn::LeakyRelu>{{slope}}, x);
}
Tensor elu(const Tensor& x, double alpha) {
  CHECK(alpha >= 0, "elu: alpha must be at least 0, not ", alpha, ", for ", x);
  return apply(Function<fn::Elu>{{alpha}}, x);
}
Tensor gelu(const Tensor& x) { return apply(Function<fn::Gelu>{}, x); }
Tensor gelu_tanh(const Tensor& x) { return apply(Function<fn::GeluTanh>{}, x); }
Tensor gelu_gradient(const Tensor& x, const Tensor& dy, GeluForm form) {
  return form == GeluForm::erf ? fn::Gelu{}.backward(x, dy) : fn::GeluTanh{}.backward(x, dy);
}
Tensor silu(const Tensor& x) { return apply(Function<fn::Silu>{}, x); }

Tensor pow(const Tensor& x, double exponent) {
  if (exponent != 0.0) return apply(Function<fn::Pow>{{exponent}}, x);
  return apply(Step<fn::Fill>{{1.0}}, x);  // p x^(p-1) would be 0 * infinity at x = 0
}

Tensor clamp(const Tensor& x, double low, double high) {
  CHECK(low <= high, "clamp: low ", low, " is above high ", high);
  return apply(Function<fn::Clamp>{{low, high}}, x);
}

}  // namespace passband
