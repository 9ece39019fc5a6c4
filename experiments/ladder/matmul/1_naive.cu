// c = a b, step 1: a thread has an element of c and adds up k products. Neighbouring threads have
// neighbouring rows; so their elements of a are k apart, and their elements of c n apart: a sector
// of 32 bytes is moved for 4.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

__global__ void matmul_kernel(float* c, const float* a, const float* b, int n, int k) {
  const int row = blockIdx.x * 32 + threadIdx.x, column = blockIdx.y * 8 + threadIdx.y;
  float sum = 0;
  for (int p = 0; p < k; ++p) sum += a[row * k + p] * b[p * n + column];
  c[row * n + column] = sum;
}

}  // namespace

void matmul_1_naive(float* c, const float* a, const float* b, int m, int n, int k) {
  const dim3 grid(static_cast<unsigned>(m / 32), static_cast<unsigned>(n / 8));
  launch({.grid = grid, .block = dim3(32, 8)}, matmul_kernel, c, a, b, n, k);
}

}  // namespace ladder
