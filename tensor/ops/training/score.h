// The score of a classifier, added up where its logits live, so that nobody waits for a batch.
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

// A score is f64 [4]: the sum of the losses of all rows, how many have their label as the largest
// logit, how many among the five largest, and the number of rows. All zero at first.
Tensor empty_score(Device device);

// Adds a batch: `loss` the mean over the rows (f32, or f64 as the logits), logits (N, K), labels
// (N) i32. A label is among the k largest when fewer than k other logits are larger, or equal to it
// and of a smaller class; in a row with a logit that is not finite, it is not among them.
void add_to_score(Tensor score, const Tensor& loss, const Tensor& logits, const Tensor& labels);

// A score that has come to the host.
struct Score {
  double loss_sum = 0, top1 = 0, top5 = 0, rows = 0;
};
Score read_score(const double* values);

}  // namespace passband
