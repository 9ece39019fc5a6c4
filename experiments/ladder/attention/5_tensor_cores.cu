// Attention, step 5: both products on tensor cores, one warp for 16 queries. The scores of 16 keys
// leave the first product in the registers in which the second wants its left side: they are
// rounded to bf16 where they lie, and never leave the warp.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kDepth = 32, kTile = 16, kPad = 8;  // keys of a tile

// Joined over the four lanes that share a row of a fragment.
__device__ float row_max(float x) {
  for (int d = 1; d < 4; d *= 2) x = max(x, __shfl_xor_sync(0xffffffffu, x, d));
  return x;
}

__global__ void attention_kernel(float* y, const bf16* q, const bf16* k, const bf16* v,
                                 int tokens) {
  SHARED(bf16, rows, [3][kTile][kDepth + kPad]);  // queries, keys, values
  const int lane = threadIdx.x, head = blockIdx.y * tokens * kDepth;
  const int first_query = head + blockIdx.x * kTile * kDepth, half = lane / 16 * 8;
  const auto fetch = [&](int which, const bf16* from) {
    for (int i = lane * 8; i < kTile * kDepth; i += 32 * 8)
      async_copy<16>(&rows[which][i / kDepth][i % kDepth], from + i);
  };
  uint32_t query[2][4], key[4], value[4];
  float sum[4][4] = {}, best[2] = {-INFINITY, -INFINITY}, total[2] = {};  // of rows g and g + 8
  fetch(0, q + first_query);
  for (int first = head; first < head + tokens * kDepth; first += kTile * kDepth) {
    fetch(1, k + first);
    fetch(2, v + first);
    async_copy_commit();
    async_copy_wait<0>();
    __syncwarp();
    float score[2][4] = {};  // 16 queries, twice 8 keys
    for (int p = 0; p < 2; ++p) {
      load_matrix_x4(query[p], &rows[0][lane % 16][p * 16 + half]);
      load_matrix_x4(key, &rows[1][lane % 16][p * 16 + half]);
      for (int j = 0; j < 2; ++j) mma_bf16_16x8x16(score[j], query[p], {key[j], key[j + 2]});
    }
    uint32_t weight[4];
    for (int r = 0; r < 2; ++r) {  // scores are in units of sqrt(depth)
      float *a = &score[0][2 * r], *b = &score[1][2 * r];
      const float now = max(best[r], row_max(max(max(a[0], a[1]), max(b[0], b[1]))));
      const float shrink = expf((best[r] - now) * rsqrtf(kDepth));
      best[r] = now;
      for (float* s : {a, a + 1, b, b + 1}) *s = expf((*s - now) * rsqrtf(kDepth));
      total[r] = total[r] * shrink + a[0] + a[1] + b[0] + b[1];
      for (int j = 0; j < 4; ++j) sum[j][2 * r] *= shrink, sum[j][2 * r + 1] *= shrink;
      weight[r] = bf16_pair(bf16(a[0]), bf16(a[1]));
      weight[r + 2] = bf16_pair(bf16(b[0]), bf16(b[1]));
    }
    for (int j = 0; j < 4; j += 2) {
      load_matrix_x4_transposed(value, &rows[2][lane % 16][j * 8 + half]);
      mma_bf16_16x8x16(sum[j], weight, {value[0], value[1]});
      mma_bf16_16x8x16(sum[j + 1], weight, {value[2], value[3]});
    }
    __syncwarp();
  }
  for (int r = 0; r < 2; ++r) {
    for (int d = 1; d < 4; d *= 2) total[r] += __shfl_xor_sync(0xffffffffu, total[r], d);
    float* to = y + first_query + (lane / 4 + 8 * r) * kDepth + lane % 4 * 2;
    for (int j = 0; j < 4; ++j)
      store_pack(to + j * 8,
                 Pack<float, 2>{{sum[j][2 * r] / total[r], sum[j][2 * r + 1] / total[r]}});
  }
}

}  // namespace

void attention_5_tensor_cores(float* y, const bf16* q, const bf16* k, const bf16* v, int heads,
                              int tokens) {
  const dim3 grid(static_cast<unsigned>(tokens / kTile), static_cast<unsigned>(heads));
  launch({.grid = grid, .block = 32}, attention_kernel, y, q, k, v, tokens);
}

}  // namespace ladder
