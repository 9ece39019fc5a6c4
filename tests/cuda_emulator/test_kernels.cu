// Sound kernels for the emulator's tests (test_kernels.h). Plain CUDA, but for SHARED and launch.
#include "tests/cuda_emulator/test_kernels.h"

#include "tensor/cuda/device.cuh"

namespace passband::testing {

namespace {

using namespace cuda;

constexpr unsigned kAllLanes = 0xffffffffu;

int blocks_for(int64_t n, int per_block) {
  return static_cast<int>((n + per_block - 1) / per_block);
}

__global__ void axpy_kernel(float a, const float* __restrict__ x, float* __restrict__ y, int64_t n,
                            bool aligned) {
  const int64_t i = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * 4;
  if (aligned && i + 4 <= n) {
    const Pack<float, 4> px = load_pack<4>(x + i);
    Pack<float, 4> py = load_pack<4>(y + i);
    for (int k = 0; k < 4; ++k) py[k] += a * px[k];
    store_pack(y + i, py);
    return;
  }
  for (int64_t j = i; j < min(i + 4, n); ++j) y[j] += a * x[j];
}

__device__ __forceinline__ float warp_sum(float value) {
  for (int offset = 16; offset > 0; offset >>= 1)
    value += __shfl_xor_sync(kAllLanes, value, offset);
  return value;
}

// Every thread gets the sum over the block, of whole warps.
__device__ float block_sum(float value) {
  SHARED(float, partial, [32]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  value = warp_sum(value);
  __syncthreads();  // an earlier call may still be reading
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  return warp_sum(lane < warps ? partial[lane] : 0.0f);
}

__global__ void sum_kernel(const float* __restrict__ x, float* total, float* partial,
                           unsigned* finished, int64_t n) {
  SHARED(bool, is_last);
  float value = 0.0f;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n;
       i += int64_t{gridDim.x} * blockDim.x)
    value += x[i];
  value = block_sum(value);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = value;
    __threadfence();  // the partial sum is visible before the count says so
    is_last = atomicInc(finished, gridDim.x - 1) == gridDim.x - 1;
    __threadfence();  // and the others' sums are, after theirs
  }
  __syncthreads();
  if (!is_last) return;
  value = 0.0f;
  for (unsigned i = threadIdx.x; i < gridDim.x; i += blockDim.x) value += partial[i];
  value = block_sum(value);
  if (threadIdx.x == 0) *total = value;
}

__global__ void moments_kernel(const float* __restrict__ x, float* mean, float* variance,
                               int columns) {
  const float* row = x + int64_t{blockIdx.x} * columns;
  float sum = 0.0f, squares = 0.0f;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) sum += row[i];
  const float m = block_sum(sum) / static_cast<float>(columns);
  for (int i = threadIdx.x; i < columns; i += blockDim.x) squares += (row[i] - m) * (row[i] - m);
  squares = block_sum(squares);
  if (threadIdx.x > 0) return;
  mean[blockIdx.x] = m;
  variance[blockIdx.x] = squares / static_cast<float>(columns);
}

template <class T>
__global__ void matmul_tiled_kernel(const T* a, const T* b, T* c, int m, int n, int k, int tile) {
  DYNAMIC_SHARED(T, shared);
  T* const a_tile = shared;
  T* const b_tile = shared + tile * tile;
  const int x = threadIdx.x, y = threadIdx.y;
  const int row = blockIdx.y * tile + y, column = blockIdx.x * tile + x;
  T sum = 0;
  for (int k0 = 0; k0 < k; k0 += tile) {
    a_tile[y * tile + x] = row < m && k0 + x < k ? a[row * k + k0 + x] : T(0);
    b_tile[y * tile + x] = column < n && k0 + y < k ? b[(k0 + y) * n + column] : T(0);
    __syncthreads();
    for (int i = 0; i < tile; ++i) sum += a_tile[y * tile + i] * b_tile[i * tile + x];
    __syncthreads();
  }
  if (row < m && column < n) c[row * n + column] = sum;
}

