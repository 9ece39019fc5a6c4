// Convolution layer and the patch embedding made of one.
#pragma once
#include <optional>

#include "nn/grid.h"
#include "nn/parameters.h"

namespace passband {

struct Conv2dOptions {
  int64_t kernel = 3;
  int64_t stride = 1;
  // kernel / 2 when absent: the map keeps its size at stride 1.
  std::optional<int64_t> padding = {};
  int64_t groups = 1;
  bool bias = false;
  // Weight standardisation (Qiao et al. 2019): the filters of each output channel are used with
  // mean 0 and variance 1.
  bool standardised = false;
  std::optional<Init> weight_init = {};  // PyTorch's fan-in uniform when absent
  std::optional<Init> bias_init = {};    // the same bound
  bool decay = true;                     // weight decay applies to the filters
};

// x (N, H, W, in) -> (N, Ho, Wo, out). A 1x1 convolution of stride 1 runs as a matrix product.
struct Conv2d {
  // `grid` is the extent of the input; from it come `out_grid`, that of the result, the check that
  // the kernel fits, and the multiply-accumulates. The layer does without it, and without these.
  Conv2d(const Scope& scope, int64_t in, int64_t out, Grid grid, const Conv2dOptions& options = {});
  Conv2d(const Scope& scope, int64_t in, int64_t out, const Conv2dOptions& options = {});
  // `residual`, when given, is added to the result; a 1x1 convolution of stride 1 adds it on the
  // way.
  Tensor operator()(const Tensor& x, const Tensor& residual = {}) const;

  ParameterRef weight;  // (out, k, k, in / groups)
  ParameterRef bias;    // (out) or null
  Grid out_grid;
  int64_t kernel, stride, padding, groups;
  bool standardised;
  std::string name;

 private:
  Tensor run(const Tensor& x, const Tensor& residual) const;
};

// Non-overlapping patches of `patch` x `patch` pixels to vectors: (N, H, W, in) -> (N, tokens,
// width).
struct PatchEmbed {
  PatchEmbed(const Scope& scope, int64_t in, int64_t width, int64_t patch, Grid grid);
  Tensor operator()(const Tensor& x) const;

  Conv2d proj;
  std::string name;
};

}  // namespace passband
