// Softmax, step 6: a row of 1,024 fits into the registers of one warp, 32 elements a thread. It is
// read once, 16 bytes at a time (a quarter of the load instructions), and nothing is shared: no
// barrier is left. The library's kernel (tensor/ops/softmax_cuda.cu) does this for rows of up to
// 1,024 elements.
//
// Softmax has no products of matrices, so tensor cores have nothing to do here; from now on the
// memory is the limit: each element is read once and written once.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kColumns = 1024, kPacks = kColumns / (32 * 4), kRows = 4;  // rows of a block

template <class Join> __device__ float join_warp(float value, const Join& join) {
  for (int distance = 16; distance > 0; distance /= 2)
    value = join(value, __shfl_xor_sync(0xffffffffu, value, distance));
  return value;
}

__global__ void softmax_kernel(float* y, const float* x, int rows) {
  const int lane = threadIdx.x % 32, row = blockIdx.x * kRows + threadIdx.x / 32;
  if (row >= rows) return;
  Pack<float, 4> values[kPacks];
  float best = -INFINITY, total = 0;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    values[p] = load_pack<4>(x + row * kColumns + (p * 32 + lane) * 4);
    for (int i = 0; i < 4; ++i) best = max(best, values[p][i]);
  }
  best = join_warp(best, [](float a, float b) { return max(a, b); });
#pragma unroll
  for (int p = 0; p < kPacks; ++p)
    for (int i = 0; i < 4; ++i) total += values[p][i] = expf(values[p][i] - best);
  total = join_warp(total, [](float a, float b) { return a + b; });
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    for (int i = 0; i < 4; ++i) values[p][i] /= total;
    store_pack(y + row * kColumns + (p * 32 + lane) * 4, values[p]);
  }
}

}  // namespace

void softmax_6_registers(float* y, const float* x, int rows, int columns) {
  PASSBAND_CHECK(columns == kColumns, "softmax_6_registers: rows of ", kColumns, " elements");
  launch({.grid = static_cast<unsigned>((rows + kRows - 1) / kRows), .block = kRows * 32},
         softmax_kernel, y, x, rows);
}

}  // namespace ladder
