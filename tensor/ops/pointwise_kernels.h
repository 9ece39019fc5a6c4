// Kernel signatures of the pointwise family. F is a functor of pointwise_functors.h: one listed in
// PASSBAND_FUNCTIONS or the `Backward` of one, or one that pointwise_cpu.cpp and pointwise_cuda.cu
// instantiate by name.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"
#include "tensor/ops/broadcast.h"
#include "tensor/ops/pointwise_functors.h"

namespace passband {

namespace cpu {
// y = f(x), and y = f(a, b) for equal shapes. y may be one of the operands. Then y = f(a, b) with a
// and b read as `loops` says.
// clang-format off
PASSBAND_AT_EVERY_LEVEL(
  template <class F> void map(Tensor y, const Tensor& x, const F& f);
  template <class F> void zip(Tensor y, const Tensor& a, const Tensor& b, const F& f);
  template <class F> void broadcast_zip(Tensor y, const Tensor& a, const Tensor& b,
                                        const Broadcast& loops, const F& f);
)
// clang-format on
template <class F> void map(Tensor y, const Tensor& x, const F& f) {
  Kernel<void(Tensor, const Tensor&, const F&)>{PASSBAND_OF_EVERY_LEVEL(map<F>)}(y, x, f);
}
template <class F> void zip(Tensor y, const Tensor& a, const Tensor& b, const F& f) {
  Kernel<void(Tensor, const Tensor&, const Tensor&, const F&)>{PASSBAND_OF_EVERY_LEVEL(zip<F>)}(
      y, a, b, f);
}
template <class F>
void broadcast_zip(Tensor y, const Tensor& a, const Tensor& b, const Broadcast& loops, const F& f) {
  Kernel<void(Tensor, const Tensor&, const Tensor&, const Broadcast&, const F&)>{
      PASSBAND_OF_EVERY_LEVEL(broadcast_zip<F>)}(y, a, b, loops, f);
}
PASSBAND_CPU_KERNEL(convert, void(Tensor y, const Tensor& x));  // any element type to any other
}  // namespace cpu

namespace cuda {
template <class F> void map(Tensor y, const Tensor& x, const F& f);
template <class F> void zip(Tensor y, const Tensor& a, const Tensor& b, const F& f);
template <class F>
void broadcast_zip(Tensor y, const Tensor& a, const Tensor& b, const Broadcast& loops, const F& f);
void convert(Tensor y, const Tensor& x);
}  // namespace cuda

// A new tensor f(x).
template <class F> Tensor map(const Tensor& x, const F& f = {}) {
  Tensor y = Tensor::empty_like(x);
  PASSBAND_DISPATCH(x.device(), map, y, x, f);
  return y;
}

// A new tensor f(a, b) of two tensors of equal shape.
template <class F> Tensor zip(const Tensor& a, const Tensor& b, const F& f = {}) {
  PASSBAND_CHECK(a.shape() == b.shape() && a.dtype() == b.dtype(), "pointwise: ", a, " and ", b,
                 " differ");
  Tensor y = Tensor::empty_like(a);
  PASSBAND_DISPATCH(a.device(), zip, y, a, b, f);
  return y;
}

}  // namespace passband
