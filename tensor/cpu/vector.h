// Vectors of one register, by the compiler's vector extensions (GCC, Clang): `a * b + c` on them is
// one instruction on AVX-512 and still right on any other machine.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tensor/core/dtype.h"
#include "tensor/cpu/level_code.h"
#if PASSBAND_VECTOR_BYTES == 64
#include <immintrin.h>
#endif

PASSBAND_LEVEL_BEGIN

inline constexpr int kVectorBytes = PASSBAND_VECTOR_BYTES;

// Elements of the computing type A (float or double) in one register.
template <class A> inline constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(A));

template <class A> struct VectorTypes {
  using Whole = std::conditional_t<sizeof(A) == 4, int32_t, int64_t>;
  typedef A Float __attribute__((vector_size(kVectorBytes)));
  // of a comparison: all bits set, or none
  typedef Whole Mask __attribute__((vector_size(kVectorBytes)));
};
template <class A> using Vec = typename VectorTypes<A>::Float;
template <class A> using VecMask = typename VectorTypes<A>::Mask;

// The halves of kLanes<float> floats: storage of bf16, and its widened form.
typedef uint16_t VecHalf __attribute__((vector_size(kVectorBytes / 2)));
typedef uint32_t VecWord __attribute__((vector_size(kVectorBytes)));

// The same value, kept in a register: left to itself, GCC reads it from memory again for each
// multiplication, and loads, not multiplications, are then what a product waits for.
template <class A> [[gnu::always_inline]] inline Vec<A> in_register(Vec<A> v) {
#if defined(__x86_64__)
  asm("" : "+v"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
  return v;
}

template <class A> inline Vec<A> splat(A value) { return value - Vec<A>{}; }

inline Vec<float> widen_half(VecHalf half) {
  return reinterpret_cast<Vec<float>>(__builtin_convertvector(half, VecWord) << 16);
}

// Rounds to nearest even; NaN stays NaN. The same bits as bf16(float).
inline VecHalf narrow_half(Vec<float> value) {
  const VecWord u = reinterpret_cast<VecWord>(value);
  const VecWord rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const VecWord nan = VecWord{} + 0x7fc0u;
  return __builtin_convertvector((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded, VecHalf);
}

// kLanes elements from memory of type T, in the type that kernels compute in.
template <class T> inline Vec<Accumulate<T>> load(const T* p) {
  if constexpr (std::is_same_v<T, bf16>) {
    VecHalf half;
    std::memcpy(&half, p, sizeof half);
    return widen_half(half);
  } else {
    Vec<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
}

template <class T> inline void store(T* p, Vec<Accumulate<T>> v) {
  if constexpr (std::is_same_v<T, bf16>) {
    const VecHalf half = narrow_half(v);
    std::memcpy(static_cast<void*>(p), &half, sizeof half);
  } else {
    std::memcpy(p, &v, sizeof v);
  }
}

// Results larger than this are written past the caches, where their reader would not find them
// anyhow: a line that no cache holds is else read before it is written.
inline constexpr int64_t kStreamedBytes = 16 << 20;

// A store past the caches, of whole aligned f32 vectors; for all else, and without AVX-512, a
// store. `end_streaming` orders such stores before whatever another thread does next.
template <class T> inline void stream(T* p, Vec<Accumulate<T>> v) {
#if PASSBAND_VECTOR_BYTES == 64
  if constexpr (std::is_same_v<T, float>) return _mm512_stream_ps(p, v);
#endif
  store(p, v);
}
inline void end_streaming() {
#if PASSBAND_VECTOR_BYTES == 64
  _mm_sfence();
#endif
}
template <class T> inline bool may_stream(const T* p, int64_t rows, int64_t columns) {
  return rows * columns * static_cast<int64_t>(sizeof(T)) >= kStreamedBytes &&
         reinterpret_cast<uintptr_t>(p) % kVectorBytes == 0 && columns % kLanes<Accumulate<T>> == 0;
}

// The first `count` elements, zeros after them: the tail of a row. A count of kLanes is the plain
// load.
template <class T> inline Vec<Accumulate<T>> load(const T* p, int count) {
  using A = Accumulate<T>;
  if (count == kLanes<A>) return load(p);
#if PASSBAND_VECTOR_BYTES == 64
  if constexpr (std::is_same_v<T, float>)
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
#endif
  T tail[kLanes<A>] = {};
  std::memcpy(static_cast<void*>(tail), p, static_cast<size_t>(count) * sizeof(T));
  return load(tail);
}

template <class T> inline void store(T* p, Vec<Accumulate<T>> v, int count) {
  using A = Accumulate<T>;
  if (count == kLanes<A>) return store(p, v);
#if PASSBAND_VECTOR_BYTES == 64
  if constexpr (std::is_same_v<T, float>)
    return _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), v);
#endif
  T tail[kLanes<A>];
  store(tail, v);
  std::memcpy(static_cast<void*>(p), tail, static_cast<size_t>(count) * sizeof(T));
}

// Calls f(c, count) over [begin, end) in steps of kLanes<A>; only the last count may be smaller.
template <class A, class F> inline void for_vectors(int64_t begin, int64_t end, F&& f) {
  int64_t c = begin;
  for (; c + kLanes<A> <= end; c += kLanes<A>) f(c, kLanes<A>);
  if (c < end) f(c, static_cast<int>(end - c));
}

// Lane l of the result is lane map(l) of a, or lane map(l) - kLanes of b.
template <class A, class Map> inline Vec<A> shuffle(Vec<A> a, Vec<A> b, Map map) {
  return [&]<size_t... l>(std::index_sequence<l...>) {
#if __has_builtin(__builtin_shufflevector)
    return __builtin_shufflevector(a, b, map(static_cast<int>(l))...);
#else  // GCC 11
    return __builtin_shuffle(a, b, VecMask<A>{map(static_cast<int>(l))...});
#endif
  }
  (std::make_index_sequence<kLanes<A>>{});
}

// Folds the lanes by halving, in a fixed order: lane l joins lane l + width.
template <class A, int width = kLanes<A> / 2, class Join>
inline A fold(Vec<A> v, const Join& join) {
  const Vec<A> joined = join(v, shuffle<A>(
                                    v, v, [](int l) constexpr { return (l + width) % kLanes<A>; }));
  if constexpr (width == 1) return joined[0];
  else return fold<A, width / 2>(joined, join);
}

template <class A> inline A sum_of(Vec<A> v) {
  return fold<A>(v, [&](Vec<A> a, Vec<A> b) { return a + b; });
}

template <class A> inline A max_of(Vec<A> v) {
  return fold<A>(v, [&](Vec<A> a, Vec<A> b) { return a < b ? b : a; });
}

// Transposes a square of kLanes rows in registers: swaps the off-diagonal blocks of every power of
// two (Eklundh 1972).
template <class A, int width = kLanes<A> / 2>
inline void transpose_square(Vec<A> (&rows)[kLanes<A>]) {
  constexpr int L = kLanes<A>;
#pragma GCC unroll 16
  for (int i = 0; i < L; ++i) {
    if (i & width) continue;
    const Vec<A> a = rows[i], b = rows[i + width];
    rows[i] = shuffle<A>(
        a, b, [](int l) constexpr { return l & width ? L + l - width : l; });
    rows[i + width] = shuffle<A>(
        a, b, [](int l) constexpr { return l & width ? L + l : l + width; });
  }
  if constexpr (width > 1) transpose_square<A, width / 2>(rows);
}

// One bit per lane: v > 0.
template <class A> inline uint16_t positive_bits(Vec<A> v) {
#if PASSBAND_VECTOR_BYTES == 64
  if constexpr (sizeof(A) == 4) return _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ);
  else return _mm512_cmp_pd_mask(v, _mm512_setzero_pd(), _CMP_GT_OQ);
#else
  uint16_t bits = 0;
  for (int i = 0; i < kLanes<A>; ++i) bits |= static_cast<uint16_t>((v[i] > 0) << i);
  return bits;
#endif
}

