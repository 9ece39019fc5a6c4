// Accuracy and loss of a network on a data set.
#pragma once
#include "data/dataset.h"
#include "models/model.h"

namespace passband {

struct Evaluation {
  double loss = 0;            // mean cross-entropy, nats
  double top1 = 0, top5 = 0;  // shares in [0, 1]; top5 is 1 below six classes
  int64_t count = 0;
};

// Evaluation mode, no graph. `compute` is the type of activations.
Evaluation evaluate(const Model& model, const Dataset& dataset, int64_t batch_size, DType compute);

// How many rows of logits (N, K) have their label (N) among the `k` largest (ties count as correct only when fewer than
// k others are larger or equal before it).
int64_t count_correct(const Tensor& logits, const int32_t* labels, int64_t k);

}  // namespace passband
