// The error and the loss of a network on training pictures made as its run made them, and on test
// pictures (Park and Kim, ICLR 2022, figure 1).
#pragma once
#include "analysis/loss/hessian.h"
#include "analysis/study/progress.h"

namespace passband {

struct AugmentedLoss {
  double loss = 0;  // mean cross-entropy, nats, of mixed and smoothed labels where the run has them
  double error = 0;  // share of pictures whose answer is not their label; of a mixed picture, the
                     // share of its labels that is not the answer's
  int64_t pictures = 0;
};

// Evaluation mode, no graph; a forward pass of each picture.
AugmentedLoss augmented_loss(const Model& model, const LossBatches& batches,
                             const Progress& progress = {});
// The share of `images` test pictures that are wrong.
double test_error(const Model& model, const Dataset& data, int64_t images);

}  // namespace passband
