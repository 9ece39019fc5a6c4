// The section `shape-bias`: does the network go by shape or by texture?
#pragma once
#include <cstdint>
#include <string>

#include "analysis/decisions/shape_bias.h"
#include "analysis/study/analysis.h"

namespace passband {

struct ShapeBiasOptions {
  std::string folder, mapping;  // see folder_conflicts; no folder: the built-in shapes
  Pool pool = Pool::mean;
  uint64_t seed = 1;
};

Section shape_bias_section(const AnalysisInput& input, const ShapeBiasOptions& options);

}  // namespace passband
