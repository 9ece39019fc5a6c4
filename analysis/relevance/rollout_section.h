// The section `rollout`: attention rollout with its fusions (Abnar and Zuidema, ACL 2020).
#pragma once
#include "analysis/relevance/rollout_maps.h"

namespace passband {

Section rollout_section(const AnalysisInput& input, const RolloutOptions& options);

}  // namespace passband
