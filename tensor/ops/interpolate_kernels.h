// Kernel signatures of interpolation along one axis.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

// x (outer, inputs, inner) -> y (outer, outputs, inner).
struct BandShape {
  int64_t outer = 1, inputs = 1, outputs = 1, inner = 1;
  int64_t width = 1;  // inputs that one output is made of
};

namespace cpu {
// y[o, i, c] = sum over k < width of weights[i, k] * x[o, start[i] + k, c];  start (outputs) i32,
// weights (outputs, width) f32, f64 for f64.
PASSBAND_CPU_KERNEL(apply_band, void(Tensor y, const Tensor& x, const Tensor& start,
                                     const Tensor& weights, const BandShape& s));
}  // namespace cpu

namespace cuda {
void apply_band(Tensor y, const Tensor& x, const Tensor& start, const Tensor& weights,
                const BandShape& s);
}  // namespace cuda

}  // namespace passband
