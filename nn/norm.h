// Normalisation layers. Scale and shift stay f32 (f64 in an f64 model) whatever the activations
// are.
#pragma once
#include "nn/parameters.h"

namespace passband {

// Batch normalisation over all but the last dimension: batch statistics in training, running ones
// in evaluation and while both its parameters are frozen. Momentum of the statistics and eps are
// the network's (ParameterStore::batch_norms).
struct BatchNorm {
  // `gamma` 0 makes the layer output 0 at the start (the last norm of a residual branch).
  BatchNorm(const Scope& scope, int64_t channels, double gamma = 1);
  Tensor operator()(const Tensor& x) const;  // norm(x)
  // relu(norm(x) + residual), one pass
  Tensor relu(const Tensor& x, const Tensor& residual = {}) const;

  ParameterRef weight, bias;            // (C)
  BufferRef running_mean, running_var;  // (C)
  std::string name;

 private:
  Tensor run(const Tensor& x, bool relu, const Tensor& residual) const;
  Tensor normalise(const Tensor& x, bool relu, const Tensor& residual) const;

  std::shared_ptr<const BatchNormSettings> shared_;
};

// Over the last dimension.
struct LayerNorm {
  LayerNorm(const Scope& scope, int64_t channels, double eps = 1e-6);
  Tensor operator()(const Tensor& x) const;

  ParameterRef weight, bias;  // (C)
  double eps;
  std::string name;

 private:
  Tensor normalise(const Tensor& x) const;
};

// Over H, W and each of `groups` blocks of channels of (N, H, W, C).
struct GroupNorm {
  GroupNorm(const Scope& scope, int64_t channels, int64_t groups, double eps = 1e-5);
  Tensor operator()(const Tensor& x) const;

  ParameterRef weight, bias;  // (C)
  int64_t groups;
  double eps;
  std::string name;

 private:
  Tensor normalise(const Tensor& x) const;
};

}  // namespace passband
