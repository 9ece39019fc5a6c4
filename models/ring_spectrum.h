// The spectrum of feature maps as one line.
#pragma once
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

// Mean over pictures and channels of log(|F| + 1e-6), natural, of maps (N, H, W, C) f32, by radius,
// relative to frequency 0: entry i of n + 1 belongs to i / n of the Nyquist frequency, rings being
// as wide as that; n = floor(min(H, W) / 2). Empty for maps of fewer than 3 x 3 places.
std::vector<double> ring_spectrum(const Tensor& maps);

}  // namespace passband
