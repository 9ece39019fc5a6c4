// The section `entropy`: on how many tokens do attention heads look?
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section entropy_section(const AnalysisInput& input);

}  // namespace passband
