// The mathematics of pointwise operations, written once for the CPU loops and the CUDA kernels. T
// is float or double. A functor called XBackward gives dx of X from what X saves and dy.
#pragma once
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

// --- one operand and a number ---
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
struct Pow {
  double p;
  template <class T> PASSBAND_HD T operator()(T x) const { return std::pow(x, T(p)); }
};
struct Clamp {
  double low, high;
  template <class T> PASSBAND_HD T operator()(T x) const {
    const T above = x < T(low) ? T(low) : x;
    return above > T(high) ? T(high) : above;
  }
};
struct Inside {
  double low, high;
  template <class T> PASSBAND_HD T operator()(T x) const {
    return x > T(low) && x < T(high) ? T(1) : T(0);
  }
};

// --- one operand ---
struct Exp {
  template <class T> PASSBAND_HD T operator()(T x) const { return math::exp(x); }
};
struct Log {
  template <class T> PASSBAND_HD T operator()(T x) const { return std::log(x); }
};
struct Sqrt {
  template <class T> PASSBAND_HD T operator()(T x) const { return std::sqrt(x); }
};
struct Rsqrt {
  template <class T> PASSBAND_HD T operator()(T x) const { return T(1) / std::sqrt(x); }
};
struct Reciprocal {
  template <class T> PASSBAND_HD T operator()(T x) const { return T(1) / x; }
};
struct Square {
  template <class T> PASSBAND_HD T operator()(T x) const { return x * x; }
};
struct Abs {
  template <class T> PASSBAND_HD T operator()(T x) const { return std::fabs(x); }
};
struct Sign {
  template <class T> PASSBAND_HD T operator()(T x) const {
    return x > T(0) ? T(1) : x < T(0) ? T(-1) : x;
  }
};
struct Sin {
  template <class T> PASSBAND_HD T operator()(T x) const { return std::sin(x); }
};
struct Cos {
  template <class T> PASSBAND_HD T operator()(T x) const { return std::cos(x); }
};
struct Tanh {
  template <class T> PASSBAND_HD T operator()(T x) const { return math::tanh(x); }
};
struct Erf {
  template <class T> PASSBAND_HD T operator()(T x) const { return math::erf(x); }
};
struct Sigmoid {
  template <class T> PASSBAND_HD T operator()(T x) const { return T(1) / (T(1) + math::exp(-x)); }
};
// max(x, 0); NaN stays NaN.
struct Relu {
  template <class T> PASSBAND_HD T operator()(T x) const { return x < T(0) ? T(0) : x; }
};
struct Gelu {
  template <class T> PASSBAND_HD T operator()(T x) const {
    return T(0.5) * x * (T(1) + math::erf(x * T(kSqrtHalf)));
  }
};
struct GeluTanh {
  template <class T> PASSBAND_HD T operator()(T x) const {
    return T(0.5) * x *
           (T(1) + math::tanh(T(kGeluTanhScale) * x * (T(1) + T(kGeluTanhCubic) * x * x)));
  }
};
struct Silu {
  template <class T> PASSBAND_HD T operator()(T x) const { return x / (T(1) + math::exp(-x)); }
};

// --- first derivatives ---
struct SqrtBackward {
  template <class T> PASSBAND_HD T operator()(T y, T dy) const { return dy / (T(2) * y); }
};
struct RsqrtBackward {
  template <class T> PASSBAND_HD T operator()(T y, T dy) const { return T(-0.5) * dy * y * y * y; }
};
struct ReciprocalBackward {
  template <class T> PASSBAND_HD T operator()(T y, T dy) const { return -dy * y * y; }
};
struct SquareBackward {
  template <class T> PASSBAND_HD T operator()(T x, T dy) const { return T(2) * x * dy; }
};
struct AbsBackward {
  template <class T> PASSBAND_HD T operator()(T x, T dy) const { return dy * Sign{}(x); }
};
struct SinBackward {
  template <class T> PASSBAND_HD T operator()(T x, T dy) const { return dy * std::cos(x); }
};
struct CosBackward {
  template <class T> PASSBAND_HD T operator()(T x, T dy) const { return -dy * std::sin(x); }
};
struct TanhBackward {
  template <class T> PASSBAND_HD T operator()(T y, T dy) const { return dy * (T(1) - y * y); }
};
struct SigmoidBackward {
  template <class T> PASSBAND_HD T operator()(T y, T dy) const { return dy * y * (T(1) - y); }
};
struct ErfBackward {
  template <class T> PASSBAND_HD T operator()(T x, T dy) const {
    return dy * T(kTwoInvSqrtPi) * math::exp(-x * x);
  }
};
struct ReluBackward {
  template <class T> PASSBAND_HD T operator()(T y, T dy) const { return y > T(0) ? dy : T(0); }
};
struct GeluBackward {
  template <class T> PASSBAND_HD T operator()(T x, T dy) const {
    const T cdf = T(0.5) * (T(1) + math::erf(x * T(kSqrtHalf)));
    return dy * math::multiply_add(x * T(kInvSqrt2Pi), math::exp(T(-0.5) * x * x), cdf);
  }
};
struct GeluTanhBackward {
  template <class T> PASSBAND_HD T operator()(T x, T dy) const {
    const T t = math::tanh(T(kGeluTanhScale) * x * (T(1) + T(kGeluTanhCubic) * x * x));
    const T inner = T(kGeluTanhScale) * (T(1) + T(3 * kGeluTanhCubic) * x * x);
    return dy * T(0.5) * (T(1) + t + x * (T(1) - t * t) * inner);
  }
};
// Both the GELU and its slope, which share most of their work.
struct GeluAndSlope {
  template <class T> PASSBAND_HD void operator()(T x, T& y, T& slope) const {
    const T cdf = T(0.5) * (T(1) + math::erf(x * T(kSqrtHalf)));
    y = x * cdf;
    slope = math::multiply_add(x * T(kInvSqrt2Pi), math::exp(T(-0.5) * x * x), cdf);
  }
};
struct GeluTanhAndSlope {
  template <class T> PASSBAND_HD void operator()(T x, T& y, T& slope) const {
    const T t = math::tanh(T(kGeluTanhScale) * x * (T(1) + T(kGeluTanhCubic) * x * x));
    const T inner = T(kGeluTanhScale) * (T(1) + T(3 * kGeluTanhCubic) * x * x);
    y = T(0.5) * x * (T(1) + t);
    slope = T(0.5) * (T(1) + t + x * (T(1) - t * t) * inner);
  }
};
struct SiluBackward {
  template <class T> PASSBAND_HD T operator()(T x, T dy) const {
    const T s = T(1) / (T(1) + math::exp(-x));
    return dy * s * (T(1) + x * (T(1) - s));
  }
};
struct PowBackward {
  double p;
  template <class T> PASSBAND_HD T operator()(T x, T dy) const {
    return dy * T(p) * std::pow(x, T(p - 1));
  }
};
struct ClampBackward {
  double low, high;
  template <class T> PASSBAND_HD T operator()(T x, T dy) const {
    return x > T(low) && x < T(high) ? dy : T(0);
  }
};

}  // namespace passband::fn
