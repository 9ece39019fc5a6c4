// Kernel signatures of inner products along the last dimension.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

namespace cpu {
// y (rows) = sum over columns of a (rows, columns) * b (rows of b, columns); row i meets row i mod
// rows of b.
PASSBAND_CPU_KERNEL(vecdot, void(Tensor y, const Tensor& a, const Tensor& b));
}  // namespace cpu

namespace cuda {
void vecdot(Tensor y, const Tensor& a, const Tensor& b);
}  // namespace cuda

}  // namespace passband
