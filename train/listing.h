// The lists that `train --list` prints.
#pragma once
#include <cstdint>
#include <string>

#include "models/run_settings.h"

namespace passband {

// kind: models, data, settings, recipes. For models, parameters and MACs are those at the data
// set's classes and size. Throws UsageError for another kind.
void print_list(const std::string& kind, const std::string& data, int64_t img_size, bool json);

// What a setting means, and the words it may be.
std::string help_of(const Setting& setting);

}  // namespace passband
