// Atomics, bit operations and fast mathematics under their CUDA names.
#pragma once
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "tests/cuda_emulator/entry_points.h"

namespace passband::emulator {

// The types atomic instructions exist for.
template <class T>
concept AtomicInteger =
    std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, unsigned long long>;
template <class T>
concept AtomicNumber = AtomicInteger<T> || std::same_as<T, float> || std::same_as<T, double>;

namespace language {

template <AtomicNumber T>
T atomicAdd(T* address, std::type_identity_t<T> value, Location at = Location::current()) {
  return atomic(Atomic::add, address, value, at);
}
template <AtomicInteger T>
T atomicMin(T* address, std::type_identity_t<T> value, Location at = Location::current()) {
  return atomic(Atomic::minimum, address, value, at);
}
template <AtomicInteger T>
T atomicMax(T* address, std::type_identity_t<T> value, Location at = Location::current()) {
  return atomic(Atomic::maximum, address, value, at);
}
template <AtomicInteger T>
T atomicAnd(T* address, std::type_identity_t<T> value, Location at = Location::current()) {
  return atomic(Atomic::bit_and, address, value, at);
}
template <AtomicInteger T>
T atomicOr(T* address, std::type_identity_t<T> value, Location at = Location::current()) {
  return atomic(Atomic::bit_or, address, value, at);
}
template <AtomicInteger T>
T atomicXor(T* address, std::type_identity_t<T> value, Location at = Location::current()) {
  return atomic(Atomic::bit_xor, address, value, at);
}
template <class T>
requires AtomicInteger<T> || std::same_as<T, float> T
atomicExch(T* address, std::type_identity_t<T> value, Location at = Location::current()) {
  return atomic(Atomic::exchange, address, value, at);
}
template <AtomicInteger T> T atomicCAS(T* address, std::type_identity_t<T> expected,
                                       std::type_identity_t<T> value,
                                       Location at = Location::current()) {
  return compare_and_swap(address, expected, value, at);
}
inline unsigned atomicInc(unsigned* address, unsigned limit, Location at = Location::current()) {
  return atomic(Atomic::increment, address, limit, at);
}

// Bits.
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((uint64_t{a} * b) >> 32);
}
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int bit = 0; bit < 32; ++bit) reversed |= ((x >> bit) & 1u) << (31 - bit);
  return reversed;
}

// Loads and stores with a cache hint: plain ones here.
template <class T> T __ldg(const T* address) { return *address; }
template <class T> T __ldcs(const T* address) { return *address; }
template <class T> T __ldcg(const T* address) { return *address; }
template <class T> void __stcs(T* address, T value) { *address = value; }
template <class T> void __stcg(T* address, T value) { *address = value; }

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
// Products and sums that the compiler must not fuse.
inline float __fmul_rn(float x, float y) {
  const volatile float product = x * y;
  return product;
}
inline float __fadd_rn(float x, float y) {
  const volatile float sum = x + y;
  return sum;
}
inline int __float2int_rn(float x) { return static_cast<int>(nearbyintf(x)); }

// CUDA's min and max are overloads in the global namespace.
#define PASSBAND_EMULATOR_MIN_MAX(T)                  \
  constexpr T min(T a, T b) { return b < a ? b : a; } \
  constexpr T max(T a, T b) { return a < b ? b : a; }
PASSBAND_EMULATOR_MIN_MAX(int)
PASSBAND_EMULATOR_MIN_MAX(unsigned)
PASSBAND_EMULATOR_MIN_MAX(long)
PASSBAND_EMULATOR_MIN_MAX(unsigned long)
PASSBAND_EMULATOR_MIN_MAX(long long)
PASSBAND_EMULATOR_MIN_MAX(unsigned long long)
#undef PASSBAND_EMULATOR_MIN_MAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

}  // namespace language
}  // namespace passband::emulator

// The fast functions are less exact on a GPU (about 2 ulp) than here: compare results by tolerance.
// Macros, because the C library declares functions of these names and does not define them.
#define __expf expf
#define __logf logf
#define __log2f log2f
#define __sinf sinf
#define __cosf cosf
#define __powf powf
