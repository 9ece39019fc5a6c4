// Sums and maxima over the threads of a warp or a block, always in the same order.
#pragma once
#include "tensor/cuda/device.cuh"

namespace passband::cuda {

inline constexpr unsigned kWholeWarp = 0xffffffffu;

// Folds the values of each group of `lanes` neighbouring threads (a power of two, at most 32);
// every thread of the group gets the result. All threads of the warp call.
template <class T, class Join>
__device__ __forceinline__ T warp_fold(T value, const Join& join, int lanes = 32) {
  for (int distance = lanes / 2; distance > 0; distance /= 2)
    value = join(value, __shfl_xor_sync(kWholeWarp, value, distance));
  return value;
}

template <class T> __device__ __forceinline__ T warp_sum(T value, int lanes = 32) {
  return warp_fold(
      value, [](T a, T b) { return a + b; }, lanes);
}

// NaN is passed over.
template <class T> __device__ __forceinline__ T warp_max(T value, int lanes = 32) {
  return warp_fold(
      value, [](T a, T b) { return max(a, b); }, lanes);
}

// Folds over a block of whole warps; every thread gets the result. `identity` joined with x is x.
template <class T, class Join> __device__ T block_fold(T value, T identity, const Join& join) {
  SHARED(T, partial, [32]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  value = warp_fold(value, join);
  __syncthreads();  // an earlier call may still be reading
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  return warp_fold(lane < warps ? partial[lane] : identity, join);
}

template <class T> __device__ T block_sum(T value) {
  return block_fold(value, T(0), [](T a, T b) { return a + b; });
}

template <class T> __device__ T block_max(T value) {
  return block_fold(value, -static_cast<T>(INFINITY), [](T a, T b) { return max(a, b); });
}

}  // namespace passband::cuda
