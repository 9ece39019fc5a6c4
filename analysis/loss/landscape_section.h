// The section `landscape`: how does the loss rise around the trained network?
#pragma once
#include <cstdint>

#include "analysis/loss/landscape.h"
#include "analysis/loss/training_loss.h"

namespace passband {

struct LandscapeOptions : LossOptions {
  int64_t side_points = 11, line_points = 21;
  double reach = 1;
  FilterNorm scaling = FilterNorm::filter;
  bool augment = false;
};

Section landscape_section(const AnalysisInput& input, const LandscapeOptions& options);

}  // namespace passband
