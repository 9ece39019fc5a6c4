// Convolution, step 2: the filters are laid out anew, once, so that neighbouring output channels
// are neighbours in memory: (3, 3, in, out). Turning them costs one reading and one writing of the
// filters; every place of the picture then reads them four whole sectors at a time.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

__global__ void turn_kernel(float* turned, const float* w, int length, int out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;  // of the result
  if (i < length * out) turned[i] = w[i % out * length + i / out];
}

__global__ void convolution_kernel(float* y, const float* x, const float* turned, int side, int in,
                                   int out) {
  const int o = blockIdx.x * 32 + threadIdx.x, place = blockIdx.y * 8 + threadIdx.y;
  const int row = place / side, column = place % side;
  float sum = 0;
  for (int tap = 0; tap < 9; ++tap) {
    const int r = row + tap / 3 - 1, c = column + tap % 3 - 1;
    if (r < 0 || r >= side || c < 0 || c >= side) continue;
    for (int i = 0; i < in; ++i)
      sum += x[(r * side + c) * in + i] * turned[(tap * in + i) * out + o];
  }
  y[place * out + o] = sum;
}

}  // namespace

void convolution_2_turned(float* y, const float* x, const float* w, int side, int in, int out,
                          float* scratch) {
  launch({.grid = static_cast<unsigned>((9 * in * out + 255) / 256), .block = 256}, turn_kernel,
         scratch, w, 9 * in, out);
  const dim3 grid(static_cast<unsigned>(out / 32), static_cast<unsigned>(side * side / 8));
  launch({.grid = grid, .block = dim3(32, 8)}, convolution_kernel, y, x, scratch, side, in, out);
}

}  // namespace ladder
