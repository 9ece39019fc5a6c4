// The lists that `train --list` prints.
#pragma once
#include <string>

#include "models/run_settings.h"
#include "train/command_line.h"

namespace passband {

// What --list names: models, data, settings, recipes. For models, parameters and MACs are those at
// the data set's classes and size, and with --pattern the speed of training is measured, with the
// settings that a run of the network would have. Throws UsageError for another kind.
void print_list(const Options& options);

// What a setting means, and the words it may be.
std::string help_of(const Setting& setting);

}  // namespace passband
