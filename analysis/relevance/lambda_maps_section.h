// The section `lambda-maps`: what lambda layers connect, in place of attention maps.
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section lambda_maps_section(const AnalysisInput& input);

}  // namespace passband
