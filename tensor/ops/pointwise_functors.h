// The mathematics of pointwise operations, written once for the CPU loops, the CUDA kernels and the
// graph. T is float or double in operator(); in `backward`, the derivative, it is also Tensor.
#pragma once
#include <type_traits>

#include "tensor/ops/pointwise_math.h"

namespace passband::fn {

constexpr double kSqrtHalf = 0.70710678118654752440;       // 1 / sqrt(2)
constexpr double kInvSqrt2Pi = 0.39894228040143267794;     // 1 / sqrt(2 pi)
constexpr double kTwoInvSqrtPi = 1.12837916709551257390;   // 2 / sqrt(pi)
constexpr double kGeluTanhScale = 0.79788456080286535588;  // sqrt(2 / pi)
constexpr double kGeluTanhCubic = 0.044715;

// --- two operands ---
struct Add {
  template <class T> PASSBAND_HD T operator()(T a, T b) const { return a + b; }
};
struct Sub {
  template <class T> PASSBAND_HD T operator()(T a, T b) const { return a - b; }
};
struct Mul {
  template <class T> PASSBAND_HD T operator()(T a, T b) const { return a * b; }
};
struct Div {
  template <class T> PASSBAND_HD T operator()(T a, T b) const { return a / b; }
};
// NaN in either operand gives NaN.
struct Maximum {
  template <class T> PASSBAND_HD T operator()(T a, T b) const { return a >= b || a != a ? a : b; }
};
struct Minimum {
  template <class T> PASSBAND_HD T operator()(T a, T b) const { return a <= b || a != a ? a : b; }
};
struct GreaterEqual {
  template <class T> PASSBAND_HD T operator()(T a, T b) const { return a >= b ? T(1) : T(0); }
};
struct Greater {
  template <class T> PASSBAND_HD T operator()(T a, T b) const { return a > b ? T(1) : T(0); }
};
struct LessEqual {
  template <class T> PASSBAND_HD T operator()(T a, T b) const { return a <= b ? T(1) : T(0); }
};
struct Less {
  template <class T> PASSBAND_HD T operator()(T a, T b) const { return a < b ? T(1) : T(0); }
};
struct AddScaled {
  double scale;
  template <class T> PASSBAND_HD T operator()(T a, T b) const { return a + T(scale) * b; }
};

// --- one operand, no derivative ---
struct AddScalar {
  double c;
  template <class T> PASSBAND_HD T operator()(T x) const { return x + T(c); }
};
struct MulScalar {
  double c;
  template <class T> PASSBAND_HD T operator()(T x) const { return x * T(c); }
};
struct Fill {
  double c;
  template <class T> PASSBAND_HD T operator()(T) const { return T(c); }
};
struct Positive {
  template <class T> PASSBAND_HD T operator()(T x) const { return x > T(0) ? T(1) : T(0); }
};
struct Inside {
  double low, high;
  template <class T> PASSBAND_HD T operator()(T x) const {
    return x > T(low) && x < T(high) ? T(1) : T(0);
  }
};
struct Sign {
  template <class T> PASSBAND_HD T operator()(T x) const { return math::sign(x); }
};

// --- one operand and its derivative ---
//
// `backward` gives dx of dy and, as `derivative_of` says, of x or y. One text makes both the fused
// kernel of first derivatives, with T a number, and the graph for higher ones, with T = Tensor: so
// it calls functions by their bare names (of numbers from `math` or std, of tensors from
// pointwise.h) and writes constants as N(c). A function listed in PASSBAND_FUNCTIONS below has its
// kernels on every backend.
enum class Of : uint8_t { x, y };

template <class T> using Number = std::conditional_t<std::is_floating_point_v<T>, T, double>;

using math::erf, math::exp, math::multiply_add, math::sigmoid, math::sign, math::square, math::tanh;
using math::where_inside, math::where_positive;
using std::cos, std::pow, std::sin;

struct Exp {
  static constexpr auto name = "exp";
  static constexpr Of derivative_of = Of::y;
  template <class T> PASSBAND_HD T operator()(T x) const { return exp(x); }
  template <class T> PASSBAND_HD T backward(T y, T dy) const { return dy * y; }
};
struct Log {
  static constexpr auto name = "log";
  static constexpr Of derivative_of = Of::x;
  template <class T> PASSBAND_HD T operator()(T x) const { return std::log(x); }
  template <class T> PASSBAND_HD T backward(T x, T dy) const { return dy / x; }
};
struct Sqrt {
  static constexpr auto name = "sqrt";
  static constexpr Of derivative_of = Of::y;
  template <class T> PASSBAND_HD T operator()(T x) const { return std::sqrt(x); }
  template <class T, class N = Number<T>> PASSBAND_HD T backward(T y, T dy) const {
    return dy / (N(2) * y);
  }
};
struct Rsqrt {
  static constexpr auto name = "rsqrt";
  static constexpr Of derivative_of = Of::y;
  template <class T> PASSBAND_HD T operator()(T x) const { return T(1) / std::sqrt(x); }
  template <class T, class N = Number<T>> PASSBAND_HD T backward(T y, T dy) const {
    return N(-0.5) * dy * y * y * y;
  }
};
struct Reciprocal {
  static constexpr auto name = "reciprocal";
  static constexpr Of derivative_of = Of::y;
  template <class T> PASSBAND_HD T operator()(T x) const { return T(1) / x; }
  template <class T> PASSBAND_HD T backward(T y, T dy) const { return -dy * y * y; }
};
struct Square {
  static constexpr auto name = "square";
  static constexpr Of derivative_of = Of::x;
  template <class T> PASSBAND_HD T operator()(T x) const { return square(x); }
  template <class T, class N = Number<T>> PASSBAND_HD T backward(T x, T dy) const {
    return N(2) * x * dy;
  }
};
struct Pow {
  static constexpr auto name = "pow";
  static constexpr Of derivative_of = Of::x;
  double p;
  template <class T> PASSBAND_HD T operator()(T x) const { return std::pow(x, T(p)); }
  template <class T, class N = Number<T>> PASSBAND_HD T backward(T x, T dy) const {
    return N(p) * dy * pow(x, N(p - 1));
  }
};
struct Clamp {
  static constexpr auto name = "clamp";
  static constexpr Of derivative_of = Of::x;
  double low, high;
  template <class T> PASSBAND_HD T operator()(T x) const {
    const T above = x < T(low) ? T(low) : x;
    return above > T(high) ? T(high) : above;
  }
  template <class T> PASSBAND_HD T backward(T x, T dy) const {
    return where_inside(x, low, high, dy);
  }
};
struct Abs {
  static constexpr auto name = "abs";
  static constexpr Of derivative_of = Of::x;
  template <class T> PASSBAND_HD T operator()(T x) const { return std::fabs(x); }
  template <class T> PASSBAND_HD T backward(T x, T dy) const { return dy * sign(x); }
};
struct Sin {
  static constexpr auto name = "sin";
  static constexpr Of derivative_of = Of::x;
  template <class T> PASSBAND_HD T operator()(T x) const { return sin(x); }
  template <class T> PASSBAND_HD T backward(T x, T dy) const { return dy * cos(x); }
};
struct Cos {
  static constexpr auto name = "cos";
  static constexpr Of derivative_of = Of::x;
  template <class T> PASSBAND_HD T operator()(T x) const { return cos(x); }
  template <class T> PASSBAND_HD T backward(T x, T dy) const { return -dy * sin(x); }
};
struct Tanh {
  static constexpr auto name = "tanh";
  static constexpr Of derivative_of = Of::y;
  template <class T> PASSBAND_HD T operator()(T x) const { return tanh(x); }
  template <class T, class N = Number<T>> PASSBAND_HD T backward(T y, T dy) const {
    return dy * (N(1) - square(y));
  }
};
struct Sigmoid {
  static constexpr auto name = "sigmoid";
  static constexpr Of derivative_of = Of::y;
  template <class T> PASSBAND_HD T operator()(T x) const { return sigmoid(x); }
  template <class T, class N = Number<T>> PASSBAND_HD T backward(T y, T dy) const {
    return dy * y * (N(1) - y);
  }
};
struct Erf {
  static constexpr auto name = "erf";
  static constexpr Of derivative_of = Of::x;
  template <class T> PASSBAND_HD T operator()(T x) const { return erf(x); }
  template <class T, class N = Number<T>> PASSBAND_HD T backward(T x, T dy) const {
    return N(kTwoInvSqrtPi) * dy * exp(-square(x));
  }
};
// max(x, 0); NaN stays NaN.
struct Relu {
  static constexpr auto name = "relu";
  static constexpr Of derivative_of = Of::y;
  template <class T> PASSBAND_HD T operator()(T x) const { return x < T(0) ? T(0) : x; }
  template <class T> PASSBAND_HD T backward(T y, T dy) const { return where_positive(y, dy); }
};
struct LeakyRelu {
  static constexpr auto name = "leaky_relu";
  static constexpr Of derivative_of = Of::x;
  double below;  // the slope there
  template <class T> PASSBAND_HD T operator()(T x) const { return x > T(0) ? x : T(below) * x; }
  template <class T, class N = Number<T>> PASSBAND_HD T backward(T x, T dy) const {
    const T above = where_positive(x, dy);
    return above + N(below) * (dy - above);
  }
};
// y has the sign of x, and y + alpha is the slope where it is not positive.
struct Elu {
  static constexpr auto name = "elu";
  static constexpr Of derivative_of = Of::y;
  double alpha;
  template <class T> PASSBAND_HD T operator()(T x) const {
    return x > T(0) ? x : T(alpha) * std::expm1(x);
  }
  template <class T, class N = Number<T>> PASSBAND_HD T backward(T y, T dy) const {
    const T above = where_positive(y, dy);
    return above + (dy - above) * (y + N(alpha));
  }
};
// x Phi(x) with the normal distribution's Phi, exact.
struct Gelu {
  static constexpr auto name = "gelu";
  static constexpr Of derivative_of = Of::x;
  template <class T> PASSBAND_HD T operator()(T x) const { return x * cdf(x); }
  template <class T> PASSBAND_HD T backward(T x, T dy) const { return dy * slope(x, cdf(x)); }
  // Value and slope share most of their work.
  template <class T> PASSBAND_HD void value_and_slope(T x, T& y, T& dy_dx) const {
    const T phi = cdf(x);
    y = x * phi;
    dy_dx = slope(x, phi);
  }

