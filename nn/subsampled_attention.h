// Attention of every place to a coarser map.
#pragma once
#include <optional>

#include "nn/conv.h"
#include "nn/grid.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/tap.h"

namespace passband {

// Global sub-sampled attention (Chu et al. 2021, Twins, section 3.2): multi-head attention of all
// places to a map that a convolution of `cell` x `cell` pixels and as much stride has shrunk, each
// of whose places stands for a cell. `cell` 1: to all places, without convolution and norm.
// (N, H, W, width) -> the same; `cell` divides H and W.
//
// The tap "attention" shows (N, heads, H W, H W / cell^2).
struct SubsampledAttention {
  struct Options {
    int64_t heads = 1;
    int64_t cell = 1;
    LinearOptions linear = {};     // initial values
    Conv2dOptions shrinking = {};  // initial values of the convolution
  };
  SubsampledAttention(const Scope& scope, int64_t width, Grid grid, const Options& options);
  Tensor operator()(const Tensor& x, const TapSite& site, const Tensor& residual = {}) const;

  Linear q, kv, proj;
  std::optional<Conv2d> sr;
  std::optional<LayerNorm> norm;
  int64_t heads;
  Grid grid, keys;
};

}  // namespace passband
