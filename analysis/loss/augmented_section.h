// The section `augmented`: loss on training pictures as they were augmented against test error.
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section augmented_section(const AnalysisInput& input);

}  // namespace passband
