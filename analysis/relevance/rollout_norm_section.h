// The section `rollout-norm`: what every block, of whatever kind, moves over the picture.
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section rollout_norm_section(const AnalysisInput& input);

}  // namespace passband
