// The settings of a run, from defaults, a recipe, the command line, or the run that goes on.
#pragma once
#include <optional>
#include <string>

#include "models/run_config.h"
#include "tensor/core/tensor.h"

namespace passband {

// What a recipe gives for a model family. By name (train/recipes.h); a TOML file; a run (as for
// find_run) or its config.toml, which is then repeated. Throws UsageError naming what is wrong, and
// where; DataError for a file that cannot be read or, of a run, is not what was written.
Values recipe_by_name(const std::string& recipe, const std::string& family);

// Defaults, then the recipe for the model's family, then `given` (the command line), checked as a
// whole. Paths become absolute. A warm-up that nobody gave keeps its share of the recipe's epochs
// where it would take more than half of those that are given. Epochs or steps that are given stand
// in the place of the recipe's minutes. Throws UsageError.
RunSettings resolve(const Values& given);
// The settings with epochs of just so many steps in the place of minutes. A warm-up that nobody
// gave keeps its share where they are fewer epochs than before. Throws UsageError.
RunSettings with_length(const RunSettings& settings, int64_t steps, int64_t steps_per_epoch,
                        const Values& given);
// The run that the settings repeat, where their recipe is one.
std::optional<RunConfig> repeated_run(const RunSettings& settings);

// The settings of a run that goes on: `given` may change where and how it is computed, and how long
// and how fast it learns; all else defines the run. Throws UsageError.
RunSettings resumed_settings(const RunConfig& run, const Values& given);

// Type of activations for settings.precision on a device.
DType compute_type(const RunSettings& settings, Device device);

}  // namespace passband
