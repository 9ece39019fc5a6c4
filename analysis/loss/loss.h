// The wing on the loss: how is it shaped around the trained weights, and which parts does it need?
#pragma once
#include <vector>

#include "analysis/study/analysis.h"

namespace passband {

// Its table of analyses, in the order of the report.
const std::vector<Analysis>& loss_wing();

}  // namespace passband
