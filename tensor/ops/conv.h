// Two-dimensional convolution (cross-correlation), NHWC, closed with its two gradients: each is
// bilinear and the derivative of any of the three is made of the other two.
#pragma once
#include "tensor/autograd/node.h"
#include "tensor/ops/window.h"

namespace passband {

struct ConvOptions {
  PerAxis stride = 1;
  Padding padding = 0;
  PerAxis dilation = 1;
  int64_t groups = 1;

  WindowAxis rows() const { return {stride.height, dilation.height, padding.top, padding.bottom}; }
  WindowAxis columns() const { return {stride.width, dilation.width, padding.left, padding.right}; }
};

// x (N, H, W, C), weight (O, kh, kw, C / groups), bias (O) or undefined -> (N, Ho, Wo, O),
// Ho = floor((H + top + bottom - dilation (kh - 1) - 1) / stride) + 1 with the row's numbers.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const ConvOptions& options = {});
// d conv2d / d x applied to dy (N, Ho, Wo, O); `input` is the shape of x.
Tensor conv2d_input_gradient(const Tensor& dy, const Tensor& weight, const Shape& input,
                             const ConvOptions& options = {});
// d conv2d / d weight applied to dy; `weight` is the shape of the weight.
Tensor conv2d_weight_gradient(const Tensor& dy, const Tensor& x, const Shape& weight,
                              const ConvOptions& options = {});

struct ConvTransposeOptions {
  PerAxis stride = 1;
  Padding padding = 0;         // taken away from each side of the result
  PerAxis output_padding = 0;  // rows and columns added at the end; less than stride or dilation
  PerAxis dilation = 1;
  int64_t groups = 1;
};

// The transposed convolution: x (N, H, W, C), weight (C, kh, kw, O / groups), bias (O) or undefined
// -> (N, Ho, Wo, O),  Ho = (H - 1) stride - top - bottom + dilation (kh - 1) + output_padding + 1.
// It is conv2d's input gradient, by the same kernels: each pixel of x adds its value times the
// filter to the window it stands for. PyTorch's weight (C, O / groups, kh, kw) with the dimensions
// in this library's order.
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});

}  // namespace passband