 private:
  template <class T, class N = Number<T>> PASSBAND_HD static T cdf(T x) {
    return N(0.5) * (N(1) + erf(x * N(kSqrtHalf)));
  }
  template <class T, class N = Number<T>> PASSBAND_HD static T slope(T x, T cdf) {
    return multiply_add(x * N(kInvSqrt2Pi), exp(N(-0.5) * square(x)), cdf);
  }
};
// Its approximation x / 2 (1 + t) with t = tanh(sqrt(2 / pi) (x + 0.044715 x^3)).
struct GeluTanh {
  static constexpr auto name = "gelu_tanh";
  static constexpr Of derivative_of = Of::x;
  template <class T> PASSBAND_HD T operator()(T x) const { return value(x, t(x)); }
  template <class T> PASSBAND_HD T backward(T x, T dy) const { return dy * slope(x, t(x)); }
  template <class T> PASSBAND_HD void value_and_slope(T x, T& y, T& dy_dx) const {
    const T of_x = t(x);
    y = value(x, of_x);
    dy_dx = slope(x, of_x);
  }

 private:
  template <class T, class N = Number<T>> PASSBAND_HD static T t(T x) {
    return tanh(N(kGeluTanhScale) * x * (N(1) + N(kGeluTanhCubic) * square(x)));
  }
  template <class T, class N = Number<T>> PASSBAND_HD static T value(T x, T t) {
    return N(0.5) * x * (N(1) + t);
  }
  template <class T, class N = Number<T>> PASSBAND_HD static T slope(T x, T t) {
    const T inner = N(kGeluTanhScale) * (N(1) + N(3 * kGeluTanhCubic) * square(x));
    return N(0.5) * (N(1) + t + x * (N(1) - square(t)) * inner);
  }
};
struct Silu {
  static constexpr auto name = "silu";
  static constexpr Of derivative_of = Of::x;
  template <class T> PASSBAND_HD T operator()(T x) const { return x / (T(1) + exp(-x)); }
  template <class T, class N = Number<T>> PASSBAND_HD T backward(T x, T dy) const {
    const T s = sigmoid(x);
    return dy * s * (N(1) + x * (N(1) - s));
  }
};

// clang-format off
#define PASSBAND_FUNCTIONS(DO) \
  DO(Exp) \
  DO(Log) \
  DO(Sqrt) \
  DO(Rsqrt) \
  DO(Reciprocal) \
  DO(Square) \
  DO(Pow) \
  DO(Clamp) \
  DO(Abs) \
  DO(Sin) \
  DO(Cos) \
  DO(Tanh) \
  DO(Sigmoid) \
  DO(Erf) \
  DO(Relu) \
  DO(LeakyRelu) \
  DO(Elu) \
  DO(Gelu) \
  DO(GeluTanh) \
  DO(Silu)
// clang-format on

// The derivative of F as a kernel of two operands.
template <class F> struct Backward {
  F f{};
  template <class T> PASSBAND_HD T operator()(T at, T dy) const { return f.backward(at, dy); }
};

}  // namespace passband::fn
