// `analyze --explore` and `analyze --serve`: the explorer as a file, or served.
#pragma once
#include <functional>

#include "analysis/command_line.h"

namespace passband {

constexpr int kNotFinite = 4;  // exit code: numbers of a network are not finite

// Writes the explorer beside the report. `stopped` gives the signal that ends the program, or 0.
// Returns the exit code.
int write_explorer(const AnalyzeOptions& options, Study& study,
                   const std::function<int()>& stopped);

// Serves the explorer over the program's own operations until a signal comes. Returns the exit
// code, which is the signal's.
int serve_explorer(const AnalyzeOptions& options, Study& study,
                   const std::function<int()>& stopped);

}  // namespace passband
