// Two-dimensional discrete Fourier transform of feature maps x (N, H, W, C), channel by channel:
// F[u, v] = sum_hw x[h, w] e^(-2 pi i (uh/H + vw/W)), for any H and W. No window, no normalisation,
// zero frequency at (0, 0).
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

// |F[u, v]|, the shape of x. Differentiable to any order where |F| > 0: with re, im the parts of F,
// dx = fft2_real(dy re / |F|) + fft2_imaginary(dy im / |F|).
Tensor fft2_magnitude(const Tensor& x);
// Re F and Im F. Both are linear and their own adjoints:
// dx = fft2_real(dy), dx = fft2_imaginary(dy).
Tensor fft2_real(const Tensor& x);
Tensor fft2_imaginary(const Tensor& x);

}  // namespace passband
