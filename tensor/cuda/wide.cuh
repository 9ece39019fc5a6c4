// Eight neighbouring channels widened to f32: what one thread of a kernel along channels works on,
// 16 bytes of bf16 or twice 16 bytes of f32 in one access each.
#pragma once
#include "tensor/cuda/device.cuh"

namespace passband::cuda {

inline constexpr int kWide = 8;

struct Wide {
  float values[kWide];
  __host__ __device__ float& operator[](int i) { return values[i]; }
  __host__ __device__ const float& operator[](int i) const { return values[i]; }
};

// Groups of eight that hold `columns` channels.
__host__ __device__ inline int wide_groups(int64_t columns) {
  return static_cast<int>((columns + kWide - 1) / kWide);
}

// Whether each group of eight of a row of `columns` channels is whole and aligned at each of these
// addresses (null ones do not count): then `packed` may be passed below.
template <class... T> bool rows_are_packed(int64_t columns, const T*... addresses) {
  return columns % kWide == 0 && (is_pack_aligned<kPackWidth<T>>(addresses) && ...);
}

// Eight neighbouring elements as they lie in memory: half the registers of the same in f32, where
// several are under way.
template <class T> struct alignas(16) Eight { T values[kWide]; };

// The first `count` of them, and zeros; all of them, from an aligned address, when `packed`.
template <bool packed, class T>
__device__ __forceinline__ Eight<T> load_eight(const T* __restrict__ from, int count) {
  Eight<T> eight;
#pragma unroll
  for (int i = 0; i < kWide; i += kPackWidth<T>) {
    if constexpr (packed) {
      store_pack(eight.values + i, load_pack<kPackWidth<T>>(from + i));
    } else {
#pragma unroll
      for (int k = i; k < i + kPackWidth<T>; ++k) eight.values[k] = k < count ? from[k] : T(0.0f);
    }
  }
  return eight;
}

template <class T> __device__ __forceinline__ Wide widen(const Eight<T>& eight) {
  Wide wide;
#pragma unroll
  for (int i = 0; i < kWide; ++i) wide[i] = static_cast<float>(eight.values[i]);
  return wide;
}

// The first `count` of eight elements; zeros after them.
template <class T>
__device__ __forceinline__ Wide load_wide(const T* __restrict__ from, int count, bool packed) {
  Wide wide;
  if (packed) {
#pragma unroll
    for (int i = 0; i < kWide; i += kPackWidth<T>) {
      const auto pack = load_pack<kPackWidth<T>>(from + i);
#pragma unroll
      for (int k = 0; k < kPackWidth<T>; ++k) wide[i + k] = pack[k];
    }
    return wide;
  }
#pragma unroll
  for (int i = 0; i < kWide; ++i) wide[i] = i < count ? static_cast<float>(from[i]) : 0.0f;
  return wide;
}

template <class T>
__device__ __forceinline__ void store_wide(T* to, const Wide& wide, int count, bool packed) {
  if (packed) {
#pragma unroll
    for (int i = 0; i < kWide; i += kPackWidth<T>) {
      Pack<T, kPackWidth<T>> pack;
#pragma unroll
      for (int k = 0; k < kPackWidth<T>; ++k) pack[k] = T(wide[i + k]);
      store_pack(to + i, pack);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kWide; ++i)
    if (i < count) to[i] = T(wide[i]);
}

// Calls f.template operator()<T>() for the types that kernels on the GPU are made for.
template <class F> void dispatch_f32_bf16(DType dtype, const char* op, F&& f) {
  switch (dtype) {
    case DType::f32: return f.template operator()<float>();
    case DType::bf16: return f.template operator()<bf16>();
    default: break;
  }
  throw Error(with_scope(concat_text(op, ": takes f32 or bf16 on a GPU, not ", name_of(dtype),
                                     "; compute in f32, or on the CPU")));
}

}  // namespace passband::cuda
