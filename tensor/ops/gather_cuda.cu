// CUDA row selection.
//
// gather is bound by memory: a row is read and written once, in units of up to 16 bytes.
// scatter_add finds, for each row of the result, the positions that add to it by looking through
// all indices: rows * count / 32 steps of a warp, which for the tables of a network (a few thousand
// rows and indices at most) is less than sorting would take. Sums are made in index order within
// eight fixed stretches, and those in order: no atomics, the same bits in two runs.
// take_along has a thread for each element. add_along has one for each column, which walks along
// it: enough threads where rows are many (labels, class scores), slow where few and long.
// Considered: atomic additions (other bits in every run), and sorting the indices first (for
// vocabularies of many thousand rows, which no network here has).
#include "tensor/cuda/index_fault.h"
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/reduce.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/gather_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;

// One block, so that the first fault is always the same one.
__global__ void __launch_bounds__(kThreads)
    check_indices_kernel(IndexFault* slot, const char* op, const int32_t* index, int64_t count,
                         int64_t bound) {
  int64_t first = count;
  for (int64_t i = threadIdx.x; i < count && first == count; i += kThreads)
    if (index[i] < 0 || index[i] >= bound) first = i;
  first = block_fold(first, count, [](int64_t a, int64_t b) { return min(a, b); });
  if (threadIdx.x == 0 && first < count && !slot->op) *slot = {op, first, index[first], bound};
}

struct alignas(16) Unit16 {
  uint64_t low, high;
};

// One thread per unit of the result; a row is `width` units. An index outside, which check_indices
// reports, reads nothing.
template <class U> __global__ void __launch_bounds__(kThreads)
    gather_kernel(U* y, const U* x, const int32_t* index, int64_t n, int64_t rows, Divisor width) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  const int64_t row = width.quotient(i);
  const int64_t from = index[row];
  y[i] = from >= 0 && from < rows ? x[from * width.value() + (i - row * width.value())] : U{};
}

template <class U>
void gather_units(Tensor y, const Tensor& x, const Tensor& indices, int64_t bytes) {
  const int64_t width = bytes / static_cast<int64_t>(sizeof(U)), n = indices.numel() * width;
  launch({.grid = blocks_for(n, kThreads), .block = kThreads, .stream = compute_stream()},
         gather_kernel<U>, static_cast<U*>(y.raw()), static_cast<const U*>(x.raw()),
         indices.data<int32_t>(), n, x.size(0), Divisor(width));
}

constexpr int kStretches = kThreads / 32;  // of the indices, one for each warp

// A block makes 32 neighbouring columns of one row of the result.
template <class T> __global__ void __launch_bounds__(kThreads)
    scatter_add_kernel(T* y, const T* x, const int32_t* index, int64_t count, int64_t width,
                       Divisor tiles) {
  using A = Accumulate<T>;
  SHARED(A, sums, [kStretches][32]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t row = tiles.quotient(blockIdx.x),
                column = (blockIdx.x - row * tiles.value()) * 32 + lane;
  const int64_t stretch = (count + kStretches - 1) / kStretches, begin = warp * stretch,
                end = min(begin + stretch, count);
  A sum = 0;
  for (int64_t start = begin; start < end; start += 32) {
    unsigned hits = __ballot_sync(kWholeWarp, start + lane < end && index[start + lane] == row);
    for (; hits; hits &= hits - 1) {
      const int64_t position = start + __ffs(static_cast<int>(hits)) - 1;
      if (column < width) sum += static_cast<A>(x[position * width + column]);
    }
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || column >= width) return;
  for (int w = 1; w < kStretches; ++w) sum += sums[w][lane];
  y[row * width + column] = static_cast<T>(sum);
}

// One thread per element of the result.
template <class U> __global__ void __launch_bounds__(kThreads)
    take_along_kernel(U* y, const U* x, const int32_t* index, AlongShape s, Divisor row,
                      Divisor inner) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= s.outer * s.count * s.inner) return;
  const int64_t outer = row.quotient(i), column = i - inner.quotient(i) * s.inner, k = index[i];
  y[i] = k >= 0 && k < s.size ? x[(outer * s.size + k) * s.inner + column] : U{};
}

