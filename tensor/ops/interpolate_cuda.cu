// Interpolation along one axis on the GPU: one thread for each element of the result.
//
// Bound by memory: neighbouring threads read neighbouring columns, and the rows that one result is
// made of are read again by the next ones, from the cache.
// Considered: both axes in one launch, which saves writing and reading the image between them, but
// multiplies the weights of a pixel (16 for bicubic instead of 4 and 4).
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/interpolate_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;

template <class T> __global__ void __launch_bounds__(kThreads)
    apply_band_kernel(T* __restrict__ y, const T* __restrict__ x, const int32_t* __restrict__ start,
                      const Accumulate<T>* __restrict__ weights, BandShape s, Divisor outputs,
                      Divisor inner) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= s.outer * s.outputs * s.inner) return;
  const int64_t row = inner.quotient(at), outer = outputs.quotient(row),
                i = row - outer * s.outputs;
  const T* from = x + (outer * s.inputs + start[i]) * s.inner + (at - row * s.inner);
  Accumulate<T> sum = 0;
  for (int64_t k = 0; k < s.width; ++k)
    sum += weights[i * s.width + k] * static_cast<Accumulate<T>>(from[k * s.inner]);
  y[at] = static_cast<T>(sum);
}

}  // namespace

void apply_band(Tensor y, const Tensor& x, const Tensor& start, const Tensor& weights,
                const BandShape& s) {
  if (y.numel() == 0) return;
  dispatch_floating(x.dtype(), "interpolate", [&]<class T>() {
    launch({.grid = blocks_for(y.numel(), kThreads), .block = kThreads, .stream = compute_stream()},
           apply_band_kernel<T>, y.data<T>(), x.data<T>(), start.data<int32_t>(),
           weights.data<Accumulate<T>>(), s, Divisor(s.outputs), Divisor(s.inner));
  });
}

}  // namespace passband::cuda
