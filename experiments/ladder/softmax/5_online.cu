// Softmax, step 5: largest element and sum in one pass (Milakov and Gimelshein 2018). When a larger
// element turns up, the sum so far was made for another maximum: exp(old - new) mends it. Two
// readings of the row instead of three, and one joining instead of two.
//
// This is the step that attention is built on: a sum of exponentials that can grow piece by piece.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kThreads = 256, kWarps = kThreads / 32;

struct Running {
  float best, total;  // total = sum of exp(x - best)
};

__device__ Running join(Running a, Running b) {
  const float best = max(a.best, b.best);
  return {best, a.total * expf(a.best - best) + b.total * expf(b.best - best)};
}

__device__ Running join_warp(Running mine, int lanes = 32) {
  for (int distance = lanes / 2; distance > 0; distance /= 2)
    mine = join(mine, {__shfl_xor_sync(0xffffffffu, mine.best, distance),
                       __shfl_xor_sync(0xffffffffu, mine.total, distance)});
  return mine;
}

__global__ void softmax_kernel(float* y, const float* x, int columns) {
  SHARED(Running, partial, [kWarps]);
  x += blockIdx.x * columns;
  y += blockIdx.x * columns;
  Running all{x[threadIdx.x], 1};
  for (int i = threadIdx.x + kThreads; i < columns; i += kThreads) all = join(all, {x[i], 1});
  all = join_warp(all);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = all;
  __syncthreads();
  all = join_warp(partial[threadIdx.x % kWarps], kWarps);
  for (int i = threadIdx.x; i < columns; i += kThreads) y[i] = expf(x[i] - all.best) / all.total;
}

}  // namespace

void softmax_5_online(float* y, const float* x, int rows, int columns) {
  launch({.grid = static_cast<unsigned>(rows), .block = kThreads}, softmax_kernel, y, x, columns);
}

}  // namespace ladder
