// Cross-entropy losses over the last dimension of logits (N, K), averaged over N. The loss is f32
// (f64 for f64).
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

// Hard labels (N) i32 in [0, K). With smoothing s the target is (1 - s) * one_hot + s / K.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, double smoothing = 0);
// Soft targets (N, K), rows summing to 1, same type as logits: loss = -mean_n sum_k t
// log_softmax(z). dz = (softmax(z) * sum_k t - t) / N;   targets get -log_softmax(z) / N.
Tensor soft_cross_entropy(const Tensor& logits, const Tensor& targets);

}  // namespace passband
