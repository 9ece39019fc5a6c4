// The section `receptive-field`: how much of the picture does a layer see?
#pragma once
#include <cstdint>

#include "analysis/reach/receptive_field.h"
#include "analysis/study/analysis.h"

namespace passband {

// The map that sizes are read from.
enum class FieldNorm : uint8_t {
  rms,
  energy,    // its square
  absolute,  // as published; of the exact estimator only
};

struct ReceptiveFieldOptions {
  FieldEstimator estimator = FieldEstimator::signs;
  int64_t draws = 4;
  FieldNorm norm = FieldNorm::rms;
  FieldTap tap = FieldTap::out;
};

Section receptive_field_section(const AnalysisInput& input, const ReceptiveFieldOptions& options);

}  // namespace passband
