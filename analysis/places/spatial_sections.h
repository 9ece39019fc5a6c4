// Sections on what layers keep: position, what shortcuts carry, what a linear probe reads.
#pragma once
#include "analysis/study/analysis.h"

namespace passband {

Section localisation_section(const AnalysisInput& input);  // token against patch, CKA
// shortcut against branch, and without the shortcut
Section skip_section(const AnalysisInput& input);
Section probes_section(const AnalysisInput& input);  // ridge probes by layer and token

std::vector<AnalysisOption> probe_options();

}  // namespace passband
