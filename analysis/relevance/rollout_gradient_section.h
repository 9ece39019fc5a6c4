// The section `rollout-gradient`: rollout of attention times its gradient.
#pragma once
#include "analysis/relevance/rollout_maps.h"

namespace passband {

Section rollout_gradient_section(const AnalysisInput& input, const RolloutClassOptions& options);

}  // namespace passband
