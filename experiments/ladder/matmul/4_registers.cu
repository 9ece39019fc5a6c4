// c = a b, step 4: in step 3 every product takes two readings of shared memory. Here a thread has
// 4 x 4 elements of c in registers: 8 readings serve 16 products.
//
// Count the conflicts: a thread's columns begin 4 apart, so threads 0 and 8 of a row read different
// words of one bank, and two rows of tile_a lie a multiple of 32 words apart.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kTile = 64, kDepth = 16, kEach = 4, kThreads = 256;

__global__ void matmul_kernel(float* c, const float* a, const float* b, int n, int k) {
  SHARED(float, tile_a, [kTile][kDepth]);
  SHARED(float, tile_b, [kDepth][kTile]);
  const int t = threadIdx.x, x = t % 16 * kEach, y = t / 16 * kEach;
  a += blockIdx.y * kTile * k;
  b += blockIdx.x * kTile;
  c += blockIdx.y * kTile * n + blockIdx.x * kTile;
  float sum[kEach][kEach] = {};
  for (int first = 0; first < k; first += kDepth) {
    for (int i = t; i < kTile * kDepth; i += kThreads) {
      tile_a[i / kDepth][i % kDepth] = a[i / kDepth * k + first + i % kDepth];
      tile_b[i / kTile][i % kTile] = b[(first + i / kTile) * n + i % kTile];
    }
    __syncthreads();
    for (int p = 0; p < kDepth; ++p) {
      float left[kEach], right[kEach];
      for (int i = 0; i < kEach; ++i) left[i] = tile_a[y + i][p];
      for (int j = 0; j < kEach; ++j) right[j] = tile_b[p][x + j];
      for (int i = 0; i < kEach; ++i)
        for (int j = 0; j < kEach; ++j) sum[i][j] += left[i] * right[j];
    }
    __syncthreads();
  }
  for (int i = 0; i < kEach; ++i)
    for (int j = 0; j < kEach; ++j) c[(y + i) * n + x + j] = sum[i][j];
}

}  // namespace

void matmul_4_registers(float* c, const float* a, const float* b, int m, int n, int k) {
  const dim3 grid(static_cast<unsigned>(n / kTile), static_cast<unsigned>(m / kTile));
  launch({.grid = grid, .block = kThreads}, matmul_kernel, c, a, b, n, k);
}

}  // namespace ladder
