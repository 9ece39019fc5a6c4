// Kernels of the convolutions, one signature per backend.
#pragma once
#include "tensor/cpu/kernel.h"
#include "tensor/ops/conv.h"

namespace passband {

namespace cpu {
// y = conv(x, w) + bias;  `bias` may be undefined.
PASSBAND_CPU_KERNEL(conv2d_forward, void(Tensor y, const Tensor& x, const Tensor& w,
                                         const Tensor& bias, const ConvOptions& options));
PASSBAND_CPU_KERNEL(conv2d_backward_input,
                    void(Tensor dx, const Tensor& dy, const Tensor& w, const ConvOptions& options));
// `parts`, unless null, is where a GPU that splits its sum may leave that, in the place of dw: one
// dimension more, the first, in f32.
PASSBAND_CPU_KERNEL(conv2d_backward_weight, void(Tensor dw, Tensor* parts, const Tensor& dy,
                                                 const Tensor& x, const ConvOptions& options));
}  // namespace cpu

namespace cuda {
void conv2d_forward(Tensor y, const Tensor& x, const Tensor& w, const Tensor& bias,
                    const ConvOptions& options);
void conv2d_backward_input(Tensor dx, const Tensor& dy, const Tensor& w,
                           const ConvOptions& options);
void conv2d_backward_weight(Tensor dw, Tensor* parts, const Tensor& dy, const Tensor& x,
                            const ConvOptions& options);
}  // namespace cuda

}  // namespace passband
