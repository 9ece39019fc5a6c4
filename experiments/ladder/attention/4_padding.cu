// Attention, step 4: one word. Rows of the tile of keys are 33 words long instead of 32, so the
// same channel of 32 keys lies in 32 banks. Nothing else has changed.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kDepth = 32, kWarps = 8, kTile = 32;

__global__ void attention_kernel(float* y, const float* q, const float* k, const float* v,
                                 int tokens) {
  SHARED(float, queries, [kWarps][kDepth]);
  SHARED(float, tile_k, [kTile][kDepth + 1]);
  SHARED(float, tile_v, [kTile][kDepth]);
  const int lane = threadIdx.x, warp = threadIdx.y, query = blockIdx.x * kWarps + warp;
  const int head = blockIdx.y * tokens * kDepth;
  queries[warp][lane] = q[head + query * kDepth + lane] * rsqrtf(kDepth);
  float best = -INFINITY, total = 0, sum = 0;
  for (int first = 0; first < tokens; first += kTile) {
    for (int key = warp; key < kTile; key += kWarps) {
      tile_k[key][lane] = k[head + (first + key) * kDepth + lane];
      tile_v[key][lane] = v[head + (first + key) * kDepth + lane];
    }
    __syncthreads();
    float score = 0;  // of this lane's key
    for (int i = 0; i < kDepth; ++i) score += queries[warp][i] * tile_k[lane][i];
    float highest = score;
    for (int d = 16; d > 0; d /= 2)
      highest = max(highest, __shfl_xor_sync(0xffffffffu, highest, d));
    const float now = max(best, highest), weight = expf(score - now), shrink = expf(best - now);
    best = now;
    total = total * shrink + weight;  // of this lane's keys; joined at the end
    sum *= shrink;                    // of this lane's channel
    for (int key = 0; key < kTile; ++key)
      sum += __shfl_sync(0xffffffffu, weight, key) * tile_v[key][lane];
    __syncthreads();
  }
  for (int d = 16; d > 0; d /= 2) total += __shfl_xor_sync(0xffffffffu, total, d);
  y[head + query * kDepth + lane] = sum / total;
}

}  // namespace

void attention_4_padding(float* y, const float* q, const float* k, const float* v, int heads,
                         int tokens) {
  const dim3 grid(static_cast<unsigned>(tokens / kWarps), static_cast<unsigned>(heads));
  launch({.grid = grid, .block = dim3(32, kWarps)}, attention_kernel, y, q, k, v, tokens);
}

}  // namespace ladder
