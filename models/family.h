// Families of networks: which names each knows, and what a name stands for. registry.cpp holds the
// table of them.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"

namespace passband {

// What the name of a network stands for.
struct Architecture {
  std::string family;
  // Why the network cannot take pictures of this side, and which it can, as a sentence after
  // "model NAME: "; empty when it can. Without the function it takes any.
  std::function<std::string(int64_t image_size)> refusal = {};
  std::function<std::unique_ptr<Model>(const std::string& name, const ModelOptions&)> make;
  bool chooses_stem = false;  // ModelOptions::stem is for it
};

// The refusal of patches (or other cells) of `patch` pixels that do not tile a picture of `side`.
std::string untiled(int64_t patch, int64_t side);

// Whether ModelOptions::stem is for the model of this name. Throws as make_model does.
bool chooses_stem(const std::string& name);

struct ModelFamily {
  // Nothing when the name is none of this family's. Throws UsageError for one with a mistake in it.
  std::optional<Architecture> (*find)(const std::string& name);
  // The names to list and to offer for a mistyped one.
  std::vector<std::string> (*names)();
};

}  // namespace passband
