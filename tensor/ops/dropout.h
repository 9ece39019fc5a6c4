// Random removal, reproducible from a key: the mask is recomputed in backward, never stored.
#pragma once
#include "tensor/autograd/node.h"
#include "tensor/core/random.h"

namespace passband {

// y = x * m / (1 - p), m ~ Bernoulli(1 - p) per element. p in [0, 1).
Tensor dropout(const Tensor& x, double p, const RandomKey& key);
// Stochastic depth: one m per sample (dimension 0).
Tensor drop_path(const Tensor& x, double p, const RandomKey& key);

}  // namespace passband
