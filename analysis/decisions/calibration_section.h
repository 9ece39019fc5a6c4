// The section `calibration`: is the confidence honest?
#pragma once
#include <cstdint>

#include "analysis/study/analysis.h"

namespace passband {

struct CalibrationOptions {
  int64_t bins = 15;  // of confidence; `confusion` shares the pass with this many
};

Section calibration_section(const AnalysisInput& input, const CalibrationOptions& options);

}  // namespace passband
