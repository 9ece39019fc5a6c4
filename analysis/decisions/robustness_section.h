// The section `robustness`: how does the network bear pictures that got worse?
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "analysis/study/analysis.h"

namespace passband {

struct RobustnessOptions {
  bool extra = true;
  std::optional<std::string> files;
  uint64_t seed = 1;
};

Section robustness_section(const AnalysisInput& input, const RobustnessOptions& options);

}  // namespace passband