// v where the lane's bit is set, 0 elsewhere.
template <class A> inline Vec<A> keep_bits(Vec<A> v, uint16_t bits) {
#if PASSBAND_VECTOR_BYTES == 64
  if constexpr (sizeof(A) == 4) return _mm512_maskz_mov_ps(bits, v);
  else return _mm512_maskz_mov_pd(static_cast<__mmask8>(bits), v);
#else
  for (int i = 0; i < kLanes<A>; ++i) v[i] = (bits >> i) & 1 ? v[i] : A(0);
  return v;
#endif
}

// e^x: f32 within 2 units of the last place by range reduction and a polynomial; below -87.3 the
// result is 0. f64 by std::exp.
template <class A> inline Vec<A> exp(Vec<A> x) {
  if constexpr (sizeof(A) == 8) {
    for (int i = 0; i < kLanes<A>; ++i) x[i] = std::exp(x[i]);
    return x;
  } else {
    const Vec<float> low = splat(-87.3f), high = splat(88.7f);
    const Vec<float> inside = x < low ? low : (x > high ? high : x);
    // Adding and removing 1.5 * 2^23 rounds to the nearest integer.
    const Vec<float> magic = splat(12582912.0f), shifted = inside * 1.44269504f + magic,
                     n = shifted - magic;
    const Vec<float> r = (inside - n * 0.693359375f) + n * 2.12194440e-4f;
    Vec<float> p = splat(1.9875691500e-4f);
    for (const float c :
         {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
      p = p * r + c;
    p = p * (r * r) + r + 1.0f;
    // 2^n in two factors: n reaches 128, one more than an exponent field holds.
    const VecMask<float> whole = __builtin_convertvector(n, VecMask<float>), half = whole >> 1;
    const Vec<float> first = reinterpret_cast<Vec<float>>((half + 127) << 23);
    const Vec<float> second = reinterpret_cast<Vec<float>>((whole - half + 127) << 23);
    const Vec<float> y = p * first * second;
    return x < low ? Vec<float>{} : (x == x ? y : x);
  }
}

PASSBAND_LEVEL_END
