// Functions of numbers. exp, erf and tanh of f32 are straight polynomial code, so that loops over
// them vectorise and an element gets the same bits in the body of a vector loop and in its tail;
// f64, and the GPU, use the standard library.
#pragma once
#include <bit>
#include <cmath>

#include "tensor/core/dtype.h"
#include "tensor/cpu/level_code.h"

namespace passband::math {

PASSBAND_HD inline double exp(double x) { return ::exp(x); }
PASSBAND_HD inline double erf(double x) { return ::erf(x); }
PASSBAND_HD inline double tanh(double x) { return ::tanh(x); }
PASSBAND_HD inline double multiply_add(double a, double b, double c) { return a * b + c; }

// a * b + c, rounded once where the hardware can. Written out where a choice follows or two
// products are added: the compiler may contract those differently in scalar code, where a choice is
// a branch, and in vector code.
PASSBAND_HD inline float multiply_add(float a, float b, float c) {
#if PASSBAND_FMA || defined(__CUDA_ARCH__)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

// e^x as the product of two factors, within 1 ulp: 2^n e^r with x = n log 2 + r, |r| <= log(2)/2,
// and 2^n in two steps, so that results below the smallest normal number come out right. Beyond the
// range 0 and infinity; NaN stays NaN.
struct ExpFactors {
  float mantissa, scale;
};
PASSBAND_HD inline ExpFactors exp_factors(float x) {
  float t = x < -104.0f ? -104.0f : x;
  t = t > 89.0f ? 89.0f : t;
  constexpr float kRound = 0x1.8p23f;  // adding it rounds to an integer, kept in the low bits
  const float shifted = multiply_add(t, 0x1.715476p0f, kRound);
  const float n = shifted - kRound;
  const float r = multiply_add(n, -0x1.7f7d1cp-20f, multiply_add(n, -0x1.62e400p-1f, t));
  float p = 0x1.6ab4p-10f;
  p = multiply_add(p, r, 0x1.123bccp-7f);
  p = multiply_add(p, r, 0x1.5558e4p-5f);
  p = multiply_add(p, r, 0x1.55549cp-3f);
  p = multiply_add(p, r, 0x1.fffff8p-2f);
  p = multiply_add(p, r, 1.0f);
  p = multiply_add(p, r, 1.0f);
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - 0x4B400000;
  const int32_t half = exponent >> 1;
  return {p * std::bit_cast<float>((half + 127) << 23),
          std::bit_cast<float>((exponent - half + 127) << 23)};
}

PASSBAND_HD inline float exp(float x) {
#ifdef __CUDA_ARCH__
  return ::expf(x);
#else
  const ExpFactors e = exp_factors(x);
  return e.mantissa * e.scale;
#endif
}

// Two minimax polynomials (N. Juffa's, within 1 ulp): erf(x) = x + x q(x^2) near 0, 1 - e^(-t r(t))
// beyond.
PASSBAND_HD inline float erf(float x) {
#ifdef __CUDA_ARCH__
  return ::erff(x);
#else
  const float t = std::fabs(x), s = x * x;
  float r = multiply_add(-1.72853470e-5f, t, 3.83197126e-4f);
  const float u = multiply_add(-3.88396438e-3f, t, 2.42546219e-2f);
  r = multiply_add(r, s, u);
  r = multiply_add(r, t, -1.06777877e-1f);
  r = multiply_add(r, t, -6.34846687e-1f);
  r = multiply_add(r, t, -1.28717512e-1f);
  const ExpFactors e = exp_factors(multiply_add(r, t, -t));
  const float far = std::copysign(multiply_add(-e.mantissa, e.scale, 1.0f), x);
  float q = multiply_add(-5.96761703e-4f, s, 4.99119423e-3f);
  q = multiply_add(q, s, -2.67681349e-2f);
  q = multiply_add(q, s, 1.12819925e-1f);
  q = multiply_add(q, s, -3.76125336e-1f);
  q = multiply_add(q, s, 1.28379166e-1f);
  const float near = multiply_add(q, x, x);
  return t > 0.927734375f ? far : near;
#endif
}

// 1 - 2 / (e^2t + 1), and a polynomial near 0 where that would cancel; within 2 ulp.
PASSBAND_HD inline float tanh(float x) {
#ifdef __CUDA_ARCH__
  return ::tanhf(x);
#else
  const float t = std::fabs(x), s = x * x;
  const ExpFactors e = exp_factors(2.0f * t);
  const float far = std::copysign(1.0f - 2.0f / multiply_add(e.mantissa, e.scale, 1.0f), x);
  float q = multiply_add(1.57394409e-2f, s, -5.23025580e-2f);
  q = multiply_add(q, s, 1.33152470e-1f);
  q = multiply_add(q, s, -3.33327681e-1f);
  q = q * s;
  const float near = multiply_add(q, x, x);
  return t > 0.55f ? far : near;
#endif
}

template <class T> PASSBAND_HD inline T square(T x) { return x * x; }
template <class T> PASSBAND_HD inline T sign(T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x; }
template <class T> PASSBAND_HD inline T sigmoid(T x) { return T(1) / (T(1) + exp(-x)); }
// `value` where x > 0, else 0.
template <class T> PASSBAND_HD inline T where_positive(T x, T value) {
  return x > T(0) ? value : T(0);
}
// `value` where low < x < high, else 0.
template <class T> PASSBAND_HD inline T where_inside(T x, double low, double high, T value) {
  return x > T(low) && x < T(high) ? value : T(0);
}

}  // namespace passband::math
