// The kernels of test_counter.cpp.
#include "tests/cuda_emulator/counted_kernels.h"

#include "tensor/cuda/device.cuh"

namespace passband::testing {

namespace {

using namespace cuda;

template <int Width> __global__ void columns_kernel(float* y) {
  SHARED(float, tile, [32][Width]);
  for (int row = 0; row < 32; ++row) tile[row][threadIdx.x] = 1;
  __syncthreads();
  float sum = 0;
  for (int column = 0; column < 32; ++column) sum += tile[threadIdx.x][column];
  y[threadIdx.x] = sum;
}

__global__ void words_kernel(float* y, int stride) {
  SHARED(float, words, [1024]);
  y[threadIdx.x] = words[threadIdx.x * stride];
}

template <int N> __global__ void packs_kernel(float* y, int stride) {
  SHARED(float, words, [32 * 32 * 4]);
  const Pack<float, N> pack = load_pack<N>(&words[threadIdx.x * stride * N]);
  float sum = 0;
  for (int i = 0; i < N; ++i) sum += pack[i];
  y[threadIdx.x] = sum;
}

__global__ void strided_kernel(float* y, const float* x, int stride) {
  y[threadIdx.x] = x[threadIdx.x * stride];
}

__global__ void global_packs_kernel(float* y, const float* x) {
  const Pack<float, 4> pack = load_pack<4>(x + 4 * threadIdx.x);
  y[threadIdx.x] = pack[0] + pack[1] + pack[2] + pack[3];
}

__global__ void divided_kernel(float* y, int lanes) {
  SHARED(float, words, [64]);
  const int t = threadIdx.x;
  if (t < lanes) y[t] = words[t];
  else y[t] = words[32 + t] * 2;
}

__global__ void copy_kernel(float* y, const float* x) {
  SHARED(float, words, [128]);
  async_copy<16>(&words[threadIdx.x * 4], x + threadIdx.x * 4);
  async_copy_commit();
  async_copy_wait<0>();
  __syncthreads();
  y[threadIdx.x] = words[threadIdx.x];
}

__global__ void matrices_kernel(float* y, int stride) {
  SHARED(uint16_t, rows, [32 * 64]);
  uint32_t fragments[4];
  load_matrix_x4(fragments, &rows[threadIdx.x * stride]);
  y[threadIdx.x] = static_cast<float>(fragments[0] & 1u);
}

__global__ void waiting_kernel(float* y) {
  float value = 1;
  __syncthreads();
  if (threadIdx.x < 32)
    for (int distance = 16; distance > 0; distance /= 2)
      value += __shfl_xor_sync(0xffffffffu, value, distance);
  __syncthreads();
  if (threadIdx.x == 0) y[blockIdx.x] = value;
}

}  // namespace

void read_columns(float* y, bool padded) {
  if (padded) launch({.block = 32}, columns_kernel<33>, y);
  else launch({.block = 32}, columns_kernel<32>, y);
}
void read_strided_words(float* y, int stride) { launch({.block = 32}, words_kernel, y, stride); }
void read_strided_pairs(float* y, int stride) { launch({.block = 32}, packs_kernel<2>, y, stride); }
void read_strided_packs(float* y, int stride) { launch({.block = 32}, packs_kernel<4>, y, stride); }
void read_strided_global(float* y, const float* x, int stride) {
  launch({.block = 32}, strided_kernel, y, x, stride);
}
void read_packs(float* y, const float* x) { launch({.block = 48}, global_packs_kernel, y, x); }
void read_divided(float* y, int lanes) { launch({.block = 32}, divided_kernel, y, lanes); }
void copy_asynchronously(float* y, const float* x) { launch({.block = 32}, copy_kernel, y, x); }
void load_matrices(float* y, int stride) { launch({.block = 32}, matrices_kernel, y, stride); }
void wait_and_shuffle(float* y) { launch({.grid = 3, .block = 64}, waiting_kernel, y); }

}  // namespace passband::testing
