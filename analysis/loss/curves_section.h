// The section `curves`: how loss and accuracy went while a network was trained.
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section curves_section(const AnalysisInput& input);

}  // namespace passband
