// The section `rollout-class`: relevance for a class (Chefer et al. 2021), with a perturbation
// test.
#pragma once
#include "analysis/relevance/rollout_maps.h"

namespace passband {

Section rollout_class_section(const AnalysisInput& input, const RolloutClassOptions& options);

}  // namespace passband
