// The pictures that a network was trained on: of its data set, the share that its run took.
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

// The run that says how a network was trained: its own, or the first network's where it has none
// (random weights). Null without any.
const RunDescription* training_run(const AnalysisInput& input, const Subject& subject);

// Made once for each share and kept in the memo; the whole set where a run took it, or where there
// is no run. Throws UsageError when the input has no training pictures.
const Dataset& training_pictures(const AnalysisInput& input, const Subject& subject);

}  // namespace passband
