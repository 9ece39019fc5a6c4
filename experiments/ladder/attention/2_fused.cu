// Attention, step 2: one kernel. A warp has a query, and keeps its row of scores in shared memory
// from the first product to the last: of what grows with the square of the tokens, nothing is left
// in global memory. But every query reads all keys and values for itself, and 32 keys at once are
// 32 sectors.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kDepth = 32, kWarps = 8;

__global__ void attention_kernel(float* y, const float* q, const float* k, const float* v,
                                 int tokens) {
  DYNAMIC_SHARED(float, rows);  // (warps, tokens)
  const int lane = threadIdx.x, query = blockIdx.x * kWarps + threadIdx.y;
  float* const row = rows + threadIdx.y * tokens;
  q += (blockIdx.y * tokens + query) * kDepth;
  k += blockIdx.y * tokens * kDepth;
  v += blockIdx.y * tokens * kDepth;
  float best = -INFINITY, total = 0, sum = 0;
  for (int key = lane; key < tokens; key += 32) {
    float score = 0;
    for (int i = 0; i < kDepth; ++i) score += q[i] * k[key * kDepth + i];
    row[key] = score * rsqrtf(kDepth);
    best = max(best, row[key]);
  }
  for (int d = 16; d > 0; d /= 2) best = max(best, __shfl_xor_sync(0xffffffffu, best, d));
  for (int key = lane; key < tokens; key += 32) total += row[key] = expf(row[key] - best);
  for (int d = 16; d > 0; d /= 2) total += __shfl_xor_sync(0xffffffffu, total, d);
  __syncwarp();  // from here on a lane reads what others have written
  for (int key = 0; key < tokens; ++key) sum += row[key] * v[key * kDepth + lane];
  y[(blockIdx.y * tokens + query) * kDepth + lane] = sum / total;
}

}  // namespace

void attention_2_fused(float* y, const float* q, const float* k, const float* v, int heads,
                       int tokens) {
  const dim3 grid(static_cast<unsigned>(tokens / kWarps), static_cast<unsigned>(heads));
  launch({.grid = grid,
          .block = dim3(32, kWarps),
          .shared_bytes = static_cast<size_t>(kWarps * tokens) * sizeof(float)},
         attention_kernel, y, q, k, v, tokens);
}

}  // namespace ladder
