#include "models/run_config.h"

#include <fmt/format.h>

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <optional>
#include <sstream>

#include "models/presets.h"
#include "tensor/core/checksum.h"
#include "tensor/core/error.h"
#include "tensor/core/text.h"
#include "tensor/core/version.h"

namespace passband {
namespace {

constexpr const char* kSections[] = {"model", "data", "train"};
// What a run remembers beside its settings.
const std::vector<std::string> kRememberedOfModel = {"classes", "image_size", "began_from"};
const std::vector<std::string> kRememberedOfData = {"data_path", "class_names", "training_pictures",
                                                    "validation_pictures", "test_pictures"};

template <class Fingerprint> auto splits_of(Fingerprint& data) {
  return std::array{std::pair{"training_pictures", &data.train},
                    std::pair{"validation_pictures", &data.val},
                    std::pair{"test_pictures", &data.test}};
}

// --- writing
// --------------------------------------------------------------------------------------

// As toml++ writes it. TOML is UTF-8: a text that is not (a folder named in another encoding)
// becomes a table of its bytes.
std::string literal(const std::string& text) {
  std::ostringstream out;
  out.exceptions(std::ios::badbit);  // without memory a stream would cut the text, and say nothing
  const toml::value<std::string> value(text);
  out << toml::toml_formatter(value, toml::format_flags::allow_unicode_strings);
  try {
    if (toml::parse("text = " + out.str())["text"].value<std::string>() == text) return out.str();
  } catch (const toml::parse_error&) {
  }
  std::string digits;
  for (const char c : text) digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return fmt::format("{{ bytes = \"{}\" }}", digits);
}

std::string literal(const RunSettings& settings, const Setting& setting) {
  const std::string text = value_text(settings, setting);
  if (std::holds_alternative<bool RunSettings::*>(setting.member) ||
      std::holds_alternative<int64_t RunSettings::*>(setting.member))
    return text;
  // A number with a fraction stays one.
  if (std::holds_alternative<double RunSettings::*>(setting.member))
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  return literal(text);
}

std::string literal(const std::vector<std::string>& texts) {
  std::vector<std::string> parts;
  for (const std::string& text : texts) parts.push_back(literal(text));
  return "[" + join(parts) + "]";
}

std::string remembered_text(const RunConfig& config, const std::string& section) {
  const DataFingerprint& data = config.data;
  if (section == "model") {
    std::string text =
        fmt::format("classes = {}\nimage_size = {}\n", data.classes.size(), config.image_size);
    if (const auto& file = config.beginning)
      text += fmt::format("began_from = {{ file = {}, xxh64 = \"{}\" }}\n", literal(file->name),
                          checksum_text(file->checksum));
    return text;
  }
  if (section != "data") return {};
  std::string text = fmt::format("data_path = {}\nclass_names = {}\n", literal(config.data_path),
                                 literal(data.classes));
  for (const auto& [name, split] : splits_of(data))
    text += fmt::format("{} = {{ count = {}, pictures = \"{:016x}\", labels = \"{:016x}\" }}\n",
                        name, split->count, split->pictures, split->labels);
  return text;
}

// --- reading
// --------------------------------------------------------------------------------------

std::string text_of_bytes(const std::string& digits) {
  std::string text;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    text += static_cast<char>(std::strtoul(digits.substr(i, 2).c_str(), nullptr, 16));
  return text;
}

// As set_value takes it; nothing where the node is no value.
std::optional<std::string> value_of(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto whole = node.value_exact<int64_t>()) return std::to_string(*whole);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  if (const toml::table* table = node.as_table())
    if (const auto digits = (*table)["bytes"].value<std::string>()) return text_of_bytes(*digits);
  return {};
}

template <class E> toml::table parse(const std::string& text, const std::string& source) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw E(
        fmt::format("{}:{}: {}", source, error.source().begin.line, one_line(error.description())));
  }
}

// Reads the keys of one section; what is missing or of another type is an error that names it.
class Section {
 public:
  Section(const toml::table* table, std::string name) : table_(table), name_(std::move(name)) {}

