// Softmax, step 4: the threads of a warp run together and can read each other's registers
// (__shfl_xor_sync): no memory, no barrier. Shared memory is left with one number a warp, and a
// block waits twice for a sum instead of ten times.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kThreads = 256, kWarps = kThreads / 32;

// The values of `lanes` neighbouring threads, joined; each of them gets the result.
template <class Join> __device__ float join_warp(float value, const Join& join, int lanes = 32) {
  for (int distance = lanes / 2; distance > 0; distance /= 2)
    value = join(value, __shfl_xor_sync(0xffffffffu, value, distance));
  return value;
}

template <class Join> __device__ float join_block(float value, const Join& join) {
  SHARED(float, partial, [kWarps]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  value = join_warp(value, join);
  __syncthreads();  // an earlier call may still be reading
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  return join_warp(partial[lane % kWarps], join, kWarps);
}

__global__ void softmax_kernel(float* y, const float* x, int columns) {
  x += blockIdx.x * columns;
  y += blockIdx.x * columns;
  float best = -INFINITY, total = 0;
  for (int i = threadIdx.x; i < columns; i += kThreads) best = max(best, x[i]);
  best = join_block(best, [](float a, float b) { return max(a, b); });
  for (int i = threadIdx.x; i < columns; i += kThreads) total += expf(x[i] - best);
  total = join_block(total, [](float a, float b) { return a + b; });
  for (int i = threadIdx.x; i < columns; i += kThreads) y[i] = expf(x[i] - best) / total;
}

}  // namespace

void softmax_4_shuffles(float* y, const float* x, int rows, int columns) {
  launch({.grid = static_cast<unsigned>(rows), .block = kThreads}, softmax_kernel, y, x, columns);
}

}  // namespace ladder
