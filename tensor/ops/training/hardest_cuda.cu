// The choice of rows on CUDA, by counting: a row is taken when fewer than k are harder, and stands
// behind the rows before it that are taken.
//
// Bound by launches: 2,000 rows are 8 KB, and 4 million comparisons take a few microseconds.
// Considered: a radix select, which pays from some ten thousand rows on.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/training/hardest_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;

template <class T> __global__ void __launch_bounds__(kThreads)
    mark_hardest_kernel(int32_t* taken, const T* losses, int64_t n, int64_t k) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  int64_t harder = 0;
  for (int64_t j = 0; j < n; ++j) harder += is_harder(losses[j], j, losses[i], i) ? 1 : 0;
  taken[i] = harder < k ? 1 : 0;
}

__global__ void __launch_bounds__(kThreads)
    list_taken_kernel(int32_t* rows, const int32_t* taken, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n || taken[i] == 0) return;
  int32_t before = 0;
  for (int64_t j = 0; j < i; ++j) before += taken[j];
  rows[before] = static_cast<int32_t>(i);
}

}  // namespace

void hardest_rows(Tensor rows, const Tensor& losses) {
  const int64_t n = losses.numel();
  Tensor taken = Tensor::empty({n}, DType::i32, losses.device());
  const Launch options = {
      .grid = blocks_for(n, kThreads), .block = kThreads, .stream = compute_stream()};
  if (losses.dtype() == DType::f64)
    launch(options, mark_hardest_kernel<double>, taken.data<int32_t>(), losses.data<double>(), n,
           rows.numel());
  else
    launch(options, mark_hardest_kernel<float>, taken.data<int32_t>(), losses.data<float>(), n,
           rows.numel());
  launch(options, list_taken_kernel, rows.data<int32_t>(), taken.data<int32_t>(), n);
}

}  // namespace passband::cuda
