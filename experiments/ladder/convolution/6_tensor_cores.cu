// Convolution, step 6: implicit im2col into tensor cores. cp.async brings 8 channels of bf16 at
// once and writes zeros where the window leaves the picture. A filter's row lies as the instruction
// wants its right side: no turning, ldmatrix does it on the way (not transposed here: w is (out,
// k)).
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kPlaces = 64, kChannels = 32, kDepth = 16, kPad = 8, kThreads = 128;

__global__ void convolution_kernel(float* y, const bf16* x, const bf16* w, int side, int in,
                                   int out) {
  SHARED(bf16, tile_x, [kPlaces][kDepth + kPad]);
  SHARED(bf16, tile_w, [kChannels][kDepth + kPad]);
  const int t = threadIdx.x, lane = t % 32, warp = t / 32;
  const int place = blockIdx.y * kPlaces, first = blockIdx.x * kChannels;
  const int half = t % 2 * 8, at = place + t / 2, row = at / side, column = at % side;
  float sum[4][4] = {};  // of a warp: 16 places, 32 channels
  for (int p = 0; p < 9 * in; p += kDepth) {
    const int tap = p / in, r = row + tap / 3 - 1, c = column + tap % 3 - 1;
    const bool inside = r >= 0 && r < side && c >= 0 && c < side;
    const bf16* from = inside ? &x[(r * side + c) * in + p % in + half] : x;
    async_copy<16>(&tile_x[t / 2][half], from, inside);
    if (t < 2 * kChannels)
      async_copy<16>(&tile_w[t / 2][half], &w[(first + t / 2) * 9 * in + p + half]);
    async_copy_commit();
    async_copy_wait<0>();
    __syncthreads();
    uint32_t left[4], right[2][4];
    load_matrix_x4(left, &tile_x[warp * 16 + lane % 16][lane / 16 * 8]);
    for (int j = 0; j < 2; ++j)
      load_matrix_x4(right[j], &tile_w[j * 16 + lane % 16][lane / 16 * 8]);
    for (int j = 0; j < 4; ++j)
      mma_bf16_16x8x16(sum[j], left, {right[j / 2][j % 2], right[j / 2][j % 2 + 2]});
    __syncthreads();
  }
  float* to = &y[(place + warp * 16 + lane / 4) * out + first + lane % 4 * 2];
  for (int j = 0; j < 4; ++j) {
    store_pack(to + j * 8, Pack<float, 2>{{sum[j][0], sum[j][1]}});
    store_pack(to + 8 * out + j * 8, Pack<float, 2>{{sum[j][2], sum[j][3]}});
  }
}

}  // namespace

void convolution_6_tensor_cores(float* y, const bf16* x, const bf16* w, int side, int in, int out) {
  const dim3 grid(static_cast<unsigned>(out / kChannels),
                  static_cast<unsigned>(side * side / kPlaces));
  launch({.grid = grid, .block = kThreads}, convolution_kernel, y, x, w, side, in, out);
}

}  // namespace ladder
