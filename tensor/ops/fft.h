// Two-dimensional discrete Fourier transform of feature maps.
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

// |F[u, v]| of each channel of x (N, H, W, C) -> (N, H, W, C), no window, no normalisation, zero frequency at (0, 0):
// F[u, v] = sum_hw x[h, w] e^(-2 pi i (uh/H + vw/W)). Differentiable to any order where |F| > 0.
Tensor fft2_magnitude(const Tensor& x);

}  // namespace passband
