// CUDA inner products along the last dimension.
//
// Bound by memory: each element of a is read once (8 bytes for a pair in f32, 4 in bf16, for one
// multiplication and one addition), nothing of its size is written; the product and the sum apart
// would move it three times. `lanes` neighbouring threads share a short row; a long row is cut into
// chunks, a block each, whose sums in f64 are summed by another launch. The tree depends on the
// shape alone.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/reduce.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/reduce_kernels.h"
#include "tensor/ops/vecdot_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kShortRow = 1024;  // a row up to here belongs to a warp, or a part of one
constexpr int64_t kChunk = 8192;     // elements of a long row that one block sums

// Sum of a[i] b[i], i < n, over the elements that fall to thread `member` of `members`.
template <class T> __device__ __forceinline__ Accumulate<T> strided_dot(const T* a, const T* b,
                                                                        int64_t n, int member,
                                                                        int members) {
  using A = Accumulate<T>;
  constexpr int kWidth = kPackWidth<T>;
  const int64_t packs = is_pack_aligned<kWidth>(a) && is_pack_aligned<kWidth>(b) ? n / kWidth : 0;
  A sum = 0;
#pragma unroll 4
  for (int64_t p = member; p < packs; p += members) {
    const Pack<T, kWidth> left = load_pack<kWidth>(a + p * kWidth),
                          right = load_pack<kWidth>(b + p * kWidth);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum += static_cast<A>(left[k]) * static_cast<A>(right[k]);
  }
  for (int64_t i = packs * kWidth + member; i < n; i += members)
    sum += static_cast<A>(a[i]) * static_cast<A>(b[i]);
  return sum;
}

template <class T> __global__ void __launch_bounds__(kThreads)
    dot_short_rows_kernel(T* y, const T* __restrict__ a, const T* __restrict__ b, int64_t rows,
                          int64_t n, Divisor periods, int lanes) {
  const int64_t row = int64_t{blockIdx.x} * (kThreads / lanes) + threadIdx.x / lanes;
  const int lane = threadIdx.x % lanes;
  Accumulate<T> sum = 0;
  if (row < rows) {
    const int64_t other = row - periods.quotient(row) * periods.value();
    sum = strided_dot(a + row * n, b + other * n, n, lane, lanes);
  }
  sum = warp_sum(sum, lanes);
  if (row < rows && lane == 0) y[row] = static_cast<T>(sum);
}

// y[row, chunk] = that chunk of the row's product; one block each.
template <class T> __global__ void __launch_bounds__(kThreads)
    dot_chunks_kernel(double* y, const T* __restrict__ a, const T* __restrict__ b, int64_t n,
                      Divisor periods, Divisor chunks) {
  const int64_t row = chunks.quotient(blockIdx.x), chunk = blockIdx.x - row * chunks.value(),
                other = row - periods.quotient(row) * periods.value();
  const int64_t begin = chunk * kChunk, count = min(kChunk, n - begin);
  const auto sum = block_sum(
      strided_dot(a + row * n + begin, b + other * n + begin, count, threadIdx.x, kThreads));
  if (threadIdx.x == 0) y[blockIdx.x] = static_cast<double>(sum);
}

}  // namespace

void vecdot(Tensor y, const Tensor& a, const Tensor& b) {
  const int64_t n = a.size(-1), rows = y.numel(), periods = b.shape().without(-1).numel();
  if (rows == 0) return;
  dispatch_floating(a.dtype(), "vecdot", [&]<class T>() {
    if (n <= kShortRow) {
      int lanes = 1;
      while (lanes < 32 && lanes * kPackWidth<T> < n) lanes *= 2;
      launch({.grid = blocks_for(rows, kThreads / lanes),
              .block = kThreads,
              .stream = compute_stream()},
             dot_short_rows_kernel<T>, y.data<T>(), a.data<T>(), b.data<T>(), rows, n,
             Divisor(periods), lanes);
      return;
    }
    const int64_t chunks = (n + kChunk - 1) / kChunk;
    Tensor partial = Tensor::empty({rows, chunks}, DType::f64, y.device());
    launch({.grid = blocks_for(rows * chunks, 1), .block = kThreads, .stream = compute_stream()},
           dot_chunks_kernel<T>, partial.data<double>(), a.data<T>(), b.data<T>(), n,
           Divisor(periods), Divisor(chunks));
    sum(y, partial, {.outer = rows, .n = chunks}, 1.0);
  });
}

}  // namespace passband::cuda
