// The section `localisation`: do tokens still speak of their own patch?
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section localisation_section(const AnalysisInput& input);

}  // namespace passband
