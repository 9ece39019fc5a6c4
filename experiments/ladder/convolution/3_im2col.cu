// Convolution, step 3: write down every window as a row of a matrix (im2col); then the convolution
// is one matrix product, and tiles in shared memory do for it what they did in the ladder of
// matmul. The matrix is nine times the picture: written once, read once for 32 output channels.
//
// w is read with its columns as rows: the tile is turned as it is stored, and padded by a word so
// that a column of it meets 32 banks.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kTile = 32, kDepth = 16;

__global__ void windows_kernel(float* windows, const float* x, int side, int in) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, place = i / (9 * in);
  if (place >= side * side) return;
  const int tap = i / in % 9, r = place / side + tap / 3 - 1, c = place % side + tap % 3 - 1;
  const bool inside = r >= 0 && r < side && c >= 0 && c < side;
  windows[i] = inside ? x[(r * side + c) * in + i % in] : 0.0f;
}

__global__ void product_kernel(float* y, const float* windows, const float* w, int length,
                               int out) {
  SHARED(float, tile_x, [kTile][kDepth]);
  SHARED(float, tile_w, [kDepth][kTile + 1]);  // turned
  const int t = threadIdx.x, place = blockIdx.y * kTile, first = blockIdx.x * kTile;
  float sum[4] = {};
  for (int p = 0; p < length; p += kDepth) {
    for (int i = t; i < kTile * kDepth; i += 256) {
      tile_x[i / kDepth][i % kDepth] = windows[(place + i / kDepth) * length + p + i % kDepth];
      tile_w[i % kDepth][i / kDepth] = w[(first + i / kDepth) * length + p + i % kDepth];
    }
    __syncthreads();
    for (int j = 0; j < 4; ++j)
      for (int i = 0; i < kDepth; ++i) sum[j] += tile_x[t / 32 + 8 * j][i] * tile_w[i][t % 32];
    __syncthreads();
  }
  for (int j = 0; j < 4; ++j) y[(place + t / 32 + 8 * j) * out + first + t % 32] = sum[j];
}

}  // namespace

void convolution_3_im2col(float* y, const float* x, const float* w, int side, int in, int out,
                          float* scratch) {
  const int places = side * side;
  launch({.grid = static_cast<unsigned>((places * 9 * in + 255) / 256), .block = 256},
         windows_kernel, scratch, x, side, in);
  const dim3 grid(static_cast<unsigned>(out / kTile), static_cast<unsigned>(places / kTile));
  launch({.grid = grid, .block = 256}, product_kernel, y, scratch, w, 9 * in, out);
}

}  // namespace ladder
