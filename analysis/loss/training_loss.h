// The loss a network was trained with, and the pictures it is measured on: what curvature and
// landscape share.
#pragma once
#include <cstdint>
#include <optional>

#include "analysis/loss/hessian.h"
#include "analysis/study/analysis.h"

namespace passband {

struct LossOptions {
  std::optional<double> decay;  // none: the run's
  LossTerms::Decay decay_rule = LossTerms::Decay::squared;
};

// The loss a network was trained with: smoothing and weight decay of its run (of the first
// network's, where it has none; AdamW's decay is no part of a loss), less what `options` say.
LossTerms loss_terms(const AnalysisInput& input, const LossOptions& options,
                     const Subject& subject);
// The first `count` of its training pictures in an order drawn from `seed` (test pictures where
// training pictures are not loaded), in batches; with `augmented`, made as the run did.
LossBatches loss_batches(const AnalysisInput& input, const Subject& subject, int64_t count,
                         int64_t batch_size, bool augmented, uint64_t seed);

}  // namespace passband
