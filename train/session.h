// This call of `train`, as a run remembers it.
#pragma once
#include "models/run_config.h"

namespace passband {

// Date, version, the command as it could be typed again, and the machine: its name, processor and
// cores.
RunSession this_session(int argc, const char* const* argv);

}  // namespace passband
