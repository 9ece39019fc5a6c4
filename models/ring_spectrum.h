// The spectrum of feature maps as one line.
#pragma once
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

// Of a map (height, width) over frequencies, its mean over those that are i steps from frequency 0,
// rounded, less its value there, for i from 0 to floor(min(height, width) / 2).
std::vector<double> ring_means(const std::vector<double>& map, int64_t height, int64_t width);

// The ring means of log(|F| + 1e-6), natural, mean over pictures and channels, of maps (N, H, W, C)
// f32: entry i belongs to 2 i / min(H, W) of the Nyquist frequency. Empty for maps of fewer than
// 3 x 3 places.
std::vector<double> ring_spectrum(const Tensor& maps);

}  // namespace passband
