// The wing on frequency: which frequencies do layers pass, and which does the network need?
#pragma once
#include <vector>

#include "analysis/study/analysis.h"

namespace passband {

// Its table of analyses, in the order of the report.
const std::vector<Analysis>& frequency_wing();

}  // namespace passband
