#include "analysis/study/window_grid.h"

#include <cmath>

#include "tensor/ops/matmul.h"
#include "tensor/ops/shape.h"

namespace passband {

int64_t key_cell(const TapSite& site, const Tensor& weights) {
  const int64_t queries = weights.size(2), keys = weights.size(3);
  if (queries == keys || keys == 0 || queries % keys != 0) return 1;
  const auto cell =
      static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(queries / keys))));
  const bool whole = site.prefix == 0 && site.window == 0 && cell * cell * keys == queries &&
                     site.height % cell == 0 && site.width % cell == 0;
  return whole ? cell : 1;
}

Tensor over_places(const TapSite& site, const Tensor& weights) {
  const int64_t cell = key_cell(site, weights);
  if (cell == 1) return weights;
  const int64_t places = site.height * site.width, keys = weights.size(3);
  std::vector<double> spread(static_cast<size_t>(keys * places));
  for (int64_t p = 0; p < places; ++p) {
    const int64_t key = p / site.width / cell * (site.width / cell) + p % site.width / cell;
    spread[static_cast<size_t>(key * places + p)] = 1.0 / static_cast<double>(cell * cell);
  }
  const Tensor rows = reshape(weights, Shape{weights.numel() / keys, keys});
  return reshape(
      matmul(rows, Tensor::from(spread, {keys, places}, weights.dtype(), weights.device())),
      Shape{weights.size(0), weights.size(1), weights.size(2), places});
}

}  // namespace passband
