// Recipes, and configurations as TOML.
#include <fmt/format.h>

#include <toml++/toml.h>

#include "tensor/core/file.h"
#include "tensor/core/text.h"
#include "train/config.h"

namespace passband {
namespace {

// The default: real accuracy in five minutes on two cores. Measured on the page
// experiments/quick.md.
constexpr const char* kQuick = R"(
[train]
epochs = 9
batch_size = 128
opt = "sgd"
lr = 0.25
weight_decay = 0.0005
sched = "onecycle"
warmup_epochs = 2
smoothing = 0.1
crop_padding = 2
crop_mode = "reflect"
eval_interval = 2

[family.alternet.train]
epochs = 6
warmup_epochs = 1

[family.lambda_resnet.train]
epochs = 5
warmup_epochs = 1

[family.vit.train]
epochs = 4
warmup_epochs = 1
opt = "adamw"
lr = 0.001
weight_decay = 0.05
clip_grad = 1.0
)";

// The shortest text that reads back as the same number, and as a number with a fraction.
std::string number_text(double value) {
  const std::string text = fmt::format("{}", value);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

std::string value_text(const toml::node& node, const std::string& where) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto whole = node.value_exact<int64_t>()) return std::to_string(*whole);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  throw UsageError(where + " is neither text, number nor true/false");
}

// The keys of the sections [model], [data] and [train] of `table`.
void collect(const toml::table& table, const std::string& source, Values& values) {
  for (const char* section : {"model", "data", "train"}) {
    const toml::table* keys = table[section].as_table();
    if (!keys) continue;
    for (const auto& [key, node] : *keys) {
      const std::string name(key.str());
      values.emplace_back(name, value_text(node, source + ": " + section + "." + name));
    }
  }
}

toml::table parse(const std::string& text, const std::string& source) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw UsageError(
        fmt::format("{}:{}: {}", source, error.source().begin.line, error.description()));
  }
}

void check_sections(const toml::table& table, const std::string& source) {
  const std::vector<std::string> known = {"model", "data", "train", "family"};
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (std::ranges::find(known, name) == known.end())
      throw UsageError(source + ": unknown section [" + name + "]" + did_you_mean(name, known));
  }
}

}  // namespace

Values recipe_values(const std::string& recipe, const std::string& family) {
  const bool built_in = recipe == "quick";
  if (!built_in && !recipe.ends_with(".toml"))
    throw UsageError("recipe: '" + recipe + "' is neither 'quick' nor a .toml file");
  const toml::table table = parse(built_in ? kQuick : read_file(recipe), recipe);
  check_sections(table, recipe);
  Values values;
  collect(table, recipe, values);
  if (const toml::table* special = table["family"][family].as_table())
    collect(*special, recipe, values);
  TrainConfig scratch;
  for (const auto& [key, text] : values) {
    try {
      set_value(scratch, key, text);
    } catch (const UsageError& error) {
      throw UsageError(recipe + ": " + error.what());
    }
  }
  return values;
}

std::string to_toml(const TrainConfig& config, int64_t classes, int64_t image_size) {
  std::string text, section;
  for (const Setting& s : settings()) {
    if (section != s.section) {
      section = s.section;
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
      if (section == "model")
        text += fmt::format("classes = {}\nimage_size = {}\n", classes, image_size);
    }
    const auto literal = [&](auto member) -> std::string {
      const auto& value = config.*member;
      using T = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<T, std::string>) return fmt::format("{:?}", value);
      else if constexpr (std::is_same_v<T, double>) return number_text(value);
      else return fmt::format("{}", value);
    };
    text += fmt::format("{} = {}\n", s.key, std::visit(literal, s.member));
  }
  return text;
}

TrainConfig from_toml(const std::string& text, const std::string& source) {
  Values values;
  collect(parse(text, source), source, values);
  TrainConfig config;
  for (const auto& [key, value] : values)
    if (key != "classes" && key != "image_size") set_value(config, key, value);
  return config;
}

}  // namespace passband
