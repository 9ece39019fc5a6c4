// The pass over the pictures that calibration and confusion share.
#pragma once
#include <cstdint>
#include <vector>

#include "analysis/decisions/calibration.h"
#include "analysis/study/analysis.h"

namespace passband {

// Every network's answers to the pictures, in `bins` of confidence. The second section to ask for
// as many bins finds it done.
std::vector<CalibrationResult> calibrations(const AnalysisInput& input, int64_t bins);

}  // namespace passband
