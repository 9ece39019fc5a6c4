// The sections on what layers represent: similarity, frequencies, reach. Their rows, with costs and
// options, are in registry.cpp.
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section similarity_section(const AnalysisInput& input);
Section noise_section(const AnalysisInput& input);
Section heatmap_section(const AnalysisInput& input);
Section entropy_section(const AnalysisInput& input);
Section receptive_field_section(const AnalysisInput& input);

}  // namespace passband
