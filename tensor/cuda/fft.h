// The Fourier transform of the vendor's library: cuFFT on a GPU (fft_native.cu), plain sums in the
// emulated build.
#pragma once
#include "tensor/cuda/runtime.h"

namespace passband::cuda {

// Transforms `batch` real planes of height x width (device memory, contiguous), unnormalised, e^(-2
// pi i ...): half (batch, height, width / 2 + 1, 2) gets real and imaginary part of the frequencies
// that are not conjugates of others. `planes` is left with undefined contents.
void fft2_planes(float* half, float* planes, int64_t batch, int64_t height, int64_t width,
                 StreamHandle stream);

}  // namespace passband::cuda
