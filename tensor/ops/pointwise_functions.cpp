// Functions of one operand: each has a fused first derivative and a composed one for higher orders.
#include "tensor/ops/gelu.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pointwise_kernels.h"

namespace passband {
namespace {

// y = F(x) with dx a formula of x and dy. `Rule` holds the name, the kernel of dx and the formula.
template <class F, class Rule> struct FromInput {
  static constexpr auto name = Rule::name;
  static constexpr auto saves = Save::input;
  Tensor forward(const Tensor& x) const { return map<F>(x); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    if (!recording()) return {zip<typename Rule::Fused>(s.input(0), dy)};
    return {Rule::composed(s.input(0), dy)};
  }
};

// y = F(x) with dx a formula of y and dy.
template <class F, class Rule> struct FromOutput {
  static constexpr auto name = Rule::name;
  static constexpr auto saves = Save::output;
  Tensor forward(const Tensor& x) const { return map<F>(x); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor y = s.output();
    if (!recording()) return {zip<typename Rule::Fused>(y, dy)};
    return {Rule::composed(y, dy)};
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

constexpr double kInfinity = HUGE_VAL;

// --- formulas of y ---
struct SqrtRule {
  static constexpr auto name = "sqrt";
  using Fused = fn::SqrtBackward;
  static Tensor composed(const Tensor& y, const Tensor& dy) { return dy / (2.0 * y); }
};
struct RsqrtRule {
  static constexpr auto name = "rsqrt";
  using Fused = fn::RsqrtBackward;
  static Tensor composed(const Tensor& y, const Tensor& dy) { return -0.5 * dy * y * y * y; }
};
struct ReciprocalRule {
  static constexpr auto name = "reciprocal";
  using Fused = fn::ReciprocalBackward;
  static Tensor composed(const Tensor& y, const Tensor& dy) { return -dy * y * y; }
};
struct TanhRule {
  static constexpr auto name = "tanh";
  using Fused = fn::TanhBackward;
  static Tensor composed(const Tensor& y, const Tensor& dy) { return dy * (1.0 - square(y)); }
};
struct SigmoidRule {
  static constexpr auto name = "sigmoid";
  using Fused = fn::SigmoidBackward;
  static Tensor composed(const Tensor& y, const Tensor& dy) { return dy * y * (1.0 - y); }
};
struct ReluRule {
  static constexpr auto name = "relu";
  using Fused = fn::ReluBackward;
  static Tensor composed(const Tensor& y, const Tensor& dy) {
    return dy * apply(Step<fn::Inside>{{0.0, kInfinity}}, y);
  }
};

// --- formulas of x ---
struct SquareRule {
  static constexpr auto name = "square";
  using Fused = fn::SquareBackward;
  static Tensor composed(const Tensor& x, const Tensor& dy) { return 2.0 * x * dy; }
};
struct AbsRule {
  static constexpr auto name = "abs";
  using Fused = fn::AbsBackward;
  static Tensor composed(const Tensor& x, const Tensor& dy) { return dy * sign(x); }
};
struct SinRule {
  static constexpr auto name = "sin";
  using Fused = fn::SinBackward;
  static Tensor composed(const Tensor& x, const Tensor& dy) { return dy * cos(x); }
};
struct CosRule {
  static constexpr auto name = "cos";
  using Fused = fn::CosBackward;
  static Tensor composed(const Tensor& x, const Tensor& dy) { return -dy * sin(x); }
};
struct ErfRule {
  static constexpr auto name = "erf";
  using Fused = fn::ErfBackward;
  static Tensor composed(const Tensor& x, const Tensor& dy) {
    return fn::kTwoInvSqrtPi * dy * exp(-square(x));
  }
};
struct GeluRule {
  static constexpr auto name = "gelu";
  using Fused = fn::GeluBackward;
  static Tensor composed(const Tensor& x, const Tensor& dy) {
    const Tensor cdf = 0.5 * (1.0 + erf(x * fn::kSqrtHalf));
    const Tensor density = fn::kInvSqrt2Pi * exp(-0.5 * square(x));
    return dy * (cdf + x * density);
  }
};
struct GeluTanhRule {
  static constexpr auto name = "gelu_tanh";
  using Fused = fn::GeluTanhBackward;
  static Tensor composed(const Tensor& x, const Tensor& dy) {
    const Tensor cubic = fn::kGeluTanhCubic * square(x);
    const Tensor t = tanh(fn::kGeluTanhScale * x * (1.0 + cubic));
    const Tensor inner = fn::kGeluTanhScale * (1.0 + 3.0 * cubic);
    return 0.5 * dy * (1.0 + t + x * (1.0 - square(t)) * inner);
  }
};
struct SiluRule {
  static constexpr auto name = "silu";
  using Fused = fn::SiluBackward;
  static Tensor composed(const Tensor& x, const Tensor& dy) {
    const Tensor s = sigmoid(x);
    return dy * s * (1.0 + x * (1.0 - s));
  }
};

struct Exp {
  static constexpr auto name = "exp";
  static constexpr auto saves = Save::output;
  Tensor forward(const Tensor& x) const { return map<fn::Exp>(x); }
  Grads backward(const Saved& s, const Tensor& dy) const { return {dy * s.output()}; }
};

struct Log {
  static constexpr auto name = "log";
  static constexpr auto saves = Save::input;
  Tensor forward(const Tensor& x) const { return map<fn::Log>(x); }
  Grads backward(const Saved& s, const Tensor& dy) const { return {dy / s.input(0)}; }
};

struct Pow {
  static constexpr auto name = "pow";
  static constexpr auto saves = Save::input;
  double p;
  Tensor forward(const Tensor& x) const { return map(x, fn::Pow{p}); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor& x = s.input(0);
    if (p == 0.0) return {Tensor::zeros_like(x)};  // p x^(p-1) would be 0 * infinity at x = 0
    if (!recording()) return {zip(x, dy, fn::PowBackward{p})};
    return {p * dy * pow(x, p - 1.0)};
  }
};

struct Clamp {
  static constexpr auto name = "clamp";
  static constexpr auto saves = Save::input;
  double low, high;
  Tensor forward(const Tensor& x) const { return map(x, fn::Clamp{low, high}); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor& x = s.input(0);
    if (!recording()) return {zip(x, dy, fn::ClampBackward{low, high})};
    return {dy * apply(Step<fn::Inside>{{low, high}}, x)};
  }
};

}  // namespace

Tensor exp(const Tensor& x) { return apply(Exp{}, x); }
Tensor log(const Tensor& x) { return apply(Log{}, x); }
Tensor sqrt(const Tensor& x) { return apply(FromOutput<fn::Sqrt, SqrtRule>{}, x); }
Tensor rsqrt(const Tensor& x) { return apply(FromOutput<fn::Rsqrt, RsqrtRule>{}, x); }
Tensor reciprocal(const Tensor& x) {
  return apply(FromOutput<fn::Reciprocal, ReciprocalRule>{}, x);
}
Tensor square(const Tensor& x) { return apply(FromInput<fn::Square, SquareRule>{}, x); }
Tensor pow(const Tensor& x, double exponent) { return apply(Pow{exponent}, x); }
Tensor abs(const Tensor& x) { return apply(FromInput<fn::Abs, AbsRule>{}, x); }
Tensor sign(const Tensor& x) { return apply(Step<fn::Sign>{}, x); }
Tensor sin(const Tensor& x) { return apply(FromInput<fn::Sin, SinRule>{}, x); }
Tensor cos(const Tensor& x) { return apply(FromInput<fn::Cos, CosRule>{}, x); }
Tensor tanh(const Tensor& x) { return apply(FromOutput<fn::Tanh, TanhRule>{}, x); }
Tensor sigmoid(const Tensor& x) { return apply(FromOutput<fn::Sigmoid, SigmoidRule>{}, x); }
Tensor erf(const Tensor& x) { return apply(FromInput<fn::Erf, ErfRule>{}, x); }
Tensor relu(const Tensor& x) { return apply(FromOutput<fn::Relu, ReluRule>{}, x); }
Tensor gelu(const Tensor& x) { return apply(FromInput<fn::Gelu, GeluRule>{}, x); }
Tensor gelu_tanh(const Tensor& x) { return apply(FromInput<fn::GeluTanh, GeluTanhRule>{}, x); }
Tensor gelu_gradient(const Tensor& x, const Tensor& dy, GeluForm form) {
  return form == GeluForm::erf ? GeluRule::composed(x, dy) : GeluTanhRule::composed(x, dy);
}
Tensor silu(const Tensor& x) { return apply(FromInput<fn::Silu, SiluRule>{}, x); }

Tensor clamp(const Tensor& x, double low, double high) {
  CHECK(low <= high, "clamp: low ", low, " is above high ", high);
  return apply(Clamp{low, high}, x);
}

}  // namespace passband