__device__ void store_tile(const float (&d)[4], float* c, int row, int column, int n) {
  const int group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
  for (int r = 0; r < 4; ++r) c[(row + group + r / 2 * 8) * n + column + member * 2 + r % 2] = d[r];
}

__global__ void matmul_bf16_kernel(const bf16* a, const bf16* b, float* c, int n, int k) {
  const int group = threadIdx.x / 4, member = threadIdx.x % 4;
  const int row = blockIdx.y * 16, column = blockIdx.x * 8;
  float d[4] = {};
  for (int k0 = 0; k0 < k; k0 += 16) {
    uint32_t fa[4], fb[2];
    for (int r = 0; r < 4; ++r) {
      const bf16* p = a + (row + group + r % 2 * 8) * k + k0 + member * 2 + r / 2 * 8;
      fa[r] = bf16_pair(p[0], p[1]);
    }
    for (int r = 0; r < 2; ++r) {
      const bf16* p = b + (column + group) * k + k0 + member * 2 + r * 8;
      fb[r] = bf16_pair(p[0], p[1]);
    }
    mma_bf16_16x8x16(d, fa, fb);
  }
  store_tile(d, c, row, column, n);
}

__global__ void matmul_tf32_kernel(const float* a, const float* b, float* c, int n, int k) {
  const int group = threadIdx.x / 4, member = threadIdx.x % 4;
  const int row = blockIdx.y * 16, column = blockIdx.x * 8;
  float d[4] = {};
  for (int k0 = 0; k0 < k; k0 += 8) {
    uint32_t fa[4], fb[2];
    for (int r = 0; r < 4; ++r)
      fa[r] = tf32_bits(a[(row + group + r % 2 * 8) * k + k0 + member + r / 2 * 4]);
    for (int r = 0; r < 2; ++r) fb[r] = tf32_bits(b[(column + group) * k + k0 + member + r * 4]);
    mma_tf32_16x8x8(d, fa, fb);
  }
  store_tile(d, c, row, column, n);
}

constexpr int kDepth = 32;           // of a stage
constexpr int kStride = kDepth + 8;  // rows start in different banks

// One stage: 16 rows of a for each of 4 warps, 16 rows of b.
__device__ void fetch_stage(bf16 (&a_tile)[64][kStride], bf16 (&b_tile)[16][kStride], const bf16* a,
                            const bf16* b, int row, int column, int m, int k, int k0) {
  for (int i = threadIdx.x; i < 80 * 4; i += blockDim.x) {
    const int r = i / 4, c = i % 4 * 8;
    if (r < 64)
      async_copy<16>(&a_tile[r][c], a + int64_t{min(row + r, m - 1)} * k + k0 + c, row + r < m);
    else async_copy<16>(&b_tile[r - 64][c], b + int64_t{column + r - 64} * k + k0 + c);
  }
  async_copy_commit();
}

