// c = a b, step 6: while a block multiplies one pair of tiles, the next is on its way (cp.async),
// into the other of two buffers. One barrier a tile is enough: whoever has passed it knows that the
// new tile is there, and that nobody reads the old one any more. The bytes stay the same; what
// changes is that the multipliers need not wait for them, and that they pass by the registers.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kTile = 64, kPadded = kTile + 4, kDepth = 16, kEach = 4, kThreads = 256;

struct Tiles {
  float a[kDepth][kPadded];  // turned
  float b[kDepth][kTile];
};

__device__ void fetch(Tiles& tiles, const float* a, const float* b, int n, int k) {
  const int t = threadIdx.x;
  for (int i = t; i < kTile * kDepth; i += kThreads)
    async_copy<4>(&tiles.a[i % kDepth][i / kDepth], &a[i / kDepth * k + i % kDepth]);
  async_copy<16>(&tiles.b[t / 16][t % 16 * 4], &b[t / 16 * n + t % 16 * 4]);
  async_copy_commit();
}

__global__ void matmul_kernel(float* c, const float* a, const float* b, int n, int k) {
  SHARED(Tiles, tiles, [2]);
  const int t = threadIdx.x, x = t % 16 * kEach, y = t / 16 * kEach;
  a += blockIdx.y * kTile * k;
  b += blockIdx.x * kTile;
  c += blockIdx.y * kTile * n + blockIdx.x * kTile;
  float sum[kEach][kEach] = {};
  fetch(tiles[0], a, b, n, k);
  for (int first = 0; first < k; first += kDepth) {
    const Tiles& now = tiles[first / kDepth % 2];
    async_copy_wait<0>();
    __syncthreads();
    const int next = first + kDepth;
    if (next < k) fetch(tiles[next / kDepth % 2], a + next, b + next * n, n, k);
    for (int p = 0; p < kDepth; ++p) {
      const Pack<float, 4> left = load_pack<4>(&now.a[p][y]), right = load_pack<4>(&now.b[p][x]);
      for (int i = 0; i < kEach; ++i)
        for (int j = 0; j < kEach; ++j) sum[i][j] += left[i] * right[j];
    }
  }
  for (int i = 0; i < kEach; ++i)
    store_pack(&c[(y + i) * n + x], Pack<float, 4>{{sum[i][0], sum[i][1], sum[i][2], sum[i][3]}});
}

}  // namespace

void matmul_6_pipeline(float* c, const float* a, const float* b, int m, int n, int k) {
  const dim3 grid(static_cast<unsigned>(n / kTile), static_cast<unsigned>(m / kTile));
  launch({.grid = grid, .block = kThreads}, matmul_kernel, c, a, b, n, k);
}

}  // namespace ladder
