#include "train/listing.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tensor/core/text.h"
#include "train/config.h"
#include "train/recipes.h"

namespace passband {
using Json = nlohmann::ordered_json;
namespace {

void print_models(const std::string& data, int64_t img_size, bool json) {
  const DatasetInfo info = dataset_info(data);
  const int64_t size = img_size > 0 ? img_size : info.height;
  const std::vector<ModelInfo> models = list_models(info.classes, size);
  if (json) {
    Json list = Json::array();
    for (const ModelInfo& m : models)
      list.push_back({{"name", m.name},
                      {"family", m.family},
                      {"pattern", m.pattern},
                      {"parameters", m.parameters},
                      {"macs", m.macs}});
    fmt::print("{}\n", list.dump(2));
    return;
  }
  fmt::print("{:<28} {:<42} {:>14} {:>12}\n", "name", "pattern", "parameters", "MACs");
  for (const ModelInfo& m : models) {
    const std::string pattern =
        m.pattern.size() <= 42 ? m.pattern : m.pattern.substr(0, 39) + "...";
    fmt::print("{:<28} {:<42} {:>14} {:>10.1f} M\n", m.name, pattern,
               fmt::format("{:L}", m.parameters), static_cast<double>(m.macs) / 1e6);
  }
  fmt::print("\nat {} classes, {} x {} pixels ({}); a pattern such as CC.CM.CM.CM is a name too\n",
             info.classes, size, size, data);
}

void print_data(bool json) {
  if (json) {
    Json list = Json::array();
    for (const DatasetInfo& d : list_datasets())
      list.push_back({{"name", d.name},
                      {"classes", d.classes},
                      {"size", d.height},
                      {"train", d.train_count},
                      {"test", d.test_count},
                      {"source", d.source}});
    fmt::print("{}\n", list.dump(2));
    return;
  }
  for (const DatasetInfo& d : list_datasets())
    fmt::print("{:<15} {:>5} classes  {:>3} x {:<3}  {:>8} + {:<6} pictures  {}\n", d.name,
               d.classes, d.height, d.width, d.train_count, d.test_count, d.source);
}

void print_settings(bool json) {
  Json list = Json::array();
  for (const Setting& s : settings()) {
    list.push_back({{"key", s.key},
                    {"section", s.section},
                    {"default", value_text(RunSettings{}, s)},
                    {"help", help_of(s)}});
  }
  if (json) {
    fmt::print("{}\n", list.dump(2));
    return;
  }
  for (const Json& s : list)
    fmt::print("{:<18} {:<12} {}\n", s["key"].get<std::string>(), s["default"].get<std::string>(),
               s["help"].get<std::string>());
}

Json published_json(const std::vector<PublishedResult>& results) {
  Json list = Json::array();
  for (const PublishedResult& r : results)
    list.push_back({{"model", r.model}, {"data", r.data}, {"top1", r.top1}, {"source", r.source}});
  return list;
}

// The settings that a recipe gives, and of each family those that are its own.
Json recipe_json(const BuiltInRecipe& recipe) {
  const std::string text(recipe.text), name(recipe.name);
  Json common = Json::object(), json = {{"about", about(recipe)}};
  for (const auto& [key, value] : recipe_values(text, name, "")) common[key] = value;
  json["settings"] = common;
  for (const char* family : {"resnet", "lambda_resnet", "alternet", "vit"}) {
    Json own = Json::object();
    for (const auto& [key, value] : recipe_values(text, name, family))
      if (common.value(key, "") != value) own[key] = value;
    if (!own.empty()) json["families"][family] = own;
  }
  json["published"] = published_json(published_results(text, name));
  return json;
}

void print_values(const std::string& title, const Json& values) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : values.items())
    parts.push_back(fmt::format("{}={}", key, value.get<std::string>()));
  fmt::print("    {}{}\n", title.empty() ? "" : title + ": ", join(parts));
}

void print_recipes(bool json) {
  Json list = Json::object();
  for (const BuiltInRecipe& recipe : built_in_recipes())
    list[std::string(recipe.name)] = recipe_json(recipe);
  if (json) {
    fmt::print("{}\n", list.dump(2));
    return;
  }
  for (const auto& [name, recipe] : list.items()) {
    fmt::print("{:<14} {}\n", name, recipe["about"].get<std::string>());
    print_values("", recipe["settings"]);
    if (recipe.contains("families"))
      for (const auto& [family, own] : recipe["families"].items()) print_values(family, own);
    for (const Json& row : recipe["published"])
      fmt::print("    published: {} on {} {:.2f} % ({})\n", row["model"].get<std::string>(),
                 row["data"].get<std::string>(), row["top1"].get<double>(),
                 row["source"].get<std::string>());
  }
  fmt::print("\n./train --recipe NAME takes one; what is given beside it counts more.\n");
}

}  // namespace

std::string help_of(const Setting& setting) {
  const std::vector<std::string> choices = choices_of(setting);
  return choices.empty() ? setting.help : fmt::format("{}: {}", setting.help, join(choices));
}

void print_list(const std::string& kind, const std::string& data, int64_t img_size, bool json) {
  if (kind == "models") return print_models(data, img_size, json);
  if (kind == "data") return print_data(json);
  if (kind == "settings") return print_settings(json);
  if (kind == "recipes") return print_recipes(json);
  throw UsageError("--list: '" + kind + "' is not one of models, data, settings, recipes" +
                   did_you_mean(kind, {"models", "data", "settings", "recipes"}));
}

}  // namespace passband
