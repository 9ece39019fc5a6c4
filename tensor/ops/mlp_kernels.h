// Kernels of the MLP, one signature per backend. Rows are all dimensions but the last.
#pragma once
#include "tensor/cpu/kernel.h"
#include "tensor/ops/gelu.h"
#include "tensor/ops/matmul_kernels.h"
#include "tensor/ops/pointwise_functors.h"

namespace passband {

// Calls f(GELU, its gradient) with the functors of the form.
template <class F> decltype(auto) with_gelu(GeluForm form, F&& f) {
  if (form == GeluForm::tanh) return f(fn::GeluTanh{}, fn::Backward<fn::GeluTanh>{});
  return f(fn::Gelu{}, fn::Backward<fn::Gelu>{});
}

namespace cpu {
// y = gelu(h), h = x weight^T + bias: x (rows, in), weight (out, in), y (rows, out). The bias may
// be undefined. `kept` (rows, out), undefined where nobody needs it, is for linear_gelu_backward of
// the same backend: h on a GPU, which is quick at the slope, gelu'(h) on the CPU, which gets it at
// half the price beside gelu(h).
PASSBAND_CPU_KERNEL(linear_gelu_forward,
                    void(Tensor y, Tensor kept, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, GeluForm form));
// dh = gelu'(h) * (dy weight), dbias = the sum of its rows: dy (rows, out), weight (out, in), dh
// and kept (rows, in). dbias may be undefined. `parts`, unless null, is where a GPU may leave
// dbias in parts, (parts, in) in f32.
PASSBAND_CPU_KERNEL(linear_gelu_backward,
                    void(Tensor dh, Tensor dbias, Tensor* parts, const Tensor& dy,
                         const Tensor& weight, const Tensor& kept, GeluForm form));
}  // namespace cpu

namespace cuda {
void linear_gelu_forward(Tensor y, Tensor kept, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, GeluForm form);
void linear_gelu_backward(Tensor dh, Tensor dbias, Tensor* parts, const Tensor& dy,
                          const Tensor& weight, const Tensor& kept, GeluForm form);
}  // namespace cuda

}  // namespace passband
