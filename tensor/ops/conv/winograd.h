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
#include "tensor/ops/conv/shape.h"

namespace passband::cpu {

// 3x3, stride 1, no dilation, one group: what the functions below take.
bool winograd_suits(const ConvShape& s);
// Whether they are faster than the direct sum as well.
bool winograd_pays(const ConvShape& s);

// y = conv(x, w) + bias; bias may be null.
void winograd_forward(const ConvShape& s, float* y, const float* x, const float* w,
                      const float* bias);
void winograd_backward_input(const ConvShape& s, float* dx, const float* dy, const float* w);
void winograd_backward_weight(const ConvShape& s, float* dw, const float* dy, const float* x);

}  // namespace passband::cpu
