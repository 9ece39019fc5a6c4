#include "models/ring_spectrum.h"

#include <algorithm>
#include <cmath>

#include "tensor/autograd/node.h"
#include "tensor/ops/fft.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

namespace passband {

std::vector<double> ring_means(const std::vector<double>& map, int64_t height, int64_t width) {
  const int64_t radius = std::min(height, width) / 2;
  std::vector<double> total(static_cast<size_t>(radius + 1)), bins(total.size());
  for (int64_t u = 0; u < height; ++u) {
    for (int64_t v = 0; v < width; ++v) {
      const double fu = static_cast<double>(std::min(u, height - u)),
                   fv = static_cast<double>(std::min(v, width - v));
      const auto ring = static_cast<int64_t>(std::lround(std::sqrt(fu * fu + fv * fv)));
      if (ring > radius) continue;
      total[static_cast<size_t>(ring)] += map[static_cast<size_t>(u * width + v)];
      bins[static_cast<size_t>(ring)] += 1;
    }
  }
  for (size_t i = 0; i < total.size(); ++i) total[i] = total[i] / bins[i] - map[0];
  return total;
}

std::vector<double> ring_spectrum(const Tensor& maps) {
  const NoGrad no_grad;
  const int64_t height = maps.size(1), width = maps.size(2);
  if (std::min(height, width) < 3) return {};
  return ring_means(mean(log(fft2_magnitude(maps) + 1e-6), {0, 3}).values(), height, width);
}

}  // namespace passband
