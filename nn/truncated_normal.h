// A normal number that is redrawn, under the next step of its key, until it lies within +-2.
#pragma once
#include <cmath>

#include "tensor/core/random.h"

namespace passband {

// Of mean 0 and this deviation before it is cut; the cut is at absolute +-2, as timm's.
inline double truncated_normal(RandomKey key, uint64_t index, double deviation) {
  for (;; ++key.step) {
    const double x = deviation * static_cast<double>(random_normal(key, index));
    if (std::abs(x) <= 2) return x;
  }
}

}  // namespace passband