  const toml::node* find(const std::string& key) const {
    return table_ ? table_->get(key) : nullptr;
  }
  const toml::node& at(const std::string& key) const {
    if (const toml::node* node = find(key)) return *node;
    throw DataError(fmt::format("{} {} is missing", name_, key));
  }
  std::string text(const std::string& key) const {
    const toml::node& node = at(key);
    if (node.is_string() || node.is_table())
      if (const auto value = value_of(node)) return *value;
    throw wrong_type(key);
  }
  int64_t number(const std::string& key, int64_t least = 0) const {
    const auto value = at(key).value_exact<int64_t>();
    if (!value) throw wrong_type(key);
    if (*value < least)
      throw DataError(
          fmt::format("{} {}: {} is too small, the least is {}", name_, key, *value, least));
    return *value;
  }
  void refuse_others(const std::vector<std::string>& known) const {
    if (!table_) return;
    for (const auto& [key, node] : *table_)
      if (const std::string name(key.str()); std::ranges::find(known, name) == known.end())
        throw DataError(fmt::format("{} {} is nothing that this version knows{}", name_,
                                    quote(name), did_you_mean(name, known)));
  }
  std::vector<std::string> texts(const std::string& key) const {
    const toml::array* array = at(key).as_array();
    if (!array) throw wrong_type(key);
    std::vector<std::string> texts;
    for (const toml::node& node : *array) {
      if (!node.is_string() && !node.is_table()) throw wrong_type(key);
      texts.push_back(value_of(node).value_or(""));
    }
    return texts;
  }
  uint64_t hash(const std::string& key) const {
    const std::string digits = text(key);
    if (digits.size() != 16 || digits.find_first_not_of("0123456789abcdef") != std::string::npos)
      throw DataError(
          fmt::format("{} {}: {} are not 16 hexadecimal digits", name_, key, quote(digits)));
    return std::strtoull(digits.c_str(), nullptr, 16);
  }
  Section table(const std::string& key) const {
    const toml::table* table = at(key).as_table();
    if (!table) throw wrong_type(key);
    return {table, name_ + " " + key};
  }
  DataError wrong_type(const std::string& key) const {
    return DataError(fmt::format("{} {} has the wrong type", name_, key));
  }

 private:
  const toml::table* table_;
  std::string name_;
};

Section section(const toml::table& table, const std::string& name) {
  return {table[name].as_table(), "[" + name + "]"};
}

std::vector<RunSession> read_sessions(const toml::table& table) {
  std::vector<RunSession> sessions;
  const toml::array* entries = table["session"].as_array();
  for (size_t i = 0; entries && i < entries->size(); ++i) {
    const Section entry(entries->get(i)->as_table(), "[[session]]");
    const auto* when = entry.at("date").as_date_time();
    if (!when) throw entry.wrong_type("date");
    std::ostringstream date;
    date.exceptions(std::ios::badbit);
    date << *when;
    entry.refuse_others({"date", "version", "command", "machine", "step"});
    sessions.push_back({date.str(), entry.text("version"), entry.text("command"),
                        entry.text("machine"), entry.number("step")});
  }
  return sessions;
}

void read_settings(const toml::table& table, bool all, RunSettings& settings) {
  for (const Setting& s : passband::settings()) {
    const Section keys = section(table, s.section);
    if (!keys.find(s.key) && !all) continue;
    const toml::node& node = keys.at(s.key);
    const auto value = value_of(node);
    const bool is_text = std::holds_alternative<std::string RunSettings::*>(s.member);
    if (!value || (is_text && !node.is_string() && !node.is_table())) throw keys.wrong_type(s.key);
    set_value(settings, s.key, *value);
  }
}

DataFingerprint read_fingerprint(const Section& data) {
  DataFingerprint fingerprint{.classes = data.texts("class_names")};
  for (const auto& [name, split] : splits_of(fingerprint)) {
    const Section table = data.table(name);
    table.refuse_others({"count", "pictures", "labels"});
    *split = {table.number("count"), table.hash("pictures"), table.hash("labels")};
  }
  return fingerprint;
}

std::optional<BeginningFile> read_beginning(const Section& model) {
  if (!model.find("began_from")) return {};
  const Section table = model.table("began_from");
  table.refuse_others({"file", "xxh64"});
  return BeginningFile{table.text("file"), table.hash("xxh64")};
}

// After a slip of a disk or of a hand, what was meant would silently have its default.
void refuse_unknown_keys(const toml::table& table) {
  Section(&table, "section").refuse_others({"model", "data", "train", "session"});
  for (const std::string name : kSections) {
    std::vector<std::string> known;
    if (name == "model") known = kRememberedOfModel;
    if (name == "data") known = kRememberedOfData;
    for (const Setting& s : settings())
      if (name == s.section) known.emplace_back(s.key);
    section(table, name).refuse_others(known);
  }
}

RunConfig read_config(const toml::table& table) {
  RunConfig config;
  const Section model = section(table, "model"), data = section(table, "data");
  config.sessions = read_sessions(table);
  // Not of every older version: the newest one that worked on the run wrote the file.
  const bool ours = config.sessions.empty() || config.sessions.back().version == version();
  model.at("model"), data.at("data");
  refuse_unknown_keys(table);
  read_settings(table, ours, config.settings);
  if (!config.sessions.empty() && config.sessions.back().version == "0.1.0")
    config.settings.model = name_since_0_1(config.settings.model);
  config.image_size = model.number("image_size", 1);
  config.beginning = read_beginning(model);
  config.data_path = data.text("data_path");
  config.data = read_fingerprint(data);
  if (config.sessions.empty()) throw DataError("[[session]] is missing");
  if (model.number("classes") != static_cast<int64_t>(config.data.classes.size()))
    throw DataError("[model] classes is not the number of [data] class_names");
  return config;
}

