// Softmax, step 3: the same tree, folded from the other side. Each round joins the lower half with
// the upper half, so that the threads that work have neighbouring elements: every bank is asked
// once, and whole warps fall idle instead of parts of all.
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
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (t < half) partial[t] = join(partial[t], partial[t + half]);
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

void softmax_3_sequential(float* y, const float* x, int rows, int columns) {
  launch({.grid = static_cast<unsigned>(rows), .block = kThreads}, softmax_kernel, y, x, columns);
}

}  // namespace ladder
