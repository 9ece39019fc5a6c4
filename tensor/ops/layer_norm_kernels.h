// Kernels of layer norm over the last dimension, one signature per backend. mean and rstd hold one
// number per row.
#pragma once
#include "tensor/cpu/kernel.h"
#include "tensor/ops/norm_composed.h"

namespace passband {

namespace cpu {
PASSBAND_CPU_KERNEL(layer_norm_forward, void(Tensor y, Tensor mean, Tensor rstd, const Tensor& x,
                                             const Tensor& gamma, const Tensor& beta, double eps));
// results.dx may be undefined; `added`, like dx or undefined, is a gradient from elsewhere that dx
// is to contain. Where both may be `in_parts`, a GPU puts (parts, columns) in the place of dgamma
// and dbeta.
PASSBAND_CPU_KERNEL(layer_norm_backward,
                    void(NormGradients& results, const Tensor& dy, const Tensor& added,
                         const NormSaved& tensors, bool in_parts));
}  // namespace cpu

namespace cuda {
void layer_norm_forward(Tensor y, Tensor mean, Tensor rstd, const Tensor& x, const Tensor& gamma,
                        const Tensor& beta, double eps);
void layer_norm_backward(NormGradients& results, const Tensor& dy, const Tensor& added,
                         const NormSaved& tensors, bool in_parts);
}  // namespace cuda

}  // namespace passband
