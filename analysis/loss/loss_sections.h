// Sections about the loss and what breaks a network: curvature, landscape, lesions, corruptions.
#pragma once
#include "analysis/loss/hessian.h"
#include "analysis/study/analysis.h"

namespace passband {

Section hessian_section(const AnalysisInput& input);
Section landscape_section(const AnalysisInput& input);
Section lesion_section(const AnalysisInput& input);
Section robustness_section(const AnalysisInput& input);

// Their options, for the table of analyses.
std::vector<AnalysisOption> hessian_options();
std::vector<AnalysisOption> landscape_options();
std::vector<AnalysisOption> lesion_options();
std::vector<AnalysisOption> robustness_options();

// Why lesions do not apply to a network; empty: they do.
std::string without_branches(const Subject& subject);

// The loss a network was trained with: smoothing and weight decay of its run (of the first
// network's, where it has none; AdamW's decay is no part of a loss), or the number given as option
// `decay`; `decay_rule` is squared or norms.
LossTerms loss_terms(const AnalysisInput& input, const Subject& subject);
// The first `count` training pictures in an order drawn from `seed` (test pictures where training
// pictures are not loaded), in batches; with `augmented`, cropped and flipped as the run did.
LossBatches loss_batches(const AnalysisInput& input, const Subject& subject, int64_t count,
                         int64_t batch_size, bool augmented, uint64_t seed);

}  // namespace passband
