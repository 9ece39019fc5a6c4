// The section `hydra-maps`: what Hydra attention mixes, in place of a heat map.
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section hydra_maps_section(const AnalysisInput& input);

}  // namespace passband
