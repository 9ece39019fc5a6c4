#include "train/listing.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tensor/core/text.h"
#include "train/config.h"

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

void print_recipes(bool json) {
  Json list = Json::object();
  for (const char* family : {"resnet", "lambda_resnet", "alternet", "vit"}) {
    Json values = Json::object();
    for (const auto& [key, text] : recipe_by_name("quick", family)) values[key] = text;
    list["quick"][family] = values;
  }
  if (json) {
    fmt::print("{}\n", list.dump(2));
    return;
  }
  for (const auto& [family, values] : list["quick"].items()) {
    fmt::print("quick, {}:\n", family);
    for (const auto& [key, text] : values.items())
      fmt::print("  {} = {}\n", key, text.get<std::string>());
  }
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
