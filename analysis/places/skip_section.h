// The section `skip`: what shortcuts carry, and what is lost without one.
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section skip_section(const AnalysisInput& input);

}  // namespace passband
