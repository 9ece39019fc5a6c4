// The section `heatmap`, the Fourier heat map of Yin et al. (NeurIPS 2019): error for each
// frequency of a fixed perturbation.
#pragma once
#include <cstdint>

#include "analysis/study/analysis.h"

namespace passband {

struct HeatmapOptions {
  int64_t images = 100;
  int64_t step = 2;
  int64_t reach = 0;  // 0: half of the side
  double norm = 0;    // 0: the published one for the size
};

Section heatmap_section(const AnalysisInput& input, const HeatmapOptions& options);

}  // namespace passband
