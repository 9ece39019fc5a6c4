// Fully connected layers: linear, the MLP of a transformer block, squeeze-and-excitation.
#pragma once
#include <optional>

#include "nn/grid.h"
#include "nn/parameters.h"

namespace passband {

struct LinearOptions {
  bool bias = true;
  std::optional<Init> weight_init = {};  // PyTorch's fan-in uniform when absent
  std::optional<Init> bias_init = {};    // the same bound
  Layout layout = Layout::same;          // conv_1x1: the checkpoint holds (out, in, 1, 1)
  int64_t rows = 1;                      // vectors that pass per image: for ParameterStore::macs
};

// The same for a layer over `rows` vectors an image; `bias` as it is when absent.
LinearOptions over_rows(LinearOptions options, int64_t rows, std::optional<bool> bias = {});

// y = x weight^T + bias (+ residual) over the last dimension: (..., in) -> (..., out).
struct Linear {
  Linear(const Scope& scope, int64_t in, int64_t out, const LinearOptions& options = {});
  Tensor operator()(const Tensor& x, const Tensor& residual = {}) const;
  // The same without the tap, for a layer around it that shows the result under names of its own.
  Tensor untapped(const Tensor& x, const Tensor& residual = {}) const;

  ParameterRef weight;  // (out, in)
  ParameterRef bias;    // (out) or null
  std::string name;
};

// fc2(gelu(fc1(x))) (+ residual), hidden width `hidden`.
struct Mlp {
  Mlp(const Scope& scope, int64_t width, int64_t hidden, const LinearOptions& options = {});
  Tensor operator()(const Tensor& x, const Tensor& residual = {}) const;

  Linear fc1, fc2;
  std::string name;
};

// Squeeze-and-excitation (Hu et al. 2018): x * sigmoid(fc2(relu(fc1(mean over H, W)))), per
// channel.
struct SqueezeExcite {
  SqueezeExcite(const Scope& scope, int64_t channels, int64_t reduced);
  Tensor operator()(const Tensor& x) const;  // (N, H, W, C)

  Linear fc1, fc2;
  std::string name;
};

}  // namespace passband
