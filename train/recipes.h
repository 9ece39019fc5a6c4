// The recipes of experiments/recipes/, which the programs carry with them, and what was published
// of each.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/run_config.h"

namespace passband {

struct BuiltInRecipe {
  std::string_view name, text;  // "park-kim", and what is in its file
};
// In the order of their names.
const std::vector<BuiltInRecipe>& built_in_recipes();
// Null where none has this name.
const BuiltInRecipe* built_in_recipe(const std::string& name);
std::vector<std::string> recipe_names();
// The first line of its text.
std::string about(const BuiltInRecipe& recipe);

// What was published for the model and the data of a run by its recipe, if it is a built-in one;
// `classes` of the data: 1000 are taken for ImageNet's.
std::optional<PublishedResult> published_result(const RunSettings& settings, int64_t classes);
// "published: 84.02 % (Park and Kim 2022, figure 8, 305 epochs); this run: 71.30 % after 20", or
// nothing. `epochs`: that it has trained for.
std::string beside_published(const RunSettings& settings, int64_t classes, double top1,
                             double epochs);

}  // namespace passband
