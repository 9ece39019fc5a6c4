// Makes sure that all processes of a training do the same.
#pragma once
#include "models/run_config.h"

namespace passband {

// Throws UsageError naming the first process whose program, settings or pictures are not those of
// process 0.
void check_processes_agree(const RunConfig& config);

}  // namespace passband
