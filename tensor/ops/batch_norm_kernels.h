// Kernels of batch norm, one signature per backend. Tensors that may be undefined stand for "not
// wanted".
#pragma once
#include <functional>

#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

// Everything the two directions share. mean, rstd, gamma, beta are (C) in the type of the
// statistics.
struct BatchNormTensors {
  Tensor x, mean, rstd, gamma, beta;
  Tensor relu_bits;  // for backward: signs of the result, one 16-bit word per register of a row;
                     // undefined: computed again from x
  bool relu = false;
  bool training = true;
  // On the CPU, for statistics of several processes: how many rows all of them have, and what adds
  // up numbers over them. 0 and empty: there are no others.
  double rows_of_all = 0;
  std::function<void(double* sums, int64_t count)> add_up = {};
};

namespace cpu {
// Mean and 1 / sqrt(biased variance + eps) of each channel of x; moves the running statistics (may
// be undefined).
PASSBAND_CPU_KERNEL(batch_norm_statistics,
                    void(Tensor mean, Tensor rstd, Tensor running_mean, Tensor running_var,
                         const Tensor& x, double momentum, double eps));
// Mean and sum of squared deviations of each channel of x, (C) f64.
PASSBAND_CPU_KERNEL(batch_norm_moments, void(Tensor mean, Tensor squares, const Tensor& x));
// Allocates relu_bits for x.
PASSBAND_CPU_KERNEL(batch_norm_allocate_bits, void(Tensor& relu_bits, const Tensor& x));
// relu_bits are written where they are defined.
PASSBAND_CPU_KERNEL(batch_norm_forward, void(Tensor y, Tensor relu_bits, const BatchNormTensors& t,
                                             const Tensor& residual));
// dgamma and dbeta are always written; dx and dresidual when defined. `added`, like dx or
// undefined, is a gradient from elsewhere that dx is to contain.
PASSBAND_CPU_KERNEL(batch_norm_backward,
                    void(Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dresidual, const Tensor& dy,
                         const Tensor& added, const BatchNormTensors& t));
}  // namespace cpu

namespace cuda {
void batch_norm_statistics(Tensor mean, Tensor rstd, Tensor running_mean, Tensor running_var,
                           const Tensor& x, double momentum, double eps);
void batch_norm_allocate_bits(Tensor& relu_bits, const Tensor& x);
void batch_norm_forward(Tensor y, Tensor relu_bits, const BatchNormTensors& t,
                        const Tensor& residual);
void batch_norm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dresidual, const Tensor& dy,
                         const Tensor& added, const BatchNormTensors& t);
}  // namespace cuda

}  // namespace passband
