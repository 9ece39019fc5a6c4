// The section `noise`: which frequencies of noise does the network stumble over?
#pragma once
#include <vector>

#include "analysis/frequency/frequency_noise.h"
#include "analysis/study/analysis.h"

namespace passband {

struct NoiseOptions {
  std::vector<double> centres = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};  // in units of pi
  double epsilon = 0.7, half_width = 0.2;
  RingShape shape = RingShape::symmetric;
};

Section noise_section(const AnalysisInput& input, const NoiseOptions& options);

}  // namespace passband
