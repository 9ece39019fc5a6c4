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

// Waves that are laid over each picture of this side.
double heatmap_waves(const HeatmapOptions& options, int64_t image_side);
Section heatmap_section(const AnalysisInput& input, const HeatmapOptions& options);

}  // namespace passband
