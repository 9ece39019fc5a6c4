// The wing on relevance: which parts of a picture is a decision gathered from?
#pragma once
#include <vector>

#include "analysis/study/analysis.h"

namespace passband {

// Its table of analyses, in the order of the report.
const std::vector<Analysis>& relevance_wing();

}  // namespace passband
