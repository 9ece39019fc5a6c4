// Kernels of group norm over (N, H, W, C), one signature per backend. mean and rstd are (N,
// groups).
#pragma once
#include "tensor/cpu/kernel.h"
#include "tensor/ops/norm_composed.h"

namespace passband {

namespace cpu {
PASSBAND_CPU_KERNEL(group_norm_forward, void(Tensor y, Tensor mean, Tensor rstd, const Tensor& x,
                                             const Tensor& gamma, const Tensor& beta, double eps));
PASSBAND_CPU_KERNEL(group_norm_backward,
                    void(NormGradients results, const Tensor& dy, const NormSaved& tensors));
}  // namespace cpu

namespace cuda {
void group_norm_forward(Tensor y, Tensor mean, Tensor rstd, const Tensor& x, const Tensor& gamma,
                        const Tensor& beta, double eps);
void group_norm_backward(NormGradients results, const Tensor& dy, const NormSaved& tensors);
}  // namespace cuda

}  // namespace passband
