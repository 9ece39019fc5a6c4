// The wing on decisions: how right, how honest and how robust are the answers, and what are they
// based on?
#pragma once
#include <vector>

#include "analysis/study/analysis.h"

namespace passband {

// Its table of analyses, in the order of the report.
const std::vector<Analysis>& decisions_wing();

}  // namespace passband
