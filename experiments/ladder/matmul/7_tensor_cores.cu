// c = a b, step 7: tensor cores. One instruction of a warp (mma) multiplies 16 x 16 by 16 x 8
// numbers of bf16 and adds in f32: 2,048 products, for which step 6 takes 64 instructions of
// multiplying. Its operands lie in the registers of the whole warp in an order of their own, which
// ldmatrix makes from rows of 16 bytes; rows padded by 8 elements keep those from meeting in a
// bank.
//
// The price is precision: bf16 keeps 8 bits of a and b.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kTile = 64, kDepth = 32, kPad = 8, kThreads = 128, kWide = 8;  // of bf16 in 16 bytes

__device__ void multiply(float (&sum)[2][4][4], const bf16 (&tile_a)[kTile][kDepth + kPad],
                         const bf16 (&tile_b)[kDepth][kTile + kPad], int y, int x) {
  const int row = threadIdx.x % 16, half = threadIdx.x % 32 / 16 * kWide;
  for (int p = 0; p < kDepth; p += 16) {
    uint32_t left[2][4], right[2][4];
    for (int i = 0; i < 2; ++i) load_matrix_x4(left[i], &tile_a[y + i * 16 + row][p + half]);
    for (int j = 0; j < 2; ++j)
      load_matrix_x4_transposed(right[j], &tile_b[p + row][x + j * 16 + half]);
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 4; ++j)
        mma_bf16_16x8x16(sum[i][j], left[i],
                         {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]});
  }
}

__global__ void matmul_kernel(float* c, const bf16* a, const bf16* b, int n, int k) {
  SHARED(bf16, tile_a, [kTile][kDepth + kPad]);
  SHARED(bf16, tile_b, [kDepth][kTile + kPad]);
  const int t = threadIdx.x, warp = t / 32, y = warp / 2 * 32, x = warp % 2 * 32;
  a += blockIdx.y * kTile * k;
  b += blockIdx.x * kTile;
  c += blockIdx.y * kTile * n + blockIdx.x * kTile;
  float sum[2][4][4] = {};  // of a warp: 32 x 32
  for (int first = 0; first < k; first += kDepth) {
    for (int i = t * kWide; i < kTile * kDepth; i += kThreads * kWide) {
      const int column = i % kDepth, row = i / kDepth;
      async_copy<16>(&tile_a[row][column], &a[row * k + first + column]);
      async_copy<16>(&tile_b[i / kTile][i % kTile], &b[(first + i / kTile) * n + i % kTile]);
    }
    async_copy_commit();
    async_copy_wait<0>();
    __syncthreads();
    multiply(sum, tile_a, tile_b, y, x);
    __syncthreads();
  }
  const int group = t % 32 / 4, pair = t % 4 * 2;
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j)
      for (int r = 0; r < 4; r += 2) {
        float* to = &c[(y + i * 16 + group + r / 2 * 8) * n + x + j * 8 + pair];
        store_pack(to, Pack<float, 2>{{sum[i][j][r], sum[i][j][r + 1]}});
      }
}

}  // namespace

void matmul_7_tensor_cores(float* c, const bf16* a, const bf16* b, int m, int n, int k) {
  const dim3 grid(static_cast<unsigned>(n / kTile), static_cast<unsigned>(m / kTile));
  launch({.grid = grid, .block = kThreads}, matmul_kernel, c, a, b, n, k);
}

}  // namespace ladder
