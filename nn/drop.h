// Dropout and stochastic depth as layers: active in training only, keyed by seed, step and place in
// the network.
#pragma once
#include "nn/context.h"
#include "tensor/ops/dropout.h"

namespace passband {

struct Dropout {
  double rate = 0;
  Tensor operator()(const Tensor& x) const {
    return rate > 0 && context().training ? dropout(x, rate, random_key("dropout")) : x;
  }
};

// Drops a residual branch for whole samples (Huang et al. 2016).
struct DropPath {
  double rate = 0;
  bool active() const { return rate > 0 && context().training; }
  Tensor operator()(const Tensor& x) const {
    return active() ? drop_path(x, rate, random_key("drop_path")) : x;
  }
};

}  // namespace passband
