// c = a b, step 2: the same loop with x and y exchanged. Neighbouring threads have neighbouring
// columns: a warp's element of a is one and the same, its elements of b and c are side by side.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

__global__ void matmul_kernel(float* c, const float* a, const float* b, int n, int k) {
  const int row = blockIdx.y * 8 + threadIdx.y, column = blockIdx.x * 32 + threadIdx.x;
  float sum = 0;
  for (int p = 0; p < k; ++p) sum += a[row * k + p] * b[p * n + column];
  c[row * n + column] = sum;
}

}  // namespace

void matmul_2_coalesced(float* c, const float* a, const float* b, int m, int n, int k) {
  const dim3 grid(static_cast<unsigned>(n / 32), static_cast<unsigned>(m / 8));
  launch({.grid = grid, .block = dim3(32, 8)}, matmul_kernel, c, a, b, n, k);
}

}  // namespace ladder
