// c = a b, step 5: 16 bytes a reading. The four columns of a thread are neighbours, so one
// instruction brings them; a's tile is turned on its way into shared memory, so that its four rows
// are neighbours too. Eight readings become two, and threads read whole lines of banks.
//
// Turning means to write down a column: 16 threads would write to one bank. Rows of 64 + 4 words
// move each element of a column to another bank.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kTile = 64, kPadded = kTile + 4, kDepth = 16, kEach = 4, kThreads = 256;

__global__ void matmul_kernel(float* c, const float* a, const float* b, int n, int k) {
  SHARED(float, tile_a, [kDepth][kPadded]);  // turned
  SHARED(float, tile_b, [kDepth][kTile]);
  const int t = threadIdx.x, x = t % 16 * kEach, y = t / 16 * kEach;
  a += blockIdx.y * kTile * k;
  b += blockIdx.x * kTile;
  c += blockIdx.y * kTile * n + blockIdx.x * kTile;
  float sum[kEach][kEach] = {};
  for (int first = 0; first < k; first += kDepth) {
    for (int i = t; i < kTile * kDepth; i += kThreads)
      tile_a[i % kDepth][i / kDepth] = a[i / kDepth * k + first + i % kDepth];
    store_pack(&tile_b[t / 16][x], load_pack<4>(&b[(first + t / 16) * n + x]));
    __syncthreads();
    for (int p = 0; p < kDepth; ++p) {
      const Pack<float, 4> left = load_pack<4>(&tile_a[p][y]), right = load_pack<4>(&tile_b[p][x]);
      for (int i = 0; i < kEach; ++i)
        for (int j = 0; j < kEach; ++j) sum[i][j] += left[i] * right[j];
    }
    __syncthreads();
  }
  for (int i = 0; i < kEach; ++i)
    store_pack(&c[(y + i) * n + x], Pack<float, 4>{{sum[i][0], sum[i][1], sum[i][2], sum[i][3]}});
}

}  // namespace

void matmul_5_packs(float* c, const float* a, const float* b, int m, int n, int k) {
  const dim3 grid(static_cast<unsigned>(n / kTile), static_cast<unsigned>(m / kTile));
  launch({.grid = grid, .block = kThreads}, matmul_kernel, c, a, b, n, k);
}

}  // namespace ladder
