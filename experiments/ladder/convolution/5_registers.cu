// Convolution, step 5: 4 x 4 results a thread, and 16 bytes a reading of shared memory, as in step
// 5 of the ladder of matmul. Both tiles are turned on their way in; rows of 4 words more keep most
// of a column's elements in banks of their own.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kPlaces = 64, kChannels = 32, kDepth = 16, kEach = 4, kThreads = 128;

__global__ void convolution_kernel(float* y, const float* x, const float* w, int side, int in,
                                   int out) {
  SHARED(float, tile_x, [kDepth][kPlaces + 4]);
  SHARED(float, tile_w, [kDepth][kChannels + 4]);
  const int t = threadIdx.x, place = blockIdx.y * kPlaces, first = blockIdx.x * kChannels;
  const int across = t % 8 * kEach, down = t / 8 * kEach;
  float sum[kEach][kEach] = {};
  for (int p = 0; p < 9 * in; p += kDepth) {
    const int tap = p / in, channel = p % in + t % kDepth;
    for (int i = t / kDepth; i < kPlaces; i += kThreads / kDepth) {
      const int at = place + i, r = at / side + tap / 3 - 1, c = at % side + tap % 3 - 1;
      const bool inside = r >= 0 && r < side && c >= 0 && c < side;
      tile_x[t % kDepth][i] = inside ? x[(r * side + c) * in + channel] : 0.0f;
    }
    for (int i = t / kDepth; i < kChannels; i += kThreads / kDepth)
      tile_w[t % kDepth][i] = w[(first + i) * 9 * in + p + t % kDepth];
    __syncthreads();
    for (int k = 0; k < kDepth; ++k) {
      const Pack<float, 4> left = load_pack<4>(&tile_x[k][down]);
      const Pack<float, 4> right = load_pack<4>(&tile_w[k][across]);
      for (int i = 0; i < kEach; ++i)
        for (int j = 0; j < kEach; ++j) sum[i][j] += left[i] * right[j];
    }
    __syncthreads();
  }
  for (int i = 0; i < kEach; ++i) {
    float* to = &y[(place + down + i) * out + first + across];
    store_pack(to, Pack<float, 4>{{sum[i][0], sum[i][1], sum[i][2], sum[i][3]}});
  }
}

}  // namespace

void convolution_5_registers(float* y, const float* x, const float* w, int side, int in, int out) {
  const dim3 grid(static_cast<unsigned>(out / kChannels),
                  static_cast<unsigned>(side * side / kPlaces));
  launch({.grid = grid, .block = kThreads}, convolution_kernel, y, x, w, side, in, out);
}

}  // namespace ladder
