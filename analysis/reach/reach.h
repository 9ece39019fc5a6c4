// The wing on reach: how far, and how widely, do layers and heads look?
#pragma once
#include <vector>

#include "analysis/study/analysis.h"

namespace passband {

// Its table of analyses, in the order of the report.
const std::vector<Analysis>& reach_wing();

}  // namespace passband
