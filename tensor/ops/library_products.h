// Matrix products by cuBLASLt and convolutions by cuDNN, as this project calls them.
// cublas_native.cu and cudnn_native.cu implement them on a GPU; in the emulated build plain loops
// do (tests/cuda_emulator).
//
// All run on compute_stream() and return false, having done nothing, where the library has no
// algorithm (or, for cuDNN, where it was not found when this was built). Only algorithms that give
// the same bits on every run are used.
#pragma once
#include "tensor/ops/conv_geometry.h"
#include "tensor/ops/matmul_kernels.h"

namespace passband::cuda {

bool library_matmul(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& epilogue,
                    const ProductShape& shape);

// y = gelu(h), h = x weight^T + bias, the GELU in its tanh form; h and bias may be undefined.
bool library_linear_gelu(Tensor y, Tensor h, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, const ProductShape& shape);
// dh = gelu'(h) * (dy weight), dbias = the sum of its rows (may be undefined), the GELU in its tanh
// form.
bool library_gelu_gradient(Tensor dh, Tensor dbias, const Tensor& dy, const Tensor& weight,
                           const Tensor& h, const ProductShape& shape);

bool library_conv2d_forward(Tensor y, const Tensor& x, const Tensor& w, const Tensor& bias,
                            const ConvGeometry& g);
bool library_conv2d_backward_input(Tensor dx, const Tensor& dy, const Tensor& w,
                                   const ConvGeometry& g);
bool library_conv2d_backward_weight(Tensor dw, const Tensor& dy, const Tensor& x,
                                    const ConvGeometry& g);

}  // namespace passband::cuda
