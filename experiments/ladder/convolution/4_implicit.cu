// Convolution, step 4: the same product, but nobody writes the matrix of windows down. Whoever
// brings a piece of it into shared memory works out where in the picture it comes from (implicit
// im2col). As `in` is a multiple of 16, the 16 columns of a tile belong to one tap of the window.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kTile = 32, kDepth = 16;

__global__ void convolution_kernel(float* y, const float* x, const float* w, int side, int in,
                                   int out) {
  SHARED(float, tile_x, [kTile][kDepth]);
  SHARED(float, tile_w, [kDepth][kTile + 1]);  // turned
  const int t = threadIdx.x, place = blockIdx.y * kTile, first = blockIdx.x * kTile;
  float sum[4] = {};
  for (int p = 0; p < 9 * in; p += kDepth) {
    const int tap = p / in, channel = p % in;
    for (int i = t; i < kTile * kDepth; i += 256) {
      const int at = place + i / kDepth, r = at / side + tap / 3 - 1, c = at % side + tap % 3 - 1;
      const bool inside = r >= 0 && r < side && c >= 0 && c < side;
      tile_x[i / kDepth][i % kDepth] =
          inside ? x[(r * side + c) * in + channel + i % kDepth] : 0.0f;
      tile_w[i % kDepth][i / kDepth] = w[(first + i / kDepth) * 9 * in + p + i % kDepth];
    }
    __syncthreads();
    for (int j = 0; j < 4; ++j)
      for (int i = 0; i < kDepth; ++i) sum[j] += tile_x[t / 32 + 8 * j][i] * tile_w[i][t % 32];
    __syncthreads();
  }
  for (int j = 0; j < 4; ++j) y[(place + t / 32 + 8 * j) * out + first + t % 32] = sum[j];
}

}  // namespace

void convolution_4_implicit(float* y, const float* x, const float* w, int side, int in, int out) {
  const dim3 grid(static_cast<unsigned>(out / kTile), static_cast<unsigned>(side * side / kTile));
  launch({.grid = grid, .block = 256}, convolution_kernel, y, x, w, side, in, out);
}

}  // namespace ladder
