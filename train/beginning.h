// How the weights of a run begin: at random, from a file, or from another run; and which of them
// stay as they are.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/run_config.h"

namespace passband {

// Puts the weights that the settings name into the network of a run on these classes, fitted to it
// (see fit_weights). Returns what was done, a line each; nothing where none are named.
std::vector<std::string> begin_weights(const RunSettings& settings,
                                       const std::vector<std::string>& classes, Model& model);

// Gives the network the whitened first layer that the settings may ask for.
void whiten_as_settings_say(const RunSettings& settings, const Dataset& train, Model& model);

// The file that they begin from; nothing where they begin at random.
std::optional<BeginningFile> beginning_of(const RunSettings& settings);

// What was done to make network, pictures and weights fit, as far as settings ask for it, a line
// each. `stored_side` is that of the training pictures.
std::vector<std::string> notes_on_form(const RunSettings& settings, const Model& model,
                                       int64_t stored_side);

// Freezes what the settings name, the weights of a whitened layer with it, and adds to `notes` how
// much is trained. Throws UsageError when a name is of nothing, or when nothing is left to train.
void freeze_weights(const RunSettings& settings, Model& model, std::vector<std::string>& notes);

// Fills in what nobody has said of the pictures: the side that the model's published name states,
// and the preprocessing that the weights to begin from know.
void prepare_as_weights_know(RunSettings& settings);

// The name of the network that a file says its weights are of. Throws UsageError when it says none.
std::string model_of_weights(const std::string& path);

}  // namespace passband
