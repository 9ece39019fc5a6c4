#include "models/ring_spectrum.h"

#include <algorithm>
#include <cmath>

#include "tensor/autograd/node.h"
#include "tensor/ops/fft.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

namespace passband {

std::vector<double> ring_spectrum(const Tensor& maps) {
  const NoGrad no_grad;
  const int64_t height = maps.size(1), width = maps.size(2), least = std::min(height, width);
  if (least < 3) return {};
  const std::vector<double> level = mean(log(fft2_magnitude(maps) + 1e-6), {0, 3}).values();
  const int64_t rings = least / 2;
  std::vector<double> sums(static_cast<size_t>(rings + 1)), bins(sums.size());
  const auto axis = [](int64_t i, int64_t side) {
    return static_cast<double>(std::min(i, side - i)) / static_cast<double>(side);
  };
  for (int64_t i = 0; i < height; ++i)
    for (int64_t j = 0; j < width; ++j) {
      const double radius = 2 * std::hypot(axis(i, height), axis(j, width));
      const auto ring = static_cast<int64_t>(std::floor(radius * static_cast<double>(rings) + 0.5));
      if (ring > rings) continue;
      sums[static_cast<size_t>(ring)] += level[static_cast<size_t>(i * width + j)];
      bins[static_cast<size_t>(ring)] += 1;
    }
  for (size_t i = 0; i < sums.size(); ++i) sums[i] = sums[i] / bins[i] - level[0];
  return sums;
}

}  // namespace passband
