// Softmax, step 1: as one would write it for a processor. A thread has a row, and goes over it
// three times: for the largest element, for the sum, for the result.
//
// Look at what the 32 threads of a warp read at once: elements that are a whole row apart. Each
// takes a sector of 32 bytes from memory, and uses 4 of them.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

__global__ void softmax_kernel(float* y, const float* x, int rows, int columns) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  x += row * columns;
  y += row * columns;
  float best = -INFINITY, total = 0;
  for (int i = 0; i < columns; ++i) best = max(best, x[i]);
  for (int i = 0; i < columns; ++i) total += expf(x[i] - best);
  for (int i = 0; i < columns; ++i) y[i] = expf(x[i] - best) / total;
}

}  // namespace

void softmax_1_naive(float* y, const float* x, int rows, int columns) {
  launch({.grid = static_cast<unsigned>((rows + 31) / 32), .block = 32}, softmax_kernel, y, x, rows,
         columns);
}

}  // namespace ladder
