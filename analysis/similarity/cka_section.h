// The section `cka`: do layers represent the pictures alike?
#pragma once
#include "analysis/similarity/kernel_maps.h"
#include "analysis/study/analysis.h"

namespace passband {

struct CkaOptions : KernelOptions {
  HsicEstimator estimator = HsicEstimator::unbiased;
  KernelMeasure::Kernel kernel = KernelMeasure::Kernel::linear;
  int64_t batch = 256;
  int64_t passes = 1;
};

Section cka_section(const AnalysisInput& input, const CkaOptions& options);

}  // namespace passband