__global__ void matmul_bf16_pipelined_kernel(const bf16* a, const bf16* b, float* c, int m, int n,
                                             int k) {
  SHARED(bf16, a_tile, [2][64][kStride]);
  SHARED(bf16, b_tile, [2][16][kStride]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int row = blockIdx.y * 64, column = blockIdx.x * 16;
  float d[2][4] = {};
  fetch_stage(a_tile[0], b_tile[0], a, b, row, column, m, k, 0);
  for (int k0 = 0, stage = 0; k0 < k; k0 += kDepth, stage ^= 1) {
    if (k0 + kDepth < k) {
      fetch_stage(a_tile[stage ^ 1], b_tile[stage ^ 1], a, b, row, column, m, k, k0 + kDepth);
      async_copy_wait<1>();
    } else {
      async_copy_wait<0>();
    }
    __syncthreads();
    for (int kk = 0; kk < kDepth; kk += 16) {
      uint32_t fa[4], fb[4];
      load_matrix_x4(fa, &a_tile[stage][warp * 16 + lane % 16][kk + lane / 16 * 8]);
      load_matrix_x4(fb, &b_tile[stage][lane / 16 * 8 + lane % 8][kk + lane / 8 % 2 * 8]);
      const uint32_t left[2] = {fb[0], fb[1]}, right[2] = {fb[2], fb[3]};
      mma_bf16_16x8x16(d[0], fa, left);
      mma_bf16_16x8x16(d[1], fa, right);
    }
    __syncthreads();
  }
  if (row + warp * 16 >= m) return;
  store_tile(d[0], c, row + warp * 16, column, n);
  store_tile(d[1], c, row + warp * 16, column + 8, n);
}

__global__ void softmax_rows_kernel(const bf16* __restrict__ x, bf16* __restrict__ y, int rows,
                                    int columns) {
  const int lane = threadIdx.x % 32, row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= rows) return;  // whole warps return together
  x += int64_t{row} * columns;
  y += int64_t{row} * columns;
  float largest = -INFINITY;
  for (int i = lane; i < columns; i += 32) largest = fmaxf(largest, x[i]);
  for (int offset = 16; offset > 0; offset >>= 1)
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, offset));
  float sum = 0.0f;
  for (int i = lane; i < columns; i += 32) sum += __expf(x[i] - largest);
  sum = warp_sum(sum);
  for (int i = lane; i < columns; i += 32) y[i] = bf16(__expf(x[i] - largest) / sum);
}

__global__ void warp_results_kernel(int* results) {
  const int lane = threadIdx.x;
  int row = 0, equal = 0;
  const auto store = [&](int value) { results[row++ * 32 + lane] = value; };
  store(__shfl_sync(kAllLanes, lane * 10, 5));
  store(__shfl_sync(kAllLanes, lane * 10, 1, 8));
  store(__shfl_xor_sync(kAllLanes, lane * 10, 3));
  store(__shfl_up_sync(kAllLanes, lane * 10, 2));
  store(__shfl_down_sync(kAllLanes, lane * 10, 3, 16));
  store(static_cast<int>(__ballot_sync(kAllLanes, lane % 3 == 0)));
  store(__any_sync(kAllLanes, lane == 7));
  store(__all_sync(kAllLanes, lane < 31));
  store(__reduce_add_sync(kAllLanes, lane - 10));
  store(__reduce_min_sync(kAllLanes, lane - 10));
  store(__reduce_max_sync(kAllLanes, -lane));
  store(static_cast<int>(__reduce_xor_sync(kAllLanes, 1u << lane % 5)));
  store(static_cast<int>(__match_any_sync(kAllLanes, lane / 4)));
  store(static_cast<int>(__match_all_sync(kAllLanes, 3, &equal)));
  store(equal);
  // Half the warp at a time: the halves need not agree on anything.
  const unsigned half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  store(lane < 16 ? __reduce_add_sync(half, 1) : static_cast<int>(__ballot_sync(half, lane % 2)));
  const double wide = __shfl_down_sync(kAllLanes, lane * 0.5, 1);
  store(static_cast<int>(wide * 2));
}

