// Winograd's algorithm F(4x4, 3x3) in f32 (Lavin and Gray 2016): a 3x3 convolution of stride 1 in
// 2.25 multiplications for each output and channel where the direct sum takes 9.
//
// A tile is 4x4 outputs and the 6x6 inputs d that they see. With a kernel g, products of elements:
//   y = A^T [(G g G^T) (B^T d B)] A,
// for many channels and tiles 36 matrix products. The gradients are the transposes of it: dx is the
// convolution of dy with the kernel turned, dw = G^T [(A dy A^T) (B^T d B)] G summed over tiles.
// The matrices belong to the points 0, +-5/8, +-3/2 and infinity, which round less than Lavin and
// Gray's 0, +-1, +-2 (as Barabasz et al. 2020 show points do): the deviation of y from the exact
// sum is 1.9 times that of the direct sum in f32 where theirs is 4.2 times.
//
// Any size of map, padding and number of channels; every bit is the same on any number of threads.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"
#include "tensor/ops/conv/shape.h"

namespace passband::cpu {

// 3x3, stride 1, no dilation, one group: what the functions below take.
PASSBAND_CPU_KERNEL(winograd_suits, bool(const ConvShape& s));
// Whether they are faster than the direct sum as well.
PASSBAND_CPU_KERNEL(winograd_pays, bool(const ConvShape& s));

// Maps, x, y and their gradients, are f32 or bf16, both of one type; sums, weights and their
// gradient are f32, so that results in bf16 are rounded once.

// y = conv(x, w) + bias; bias may be undefined.
PASSBAND_CPU_KERNEL(winograd_forward, void(const ConvShape& s, Tensor y, const Tensor& x,
                                           const Tensor& w, const Tensor& bias));
PASSBAND_CPU_KERNEL(winograd_backward_input,
                    void(const ConvShape& s, Tensor dx, const Tensor& dy, const Tensor& w));
PASSBAND_CPU_KERNEL(winograd_backward_weight,
                    void(const ConvShape& s, Tensor dw, const Tensor& dy, const Tensor& x));

}  // namespace passband::cpu
