// The section `variance`: how much do feature maps vary over the picture?
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section variance_section(const AnalysisInput& input);

}  // namespace passband
