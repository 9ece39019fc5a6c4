// Vector accesses: a Pack is a few neighbouring elements that move in one instruction.
#pragma once
#include "tensor/cuda/launch.cuh"

namespace passband::cuda {

// N elements, aligned to their common size: 16 bytes at most for one instruction.
template <class T, int N> struct alignas(sizeof(T) * N) Pack {
  static_assert(sizeof(T) * N <= 16, "one instruction moves 16 bytes at most");
  T values[N];
  __host__ __device__ T& operator[](int i) { return values[i]; }
  __host__ __device__ const T& operator[](int i) const { return values[i]; }
};

// How many elements 16 bytes hold: 4 of f32, 8 of bf16.
template <class T> inline constexpr int kPackWidth = static_cast<int>(16 / sizeof(T));

// True where a Pack of N may be moved.
template <int N, class T> __host__ __device__ inline bool is_pack_aligned(const T* address) {
  return reinterpret_cast<uintptr_t>(address) % (sizeof(T) * N) == 0;
}

#if defined(__CUDACC__)

template <int N, class T> __device__ __forceinline__ Pack<T, N> load_pack(const T* address) {
  return *reinterpret_cast<const Pack<T, N>*>(address);
}
template <int N, class T>
__device__ __forceinline__ void store_pack(T* address, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(address) = pack;
}

#else

template <int N, class T>
Pack<T, N> load_pack(const T* address, std::source_location at = std::source_location::current()) {
  emulator::check_alignment(address, sizeof(T) * N, at);
  return *reinterpret_cast<const Pack<T, N>*>(address);
}
template <int N, class T>
void store_pack(T* address, const Pack<T, N>& pack,
                std::source_location at = std::source_location::current()) {
  emulator::check_alignment(address, sizeof(T) * N, at);
  *reinterpret_cast<Pack<T, N>*>(address) = pack;
}

#endif

}  // namespace passband::cuda
