// Element types. bf16 is a storage type: kernels widen it to f32, accumulate in f32, and round once
// on store.
#pragma once
#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "tensor/core/error.h"

// Functions of numbers that code of several kinds shares: compiled for the processor and the GPU,
// and anew wherever code of one level of instructions calls them (tensor/cpu/level_code.h). All
// levels are compiled with one precompiled header, so it may not ask for PASSBAND_LEVEL.
#if defined(__CUDACC__)
#define PASSBAND_HD __host__ __device__
#elif defined(PASSBAND_KERNEL_SOURCES)
#define PASSBAND_HD [[gnu::always_inline]]
#else
#define PASSBAND_HD
#endif

namespace passband {

// The upper half of an IEEE float. Conversion rounds to nearest even; NaN stays NaN.
struct bf16 {
  uint16_t bits = 0;

  bf16() = default;
  PASSBAND_HD bf16(float value) {
#if defined(__CUDA_ARCH__)
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
#else
    const uint32_t u = std::bit_cast<uint32_t>(value);
    const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    bits = static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
#endif
  }
  PASSBAND_HD operator float() const {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
};

enum class DType : uint8_t { f32, bf16, f64, i32, u8 };

constexpr int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::bf16: return 2;
    case DType::u8: return 1;
  }
  return 0;
}

constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return "f32";
    case DType::bf16: return "bf16";
    case DType::f64: return "f64";
    case DType::i32: return "i32";
    case DType::u8: return "u8";
  }
  return "?";
}

constexpr bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f64;
}

template <class T> constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  else if constexpr (std::is_same_v<T, double>) return DType::f64;
  else if constexpr (std::is_same_v<T, bf16>) return DType::bf16;
  else if constexpr (std::is_same_v<T, int32_t>) return DType::i32;
  else {
    static_assert(std::is_same_v<T, uint8_t>, "not an element type");
    return DType::u8;
  }
}

// The type a kernel computes and accumulates in.
template <class T> using Accumulate = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Calls f.template operator()<T>() with the element type; throws for types the op does not take.
template <class F> decltype(auto) dispatch_floating(DType dtype, std::string_view op, F&& f) {
  switch (dtype) {
    case DType::f32: return f.template operator()<float>();
    case DType::bf16: return f.template operator()<bf16>();
    case DType::f64: return f.template operator()<double>();
    default: break;
  }
  throw Error(with_scope(concat_text(op, ": takes f32, bf16 or f64, not ", name_of(dtype))));
}

// The same with any element type.
template <class F> decltype(auto) dispatch_any(DType dtype, F&& f) {
  if (dtype == DType::i32) return f.template operator()<int32_t>();
  if (dtype == DType::u8) return f.template operator()<uint8_t>();
  return dispatch_floating(dtype, "tensor", f);
}

// Calls f.template operator()<T>() with an unsigned type as wide as an element: for what moves bits
// and reads none.
template <class F> decltype(auto) dispatch_width(DType dtype, F&& f) {
  switch (size_of(dtype)) {
    case 1: return f.template operator()<uint8_t>();
    case 2: return f.template operator()<uint16_t>();
    case 4: return f.template operator()<uint32_t>();
    default: return f.template operator()<uint64_t>();
  }
}

}  // namespace passband
