// Attention within a square neighbourhood that slides with the query.
#pragma once
#include "nn/grid.h"
#include "nn/linear.h"
#include "nn/tap.h"

namespace passband {

// Multi-head self-attention of each token to the `kernel` x `kernel` tokens around it. At the
// border the neighbourhood is padded with zeros, as Park and Kim (2022) unfolded it: a padded key
// has logit 0 and takes part in the softmax, its value is 0. A kernel that is even has to cover the
// whole map; attention is global then, and nothing is padded. (N, H, W, width) -> the same.
//
// The tap "attention" shows (N, heads, H W, H W): 0 outside the neighbourhood; at the border rows
// sum to less than 1 by what the padding has taken.
struct LocalAttention {
  struct Options {
    int64_t heads = 3;
    int64_t kernel = 3;
    LinearOptions linear = {};  // initial values; queries, keys and values have no bias
  };
  LocalAttention(const Scope& scope, int64_t width, Grid grid, const Options& options);
  Tensor operator()(const Tensor& x, const TapSite& site, const Tensor& residual = {}) const;

  Linear qkv, proj;
  int64_t heads, kernel;
  Grid grid;

 private:
  bool global() const { return kernel % 2 == 0; }
  Tensor probabilities(const Tensor& q, const Tensor& k) const;

  mutable Tensor neighbourhood_;  // for the last type and device
};

// Whether a kernel is odd or covers the map: what LocalAttention takes.
bool fits_locally(int64_t kernel, Grid grid);

}  // namespace passband
