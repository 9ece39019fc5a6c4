// Dropout and stochastic depth as layers: active in training only, keyed by seed, step and place in
// the network.
#pragma once
#include <algorithm>

#include "nn/context.h"
#include "tensor/ops/dropout.h"

namespace passband {

struct Dropout {
  double rate = 0;
  Tensor operator()(const Tensor& x) const {
    if (rate <= 0) return x;
    return in_training() ? dropout(x, rate, random_key("dropout")) : settled("dropout", x);
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
    return in_training() ? drop_path(x, rate, random_key("drop_path")) : settled("drop path", x);
  }
};

// The drop-path rate of block `index` of `blocks`: from 0 to `rate`, linear over depth.
inline double drop_path_at(double rate, int64_t index, int64_t blocks) {
  return rate * static_cast<double>(index) / static_cast<double>(std::max<int64_t>(blocks - 1, 1));
}

}  // namespace passband
