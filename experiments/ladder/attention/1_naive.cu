// Attention, step 1: three kernels, as the formula has three parts: scores, softmax, weighted sum.
// The tokens x tokens scores of each head are written, read, written, and read again; they grow
// with the square of the tokens, all else with their number.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kDepth = 32;

// A thread a score; blockIdx.z is the head.
__global__ void scores_kernel(float* scores, const float* q, const float* k, int tokens) {
  const int query = blockIdx.y * 8 + threadIdx.y, key = blockIdx.x * 32 + threadIdx.x;
  q += (blockIdx.z * tokens + query) * kDepth;
  k += (blockIdx.z * tokens + key) * kDepth;
  float sum = 0;
  for (int i = 0; i < kDepth; ++i) sum += q[i] * k[i];
  scores[(blockIdx.z * tokens + query) * tokens + key] = sum * rsqrtf(kDepth);
}

// A warp a row, in place.
__global__ void softmax_kernel(float* scores, int tokens) {
  float* row = scores + (blockIdx.x * 8 + threadIdx.y) * tokens;
  float best = -INFINITY, total = 0;
  for (int i = threadIdx.x; i < tokens; i += 32) best = max(best, row[i]);
  for (int d = 16; d > 0; d /= 2) best = max(best, __shfl_xor_sync(0xffffffffu, best, d));
  for (int i = threadIdx.x; i < tokens; i += 32) total += expf(row[i] - best);
  for (int d = 16; d > 0; d /= 2) total += __shfl_xor_sync(0xffffffffu, total, d);
  for (int i = threadIdx.x; i < tokens; i += 32) row[i] = expf(row[i] - best) / total;
}

// A thread an element of the result.
__global__ void mix_kernel(float* y, const float* weights, const float* v, int tokens) {
  const int query = blockIdx.x * 8 + threadIdx.y;
  weights += (blockIdx.z * tokens + query) * tokens;
  v += blockIdx.z * tokens * kDepth;
  float sum = 0;
  for (int s = 0; s < tokens; ++s) sum += weights[s] * v[s * kDepth + threadIdx.x];
  y[(blockIdx.z * tokens + query) * kDepth + threadIdx.x] = sum;
}

}  // namespace

void attention_1_naive(float* y, const float* q, const float* k, const float* v, int heads,
                       int tokens, float* scratch) {
  const auto along = static_cast<unsigned>(tokens), all = static_cast<unsigned>(heads);
  const dim3 block(32, 8);
  launch({.grid = dim3(along / 32, along / 8, all), .block = block}, scores_kernel, scratch, q, k,
         tokens);
  launch({.grid = all * along / 8, .block = block}, softmax_kernel, scratch, tokens);
  launch({.grid = dim3(along / 8, 1, all), .block = block}, mix_kernel, y, scratch, v, tokens);
}

}  // namespace ladder
