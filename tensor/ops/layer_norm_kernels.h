// Kernels of layer norm over the last dimension, one signature per backend. mean and rstd hold one
// number per row.
#pragma once
#include "tensor/ops/norm_composed.h"

namespace passband {

namespace cpu {
void layer_norm_forward(Tensor y, Tensor mean, Tensor rstd, const Tensor& x, const Tensor& gamma,
                        const Tensor& beta, double eps);
// results.dx may be undefined; `added`, like dx or undefined, is a gradient from elsewhere that dx
// is to contain.
void layer_norm_backward(NormGradients results, const Tensor& dy, const Tensor& added,
                         const NormSaved& tensors);
}  // namespace cpu

namespace cuda {
void layer_norm_forward(Tensor y, Tensor mean, Tensor rstd, const Tensor& x, const Tensor& gamma,
                        const Tensor& beta, double eps);
void layer_norm_backward(NormGradients results, const Tensor& dy, const Tensor& added,
                         const NormSaved& tensors);
}  // namespace cuda

}  // namespace passband
