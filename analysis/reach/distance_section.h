// The section `distance`: how far do attention heads look?
#pragma once
#include "analysis/reach/attention_reach.h"
#include "analysis/study/analysis.h"

namespace passband {

struct DistanceOptions {
  ClassToken class_token = ClassToken::renormalise;
};

Section distance_section(const AnalysisInput& input, const DistanceOptions& options);

}  // namespace passband
