// Kernels of group norm over (N, H, W, C), one signature per backend. mean and rstd are (N,
// groups).
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

namespace cpu {
void group_norm_forward(Tensor y, Tensor mean, Tensor rstd, const Tensor& x, const Tensor& gamma,
                        const Tensor& beta, double eps);
void group_norm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& x,
                         const Tensor& mean, const Tensor& rstd, const Tensor& gamma);
}  // namespace cpu

namespace cuda {
void group_norm_forward(Tensor y, Tensor mean, Tensor rstd, const Tensor& x, const Tensor& gamma,
                        const Tensor& beta, double eps);
void group_norm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& x,
                         const Tensor& mean, const Tensor& rstd, const Tensor& gamma);
}  // namespace cuda

}  // namespace passband
