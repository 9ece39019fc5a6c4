// An analysis along the training of runs: its values at every kept checkpoint, against the epoch.
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

// The name of its section.
std::string along_name(const Analysis& analysis);

// Runs `analysis` at every checkpoint of every subject's run, one network in memory at a time; one
// panel a value, one line a run. Time: that of the analysis times the number of checkpoints. What
// is done is kept in `partial_directory`. Throws UsageError when a run kept no checkpoints.
Section along_section(const Analysis& analysis, const AnalysisInput& input);

// Names the checkpoints for caching.
std::string along_key(const Analysis& analysis, const AnalysisInput& input);

}  // namespace passband
