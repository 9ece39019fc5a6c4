// Comparisons and choices on the GPU: one thread for each element of the result.
//
// Bound by memory. The comparison and the strides are the same for a whole launch, so no warp
// diverges over them.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/mask_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;

template <class T> __global__ void __launch_bounds__(kThreads)
    compare_kernel(uint8_t* mask, const T* a, const T* b, int64_t n, StridedLoops<2> loops,
                   Comparison comparison) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  int64_t at[2];
  loops.offsets(i, at);
  mask[i] =
      holds(comparison, static_cast<Compared<T>>(a[at[0]]), static_cast<Compared<T>>(b[at[1]])) ? 1
                                                                                                : 0;
}

template <class T> __global__ void __launch_bounds__(kThreads)
    choose_kernel(T* y, const uint8_t* mask, const T* a, const T* b, int64_t n,
                  StridedLoops<3> loops) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  int64_t at[3];
  loops.offsets(i, at);
  y[i] = mask[at[0]] ? a[at[1]] : b[at[2]];
}

Launch one_per_element(int64_t n) {
  return {.grid = blocks_for(n, kThreads), .block = kThreads, .stream = compute_stream()};
}

}  // namespace

void compare(Tensor mask, const Tensor& a, const Tensor& b, const Broadcast& by,
             Comparison comparison) {
  if (mask.numel() == 0) return;
  StridedLoops<2> loops;
  for (size_t d = 0; d < static_cast<size_t>(by.rank); ++d)
    loops.push_back(by.size[d], {by.a[d], by.b[d]});
  dispatch_any(a.dtype(), [&]<class T>() {
    launch(one_per_element(mask.numel()), compare_kernel<T>, mask.data<uint8_t>(), a.data<T>(),
           b.data<T>(), mask.numel(), loops, comparison);
  });
}

void choose(Tensor y, const Tensor& mask, const Tensor& a, const Tensor& b, const ChoiceLoops& by) {
  if (y.numel() == 0) return;
  StridedLoops<3> loops;
  for (size_t d = 0; d < static_cast<size_t>(by.rank); ++d)
    loops.push_back(by.size[d], {by.mask[d], by.a[d], by.b[d]});
  dispatch_width(y.dtype(), [&]<class T>() {
    launch(one_per_element(y.numel()), choose_kernel<T>, static_cast<T*>(y.raw()),
           mask.data<uint8_t>(), static_cast<const T*>(a.raw()), static_cast<const T*>(b.raw()),
           y.numel(), loops);
  });
}

}  // namespace passband::cuda
