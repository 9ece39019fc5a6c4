// Kernel signatures of the softmax family: all work on rows, the last dimension.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

namespace cpu {
PASSBAND_CPU_KERNEL(softmax_forward, void(Tensor y, const Tensor& x));
PASSBAND_CPU_KERNEL(softmax_backward, void(Tensor dx, const Tensor& y, const Tensor& dy));
PASSBAND_CPU_KERNEL(log_softmax_forward, void(Tensor y, const Tensor& x));
PASSBAND_CPU_KERNEL(log_softmax_backward, void(Tensor dx, const Tensor& y, const Tensor& dy));
}  // namespace cpu

namespace cuda {
void softmax_forward(Tensor y, const Tensor& x);
void softmax_backward(Tensor dx, const Tensor& y, const Tensor& dy);
void log_softmax_forward(Tensor y, const Tensor& x);
void log_softmax_backward(Tensor dx, const Tensor& y, const Tensor& dy);
}  // namespace cuda

}  // namespace passband
