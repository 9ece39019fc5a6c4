// Convolution, step 1: a thread has an element of the result, and goes through the window and its
// channels. Neighbouring threads have neighbouring output channels: they share each element of x,
// and read filters that lie 9 `in` apart: a sector of 32 bytes for 4.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

__global__ void convolution_kernel(float* y, const float* x, const float* w, int side, int in,
                                   int out) {
  const int o = blockIdx.x * 32 + threadIdx.x, place = blockIdx.y * 8 + threadIdx.y;
  const int row = place / side, column = place % side;
  float sum = 0;
  for (int tap = 0; tap < 9; ++tap) {
    const int r = row + tap / 3 - 1, c = column + tap % 3 - 1;
    if (r < 0 || r >= side || c < 0 || c >= side) continue;
    for (int i = 0; i < in; ++i) sum += x[(r * side + c) * in + i] * w[(o * 9 + tap) * in + i];
  }
  y[place * out + o] = sum;
}

}  // namespace

void convolution_1_naive(float* y, const float* x, const float* w, int side, int in, int out) {
  const dim3 grid(static_cast<unsigned>(out / 32), static_cast<unsigned>(side * side / 8));
  launch({.grid = grid, .block = dim3(32, 8)}, convolution_kernel, y, x, w, side, in, out);
}

}  // namespace ladder
