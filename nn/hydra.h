// Hydra attention (Bolya et al. 2022): attention with as many heads as channels and the cosine for
// a kernel, at the cost of a sum over tokens.
#pragma once
#include "nn/linear.h"
#include "nn/tap.h"

namespace passband {

// proj(q' * sum over tokens of (k' * v)), elementwise, with q' and k' of length 1 over the channels
// of each token. (N, T, width) -> the same. Each channel mixes tokens by a map of its own, of rank
// 1 and signed, whose rows do not sum to 1; the taps "hydra_query", "hydra_key" and "hydra_value"
// (N, T, width) show q', k' and v, of which it is made.
struct HydraAttention {
  struct Options {
    bool qkv_bias = true;
    LinearOptions linear = {};  // initial values
    int64_t tokens = 1;         // per image: for ParameterStore::macs
  };
  HydraAttention(const Scope& scope, int64_t width, const Options& options);
  Tensor operator()(const Tensor& x, const TapSite& site = {}, const Tensor& residual = {}) const;

  Linear qkv, proj;
};

}  // namespace passband
