// Softmax, step 2: a block of 256 threads has a row, and neighbouring threads have neighbouring
// elements. Now a warp's 32 reads are four whole sectors: the bytes moved are the bytes asked for.
//
// The price: the threads must join what they found, in shared memory, over a tree. In this one the
// threads that still work stay side by side while their elements move apart, so that they meet in
// the same bank: 2, 4, 8, 16 of them at once.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kThreads = 256;

template <class Join> __device__ float join_block(float value, const Join& join) {
  SHARED(float, partial, [kThreads]);
  const int t = threadIdx.x;
  partial[t] = value;
  __syncthreads();
  for (int distance = 1; distance < kThreads; distance *= 2) {
    const int i = 2 * distance * t;
    if (i + distance < kThreads) partial[i] = join(partial[i], partial[i + distance]);
    __syncthreads();
  }
  const float result = partial[0];
  __syncthreads();  // the next call writes again
  return result;
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

void softmax_2_coalesced(float* y, const float* x, int rows, int columns) {
  launch({.grid = static_cast<unsigned>(rows), .block = kThreads}, softmax_kernel, y, x, columns);
}

}  // namespace ladder
