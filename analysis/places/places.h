// The wing on places: what do tokens and shortcuts keep of where things lie?
#pragma once
#include <vector>

#include "analysis/study/analysis.h"

namespace passband {

// Its table of analyses, in the order of the report.
const std::vector<Analysis>& places_wing();

}  // namespace passband
