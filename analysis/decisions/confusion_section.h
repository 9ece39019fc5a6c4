// The section `confusion`: which classes are taken for which?
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section confusion_section(const AnalysisInput& input);

}  // namespace passband