__global__ void histogram_kernel(const int* x, unsigned* counts, int n, int bins) {
  DYNAMIC_SHARED(unsigned, local);
  for (int i = threadIdx.x; i < bins; i += blockDim.x) local[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(&local[x[i]], 1u);
  __syncthreads();
  for (int i = threadIdx.x; i < bins; i += blockDim.x)
    if (local[i]) atomicAdd(&counts[i], local[i]);
}

__global__ void barrier_votes_kernel(const int* x, int* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const int odd = x[i] % 2;
  y[i] = __syncthreads_count(odd);
  y[n + i] = __syncthreads_and(odd) != 0;
  y[2 * n + i] = __syncthreads_or(odd) != 0;
}

__global__ void transpose_kernel(const float* x, float* y, int rows, int columns) {
  SHARED(float, tile, [16][17]);
  const int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
  if (row < rows && column < columns) tile[threadIdx.y][threadIdx.x] = x[row * columns + column];
  __syncthreads();
  const int out_row = blockIdx.x * 16 + threadIdx.y, out_column = blockIdx.y * 16 + threadIdx.x;
  if (out_row < columns && out_column < rows)
    y[out_row * rows + out_column] = tile[threadIdx.x][threadIdx.y];
}

__global__ void arrival_ranks_kernel(int* ranks, int* counter) {
  ranks[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(counter, 1);
}

__global__ void barrier_after_return_kernel(float* y, int n) {
  if (static_cast<int>(threadIdx.x) >= n) return;
  __syncthreads();
  y[threadIdx.x] = 1;
}

__global__ void count_coordinates_kernel(int* seen) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  seen[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1;
}

}  // namespace

void axpy(float a, const float* x, float* y, int64_t n, StreamHandle stream) {
  if (n == 0) return;
  const bool aligned = is_pack_aligned<4>(x) && is_pack_aligned<4>(y);
  launch({.grid = static_cast<unsigned>(blocks_for(n, 512)), .block = 128, .stream = stream},
         axpy_kernel, a, x, y, n, aligned);
}

void sum(const float* x, float* total, float* partial, unsigned* finished, int64_t n, int blocks) {
  launch({.grid = static_cast<unsigned>(blocks), .block = 128}, sum_kernel, x, total, partial,
         finished, n);
}

void moments(const float* x, float* mean, float* variance, int rows, int columns) {
  launch({.grid = static_cast<unsigned>(rows), .block = 64}, moments_kernel, x, mean, variance,
         columns);
}

void matmul_tiled(const float* a, const float* b, float* c, int m, int n, int k, int tile) {
  const dim3 grid(blocks_for(n, tile), blocks_for(m, tile)), block(tile, tile);
  launch({.grid = grid, .block = block, .shared_bytes = 2 * tile * tile * sizeof(float)},
         matmul_tiled_kernel<float>, a, b, c, m, n, k, tile);
}

void matmul_bf16(const bf16* a, const bf16* b, float* c, int m, int n, int k) {
  launch({.grid = dim3(n / 8, m / 16), .block = 32}, matmul_bf16_kernel, a, b, c, n, k);
}

void matmul_tf32(const float* a, const float* b, float* c, int m, int n, int k) {
  launch({.grid = dim3(n / 8, m / 16), .block = 32}, matmul_tf32_kernel, a, b, c, n, k);
}

void matmul_bf16_pipelined(const bf16* a, const bf16* b, float* c, int m, int n, int k) {
  launch({.grid = dim3(n / 16, blocks_for(m, 64)), .block = 128}, matmul_bf16_pipelined_kernel, a,
         b, c, m, n, k);
}

void softmax_rows(const bf16* x, bf16* y, int rows, int columns) {
  launch({.grid = static_cast<unsigned>(blocks_for(rows, 4)), .block = 128}, softmax_rows_kernel, x,
         y, rows, columns);
}

void warp_results(int* results) { launch({.block = 32}, warp_results_kernel, results); }

void histogram(const int* x, unsigned* counts, int n, int bins) {
  launch({.grid = 4, .block = 64, .shared_bytes = bins * sizeof(unsigned)}, histogram_kernel, x,
         counts, n, bins);
}

void barrier_votes(const int* x, int* y, int n, int block) {
  launch({.grid = static_cast<unsigned>(n / block), .block = static_cast<unsigned>(block)},
         barrier_votes_kernel, x, y, n);
}

void transpose(const float* x, float* y, int rows, int columns, StreamHandle stream) {
  launch({.grid = dim3(blocks_for(columns, 16), blocks_for(rows, 16)),
          .block = dim3(16, 16),
          .stream = stream},
         transpose_kernel, x, y, rows, columns);
}

void arrival_ranks(int* ranks, int* counter) {
  launch({.grid = kArrivalBlocks, .block = kArrivalThreads}, arrival_ranks_kernel, ranks, counter);
}

void barrier_after_return(float* y, int n) {
  launch({.block = 64}, barrier_after_return_kernel, y, n);
}

void count_coordinates(int* seen) {
  launch({.grid = dim3(2, 3, 4), .block = dim3(3, 5, 2)}, count_coordinates_kernel, seen);
}

}  // namespace passband::testing
