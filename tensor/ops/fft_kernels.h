// Kernel signatures of the two-dimensional Fourier transform.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

enum class FourierPart : uint8_t { real, imaginary, magnitude };

namespace cpu {
// y = part of F[u, v] of each channel of x (N, H, W, C).
PASSBAND_CPU_KERNEL(fft2, void(Tensor y, const Tensor& x, FourierPart part));
}  // namespace cpu

namespace cuda {
void fft2(Tensor y, const Tensor& x, FourierPart part);
}  // namespace cuda

}  // namespace passband
