// The wing on similarity: which layers, and which networks, represent the pictures alike?
#pragma once
#include <vector>

#include "analysis/study/analysis.h"

namespace passband {

// Its table of analyses, in the order of the report.
const std::vector<Analysis>& similarity_wing();

}  // namespace passband