// One thread per (outer, inner): it alone adds to its column of y, which is zero before.
template <class T> __global__ void __launch_bounds__(kThreads)
    add_along_kernel(T* y, const T* x, const int32_t* index, AlongShape s, Divisor inner) {
  const int64_t column = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (column >= s.outer * s.inner) return;
  const int64_t outer = inner.quotient(column), i = column - outer * s.inner;
  T* sums = y + outer * s.size * s.inner + i;
  for (int64_t j = 0; j < s.count; ++j) {
    const int64_t at = (outer * s.count + j) * s.inner + i, k = index[at];
    if (k >= 0 && k < s.size) sums[k * s.inner] += x[at];
  }
}

template <class T> __global__ void __launch_bounds__(kThreads)
    one_hot_kernel(T* y, const int32_t* label, int64_t n, Divisor classes) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  const int64_t row = classes.quotient(i);
  y[i] = static_cast<T>(label[row] == i - row * classes.value() ? 1.0f : 0.0f);
}

}  // namespace

void check_indices(const char* op, const Tensor& indices, int64_t bound) {
  if (indices.numel() == 0) return;
  launch({.grid = 1, .block = kThreads, .stream = compute_stream()}, check_indices_kernel,
         index_fault_slot(), op, indices.data<int32_t>(), indices.numel(), bound);
}

void gather(Tensor y, const Tensor& x, const Tensor& indices) {
  if (y.numel() == 0) return;
  const int64_t bytes = x.shape().inner(0) * size_of(x.dtype());
  const auto all = reinterpret_cast<uintptr_t>(y.raw()) | reinterpret_cast<uintptr_t>(x.raw()) |
                   static_cast<uintptr_t>(bytes);
  if (all % 16 == 0) gather_units<Unit16>(y, x, indices, bytes);
  else if (all % 4 == 0) gather_units<uint32_t>(y, x, indices, bytes);
  else if (all % 2 == 0) gather_units<uint16_t>(y, x, indices, bytes);
  else gather_units<uint8_t>(y, x, indices, bytes);
}

void scatter_add(Tensor y, const Tensor& x, const Tensor& indices) {
  if (y.numel() == 0) return;
  const int64_t rows = y.size(0), width = y.shape().inner(0), tiles = (width + 31) / 32;
  dispatch_floating(x.dtype(), "scatter_add", [&]<class T>() {
    launch({.grid = blocks_for(rows * tiles, 1), .block = kThreads, .stream = compute_stream()},
           scatter_add_kernel<T>, y.data<T>(), x.data<T>(), indices.data<int32_t>(),
           indices.numel(), width, Divisor(tiles));
  });
}

void take_along(Tensor y, const Tensor& x, const Tensor& indices, const AlongShape& s) {
  if (y.numel() == 0) return;
  dispatch_width(x.dtype(), [&]<class U>() {
    launch({.grid = blocks_for(y.numel(), kThreads), .block = kThreads, .stream = compute_stream()},
           take_along_kernel<U>, static_cast<U*>(y.raw()), static_cast<const U*>(x.raw()),
           indices.data<int32_t>(), s, Divisor(s.count * s.inner), Divisor(s.inner));
  });
}

void add_along(Tensor y, const Tensor& x, const Tensor& indices, const AlongShape& s) {
  if (y.numel() == 0) return;
  fill_async(y.raw(), 0, static_cast<size_t>(y.numel() * size_of(y.dtype())), compute_stream());
  const auto add = [&]<class T>() {
    launch(
        {.grid = blocks_for(s.columns(), kThreads), .block = kThreads, .stream = compute_stream()},
        add_along_kernel<T>, y.data<T>(), x.data<T>(), indices.data<int32_t>(), s,
        Divisor(s.inner));
  };
  if (x.dtype() == DType::f64) add.operator()<double>();
  else add.operator()<float>();
}

void one_hot(Tensor y, const Tensor& labels) {
  if (y.numel() == 0) return;
  dispatch_floating(y.dtype(), "one_hot", [&]<class T>() {
    launch({.grid = blocks_for(y.numel(), kThreads), .block = kThreads, .stream = compute_stream()},
           one_hot_kernel<T>, y.data<T>(), labels.data<int32_t>(), y.numel(), Divisor(y.size(-1)));
  });
}

}  // namespace passband::cuda
