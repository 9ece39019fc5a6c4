// The section `growth`: what is learned from a share of the data, against the ceiling of another
// seed?
#pragma once
#include "analysis/similarity/kernel_maps.h"
#include "analysis/study/analysis.h"

namespace passband {

// Trained as the same model as `reference`, with other weights.
bool is_sibling(const Subject& subject, const Subject& reference);

struct GrowthOptions {
  LayerChoice layers = LayerChoice::blocks;
};

Section growth_section(const AnalysisInput& input, const GrowthOptions& options);

}  // namespace passband
