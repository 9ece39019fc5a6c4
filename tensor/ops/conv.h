// Two-dimensional convolution (cross-correlation), NHWC, closed with its two gradients: each is
// bilinear and the derivative of any of the three is made of the other two.
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

struct ConvOptions {
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t dilation = 1;
  int64_t groups = 1;
};

// x (N, H, W, C), weight (O, kh, kw, C / groups), bias (O) or undefined -> (N, Ho, Wo, O),
// Ho = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const ConvOptions& options = {});
// d conv2d / d x applied to dy (N, Ho, Wo, O); `input` is the shape of x. Also the transposed
// convolution.
Tensor conv2d_input_gradient(const Tensor& dy, const Tensor& weight, const Shape& input,
                             const ConvOptions& options = {});
// d conv2d / d weight applied to dy; `weight` is the shape of the weight.
Tensor conv2d_weight_gradient(const Tensor& dy, const Tensor& x, const Shape& weight,
                              const ConvOptions& options = {});

}  // namespace passband
