// Dropout and stochastic depth as layers: active in training only, keyed by seed, step and place in
// the network.
#pragma once
#include <algorithm>

#include "nn/context.h"
#include "tensor/ops/dropout.h"
#include "tensor/ops/pointwise.h"

namespace passband {

// A factor for each element of a row of x, (B, ...), or one for all of a row: 1 / (1 - rate), or 0
// for what is dropped. Of a batch that several processes share, those that one process would draw.
Tensor drop_factors(const Tensor& x, double rate, const RandomKey& key, bool whole_rows);

struct Dropout {
  double rate = 0;
  Tensor operator()(const Tensor& x) const {
    if (rate <= 0) return x;
    if (!in_training()) return settled("dropout", x);
    const RandomKey key = random_key("dropout");
    if (!context().share.shared()) return dropout(x, rate, key);
    return x * drop_factors(x, rate, key, /*whole_rows=*/false);
  }
};

// Drops a residual branch for whole samples (Huang et al. 2016).
struct DropPath {
  double rate = 0;
  // Whether the layer does anything: it drops, or refuses a gradient as settled() does.
  bool active() const {
    return rate > 0 && (in_training() || (!context().training.said() && recording()));
  }
  Tensor operator()(const Tensor& x) const {
    if (rate <= 0) return x;
    if (!in_training()) return settled("drop path", x);
    const RandomKey key = random_key("drop_path");
    if (!context().share.shared()) return drop_path(x, rate, key);
    return x * drop_factors(x, rate, key, /*whole_rows=*/true);
  }
};

// The drop-path rate of block `index` of `blocks`: from 0 to `rate`, linear over depth.
inline double drop_path_at(double rate, int64_t index, int64_t blocks) {
  return rate * static_cast<double>(index) / static_cast<double>(std::max<int64_t>(blocks - 1, 1));
}

}  // namespace passband