// What is no setting in the config.toml of a run; and the recipe that it was made by.
bool is_remembered(const std::string& name) {
  return name == "recipe" ||
         std::ranges::find(kRememberedOfModel, name) != kRememberedOfModel.end() ||
         std::ranges::find(kRememberedOfData, name) != kRememberedOfData.end();
}

// The settings that a table gives.
void collect(const toml::table& table, const std::string& source, Values& values) {
  for (const char* section : kSections) {
    const toml::table* keys = table[section].as_table();
    if (!keys) continue;
    for (const auto& [key, node] : *keys) {
      const std::string name(key.str());
      if (is_remembered(name)) continue;
      const auto value = value_of(node);
      if (!value)
        throw UsageError(
            fmt::format("{}: {}.{} is neither text, number nor true/false", source, section, name));
      values.emplace_back(name, *value);
    }
  }
}

void check_sections(const toml::table& table, const std::string& source) {
  const std::vector<std::string> known = {"model",  "data",    "train",
                                          "family", "session", "published"};
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (std::ranges::find(known, name) == known.end())
      throw UsageError(source + ": unknown section [" + name + "]" + did_you_mean(name, known));
  }
}

// Whether a recipe's [family.NAME] is for this family: by its name, or by a list `also` of others.
bool is_for(const toml::table& special, const toml::key& name, const std::string& family) {
  if (name.str() == family) return true;
  const toml::array* also = special["also"].as_array();
  return also && std::ranges::any_of(*also, [&](const toml::node& other) {
           return other.value_or(std::string()) == family;
         });
}

}  // namespace

ModelOptions RunConfig::model_options() const {
  return {.classes = static_cast<int64_t>(data.classes.size()),
          .image_size = image_size,
          .drop_path = settings.drop_path,
          .dropout = settings.dropout,
          .seed = static_cast<uint64_t>(settings.seed),
          .bn_momentum = settings.bn_momentum,
          .bn_eps = settings.bn_eps,
          .bn_fixed_scale = settings.bn_fixed_scale,
          .stem = settings.stem};
}

std::string to_toml(const RunConfig& config) {
  std::string text;
  for (const std::string section : kSections) {
    text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    for (const Setting& s : settings())
      if (section == s.section)
        text += fmt::format("{} = {}\n", s.key, literal(config.settings, s));
    text += remembered_text(config, section);
  }
  for (const RunSession& s : config.sessions)
    text += fmt::format(
        "\n[[session]]\ndate = {}\nversion = {}\ncommand = {}\nmachine = {}\nstep = {}\n", s.date,
        literal(s.version), literal(s.command), literal(s.machine), s.step);
  return text;
}

RunConfig run_config_from(const std::string& text, const std::string& source) {
  const toml::table table = parse<DataError>(text, source);
  try {
    return read_config(table);
  } catch (const Error& error) {
    throw DataError(fmt::format("{}: {}", source, error.what()));
  }
}

std::vector<PublishedResult> published_results(const std::string& text, const std::string& source) {
  const toml::table table = parse<UsageError>(text, source);
  std::vector<PublishedResult> results;
  const toml::array* entries = table["published"].as_array();
  for (size_t i = 0; entries && i < entries->size(); ++i) {
    const auto entry = toml::node_view<const toml::node>(entries->get(i));
    const auto top1 = entry["top1"].value<double>();
    const auto word = [&](const char* key) { return entry[key].value_or(std::string()); };
    results.push_back({word("model"), word("data"), top1.value_or(-1), word("source")});
    const PublishedResult& result = results.back();
    if (result.model.empty() || result.data.empty() || result.source.empty() || !top1)
      throw UsageError(source + ": a [[published]] has not all of model, data, top1 and source");
  }
  return results;
}

Values recipe_values(const std::string& text, const std::string& source,
                     const std::string& family) {
  const toml::table table = parse<UsageError>(text, source);
  check_sections(table, source);
  Values values;
  collect(table, source, values);
  if (const toml::table* families = table["family"].as_table())
    for (const auto& [name, node] : *families)
      if (const toml::table* special = node.as_table(); special && is_for(*special, name, family))
        collect(*special, source, values);
  RunSettings scratch;
  for (const auto& [key, value] : values) {
    try {
      set_value(scratch, key, value);
    } catch (const UsageError& error) {
      throw UsageError(source + ": " + error.what());
    }
  }
  return values;
}

}  // namespace passband
