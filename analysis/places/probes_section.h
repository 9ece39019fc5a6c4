// The section `probes`: what a linear probe reads from each layer, and from single places.
#pragma once
#include "analysis/places/probes.h"
#include "analysis/study/analysis.h"

namespace passband {

Section probes_section(const AnalysisInput& input, const ProbeOptions& options);

}  // namespace passband
