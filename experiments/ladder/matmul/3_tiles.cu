// c = a b, step 3: the 1,024 threads of a block need the same 32 rows of a and 32 columns of b.
// They bring a square of each into shared memory, once, and all multiply from there: 32 times fewer
// bytes of global memory. Two barriers a square: one before it is read, one before it is
// overwritten.
#include "experiments/ladder/ladder.h"
#include "tensor/cuda/device.cuh"

namespace ladder {
namespace {

using namespace passband::cuda;

constexpr int kTile = 32;

__global__ void matmul_kernel(float* c, const float* a, const float* b, int n, int k) {
  SHARED(float, tile_a, [kTile][kTile]);
  SHARED(float, tile_b, [kTile][kTile]);
  const int x = threadIdx.x, y = threadIdx.y;
  const int row = blockIdx.y * kTile + y, column = blockIdx.x * kTile + x;
  float sum = 0;
  for (int first = 0; first < k; first += kTile) {
    tile_a[y][x] = a[row * k + first + x];
    tile_b[y][x] = b[(first + y) * n + column];
    __syncthreads();
    for (int p = 0; p < kTile; ++p) sum += tile_a[y][p] * tile_b[p][x];
    __syncthreads();
  }
  c[row * n + column] = sum;
}

}  // namespace

void matmul_3_tiles(float* c, const float* a, const float* b, int m, int n, int k) {
  const dim3 grid(static_cast<unsigned>(n / kTile), static_cast<unsigned>(m / kTile));
  launch({.grid = grid, .block = dim3(kTile, kTile)}, matmul_kernel, c, a, b, n, k);
}

}  // namespace ladder
