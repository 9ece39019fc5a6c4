// Cross-entropy losses over the last dimension of logits. The loss is f32 (f64 for f64).
#pragma once
#include <optional>

#include "tensor/autograd/node.h"

namespace passband {

// Hard labels (N) i32 in [0, K) for logits (N, K), averaged over N. With smoothing s the target is
// (1 - s) * one_hot + s / K.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, double smoothing = 0);

enum class LossReduction : uint8_t { mean, sum, none };

struct CrossEntropyOptions {
  double smoothing = 0;
  Tensor class_weights = {};  // (K) f32 (f64 for f64 logits), or undefined: all 1. Constants.
  std::optional<int32_t> ignore_index = {};  // a label whose rows do not count; any number
  LossReduction reduction = LossReduction::mean;
};

// As PyTorch's cross_entropy: logits (..., K), labels (...) i32, and with l = -log_softmax(z)
//   loss_n = (1 - s) w[y_n] l_n[y_n] + s / K sum_k w_k l_nk,   0 where y_n is ignored
// none: the losses, of the labels' shape;  sum: their sum;  mean: the sum divided by that of w[y_n]
// over the rows that are not ignored (NaN when all are; the gradient is 0 all the same).
// dz_n = (softmax(z_n) * sum_k t_k - t) * dloss, t_k = (1 - s) w_k [k = y_n] + s / K w_k.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels,
                     const CrossEntropyOptions& options);

// Soft targets (N, K), rows summing to 1, same type as logits: loss = -mean_n sum_k t
// log_softmax(z). dz = (softmax(z) * sum_k t - t) / N;   targets get -log_softmax(z) / N.
Tensor soft_cross_entropy(const Tensor& logits, const Tensor& targets);

// Binary cross-entropy of every class by itself: logits z (N, K), targets t (N, K) in [0, 1] of the
// loss's type. With y = sigmoid(z)
//   loss = -mean_nk (t log y + (1 - t) log(1 - y)),   dz = (y - t) / (N K),   composed.
Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets);

}  // namespace passband
