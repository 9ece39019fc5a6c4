// CUDA centring of matrices: the sums of row i and of column i by one block, then every element by
// one thread.
//
// Bound by memory, and a small part of what the matrices cost to make: the first kernel reads a
// matrix twice (columns by strides, a quarter of each sector in f64 used, though from the L2 cache:
// 256 x 256 doubles are 0.5 MB), the second reads and writes it once. Sums and differences are f64:
// U-centring subtracts large numbers that nearly cancel.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/reduce.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/centre_kernels.h"
#include "tensor/ops/reduce_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;

// rows[line], columns[line] = the sums of row and column i of matrix m, line = m n + i; without the
// diagonal when `hollow`.
template <class T> __global__ void __launch_bounds__(kThreads)
    margins_kernel(double* rows, double* columns, const T* __restrict__ x, Divisor n, bool hollow) {
  const int64_t line = blockIdx.x, size = n.value(), m = n.quotient(line), i = line - m * size;
  const T* matrix = x + m * size * size;
  double row = 0, column = 0;
  for (int64_t j = threadIdx.x; j < size; j += kThreads) {
    if (hollow && j == i) continue;
    row += static_cast<double>(static_cast<Accumulate<T>>(matrix[i * size + j]));
    column += static_cast<double>(static_cast<Accumulate<T>>(matrix[j * size + i]));
  }
  row = block_sum(row);
  column = block_sum(column);
  if (threadIdx.x > 0) return;
  rows[line] = row;
  columns[line] = column;
}

template <class T> __global__ void __launch_bounds__(kThreads)
    subtract_margins_kernel(T* y, const T* __restrict__ x, const double* __restrict__ rows,
                            const double* __restrict__ columns, const double* __restrict__ totals,
                            int64_t count, Divisor n, Centring by) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= count) return;
  const int64_t size = n.value(), line = n.quotient(at), m = n.quotient(line);
  const int64_t i = line - m * size, j = at - line * size;
  const double value = static_cast<double>(static_cast<Accumulate<T>>(x[at]));
  const double centred =
      value - by.margin * (rows[line] + columns[m * size + j]) + by.total * totals[m];
  y[at] = static_cast<T>(static_cast<Accumulate<T>>(by.hollow && i == j ? 0 : centred));
}

}  // namespace

void centre(Tensor y, const Tensor& x, int64_t n, const Centring& centring) {
  if (x.numel() == 0) return;
  const int64_t matrices = x.numel() / (n * n), lines = matrices * n;
  const auto f64 = [&](int64_t count) { return Tensor::empty({count}, DType::f64, x.device()); };
  Tensor rows = f64(lines), columns = f64(lines), totals = f64(matrices);
  dispatch_floating(x.dtype(), "centre", [&]<class T>() {
    launch({.grid = blocks_for(lines, 1), .block = kThreads, .stream = compute_stream()},
           margins_kernel<T>, rows.data<double>(), columns.data<double>(), x.data<T>(), Divisor(n),
           centring.hollow);
    sum(totals, rows, {.outer = matrices, .n = n}, 1.0);
    launch({.grid = blocks_for(x.numel(), kThreads), .block = kThreads, .stream = compute_stream()},
           subtract_margins_kernel<T>, y.data<T>(), x.data<T>(), rows.data<double>(),
           columns.data<double>(), totals.data<double>(), x.numel(), Divisor(n), centring);
  });
}

}  // namespace passband::cuda
