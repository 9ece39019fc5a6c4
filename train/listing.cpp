#include "train/listing.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "models/model.h"
#include "models/pattern.h"
#include "models/presets.h"
#include "tensor/core/parallel.h"
#include "tensor/core/text.h"
#include "train/config.h"
#include "train/recipes.h"
#include "train/speed.h"

namespace passband {
using Json = nlohmann::ordered_json;
namespace {

// ListedPictures as the options name them.
struct ListedPictures {
  std::string data;
  int64_t classes = 0, size = 0;
};

ListedPictures pictures_of(const Options& options) {
  RunSettings shown;
  for (const auto& [key, text] : options.given) set_value(shown, key, text);
  const DatasetInfo info = dataset_info(shown.data);
  return {shown.data, info.classes, shown.img_size > 0 ? shown.img_size : info.height};
}

Json as_json(const ModelInfo& m) {
  return {{"name", m.name},
          {"family", m.family},
          {"pattern", m.pattern},
          {"parameters", m.parameters},
          {"macs", m.macs}};
}

void print_models(const ListedPictures& pictures, bool json) {
  const std::vector<ModelInfo> models = list_models(pictures.classes, pictures.size);
  if (json) {
    Json list = Json::array();
    for (const ModelInfo& m : models) list.push_back(as_json(m));
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
  fmt::print("\nat {} classes, {} x {} pixels ({}); a pattern such as CC.CM.CM.CM is a name too:\n",
             pictures.classes, pictures.size, pictures.size, pictures.data);
  for (const Letter& letter : letters()) fmt::print("  {} {}\n", letter.letter, letter.what);
  for (const ModelInfo& m : models)
    if (const std::string note = note_on(m.name); !note.empty()) fmt::print("{}\n", note);
}

std::string rate_text(const Rate& rate) {
  return fmt::format("{:.4g} ({:.4g} to {:.4g})", rate.median, rate.slowest, rate.fastest);
}

Json as_json(const Rate& rate) {
  return {{"median", rate.median},
          {"slowest", rate.slowest},
          {"fastest", rate.fastest},
          {"steps", rate.steps}};
}

// Networks by pattern (or name), with their speed.
void print_patterns(const Options& options, const ListedPictures& pictures) {
  Json list = Json::array();
  if (!options.json)
    fmt::print("{:<32} {:>12} {:>12}  {:>5}  {:<26} {}\n", "pattern", "parameters", "MACs", "batch",
               "images/s in training", "in inference");
  for (const std::string& name : options.patterns) {
    const auto model =
        make_model(name, {.classes = pictures.classes, .image_size = pictures.size}, false);
    const ModelInfo info{name, model->family(), model->pattern(), model->store().parameter_count(),
                         model->macs()};
    Values given = options.given;
    given.emplace_back("model", name);
    const RunSettings settings = resolve(given);
    const Speed speed = measure_speed(settings, pictures.classes, pictures.size);
    Json entry = as_json(info);
    entry["images_per_s"] = {{"training", as_json(speed.training)},
                             {"inference", as_json(speed.inference)}};
    entry["batch_size"] = settings.batch_size;
    entry["threads"] = thread_count();
    list.push_back(entry);
    if (!options.json)
      fmt::print("{:<32} {:>12} {:>10.1f} M  {:>5}  {:<26} {}\n", name,
                 fmt::format("{:L}", info.parameters), static_cast<double>(info.macs) / 1e6,
                 settings.batch_size, rate_text(speed.training), rate_text(speed.inference));
  }
  if (options.json) return fmt::print("{}\n", list.dump(2));
  fmt::print(
      "\nat {} classes, {} x {} pixels ({}), {}; the median of single steps, the slowest "
      "and the fastest\n",
      pictures.classes, pictures.size, pictures.size, pictures.data,
      counted(thread_count(), "thread"));
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
  std::set<std::string> families;
  for (const std::string& model : model_names()) families.insert(family_of(model));
  for (const std::string& family : families) {
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

void print_list(const Options& options) {
  const std::string& kind = options.list;
  if (!options.patterns.empty() && kind != "models")
    throw UsageError("--pattern: goes with --list models");
  if (kind == "models" && !options.patterns.empty())
    return print_patterns(options, pictures_of(options));
  if (kind == "models") return print_models(pictures_of(options), options.json);
  if (kind == "data") return print_data(options.json);
  if (kind == "settings") return print_settings(options.json);
  if (kind == "recipes") return print_recipes(options.json);
  throw UsageError("--list: '" + kind + "' is not one of models, data, settings, recipes" +
                   did_you_mean(kind, {"models", "data", "settings", "recipes"}));
}

}  // namespace passband
