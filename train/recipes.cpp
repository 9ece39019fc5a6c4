#include "train/recipes.h"

#include <fmt/format.h>

#include <algorithm>

namespace passband {

const BuiltInRecipe* built_in_recipe(const std::string& name) {
  const auto found = std::ranges::find(built_in_recipes(), name, &BuiltInRecipe::name);
  return found == built_in_recipes().end() ? nullptr : &*found;
}

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const BuiltInRecipe& recipe : built_in_recipes()) names.emplace_back(recipe.name);
  return names;
}

std::string about(const BuiltInRecipe& recipe) {
  const std::string_view line = recipe.text.substr(0, recipe.text.find('\n'));
  return std::string(line.substr(std::min<size_t>(line.size(), 2)));
}

std::optional<PublishedResult> published_result(const RunSettings& settings, int64_t classes) {
  const BuiltInRecipe* recipe = built_in_recipe(settings.recipe);
  if (!recipe) return {};
  const std::string data = classes == 1000 ? "imagenet" : settings.data;
  for (const PublishedResult& result :
       published_results(std::string(recipe->text), settings.recipe))
    if (result.model == settings.model && result.data == data) return result;
  return {};
}

std::string beside_published(const RunSettings& settings, int64_t classes, double top1,
                             double epochs) {
  const std::optional<PublishedResult> published = published_result(settings, classes);
  if (!published) return {};
  return fmt::format("published: {:.2f} % ({}); this run: {:.2f} % after {:.4g} epochs",
                     published->top1, published->source, 100 * top1, epochs);
}

}  // namespace passband
