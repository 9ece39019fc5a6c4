// The section `lesion`: which parts does the network need?
#pragma once
#include "analysis/loss/lesion.h"
#include "analysis/study/analysis.h"

namespace passband {

struct LesionOptions {
  Removal removal = Removal::zero;
};

Section lesion_section(const AnalysisInput& input, const LesionOptions& options);

}  // namespace passband
