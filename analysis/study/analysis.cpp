#include "analysis/study/analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>

#include "tensor/core/text.h"

namespace passband {
namespace {

std::optional<double> as_number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> as_flag(const std::string& text) {
  if (text == "true" || text == "on" || text == "1") return true;
  if (text == "false" || text == "off" || text == "0") return false;
  return std::nullopt;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

void check_value(const std::string& name, const AnalysisOption& option, const std::string& value) {
  const auto refuse = [&](const std::string& expected) {
    throw UsageError(
        fmt::format("--set {}: {} is not {} ({})", name, quote(value), expected, option.meaning));
  };
  if (!option.choices.empty()) {
    if (std::ranges::find(option.choices, value) == option.choices.end())
      throw UsageError(fmt::format("--set {}: {} is not one of {}{}", name, quote(value),
                                   join(option.choices), did_you_mean(value, option.choices)));
  } else if (as_number(option.standard)) {
    if (!as_number(value)) refuse("a number");
  } else if (as_flag(option.standard)) {
    if (!as_flag(value)) refuse("true or false");
  }
}

[[noreturn]] void throw_unknown(const std::string& name, const Analysis& analysis) {
  std::vector<std::string> known;
  for (const AnalysisOption& option : analysis.options)
    known.push_back(analysis.name + "." + option.name);
  throw UsageError(fmt::format("--set: {} has no option '{}'{}{}", analysis.name, name,
                               known.empty() ? "" : "; it has " + join(known),
                               did_you_mean(name, known)));
}

}  // namespace

const std::string& AnalysisInput::text(const std::string& name) const {
  const auto found = settings.find(name);
  CHECK(found != settings.end(), "analysis: option '", name,
        "' is not declared in the table of analyses");
  return found->second;
}

double AnalysisInput::number(const std::string& name) const {
  const auto value = as_number(text(name));
  if (!value)
    throw UsageError(fmt::format("--set {}: {} is not a number", name, quote(text(name))));
  return *value;
}

int64_t AnalysisInput::whole(const std::string& name) const {
  const double value = number(name);
  const auto rounded = static_cast<int64_t>(value);
  if (static_cast<double>(rounded) != value)
    throw UsageError(fmt::format("--set {}: {} is not a whole number", name, text(name)));
  return rounded;
}

bool AnalysisInput::flag(const std::string& name) const {
  const auto value = as_flag(text(name));
  if (!value)
    throw UsageError(
        fmt::format("--set {}: {} is neither true nor false", name, quote(text(name))));
  return *value;
}

std::vector<std::string> AnalysisInput::texts(const std::string& name) const {
  return split(text(name));
}

std::vector<double> AnalysisInput::numbers(const std::string& name) const {
  std::vector<double> values;
  for (const std::string& part : texts(name)) {
    const auto value = as_number(part);
    if (!value) throw UsageError(fmt::format("--set {}: {} is not a number", name, quote(part)));
    values.push_back(*value);
  }
  return values;
}

std::filesystem::path AnalysisInput::partial_file(const std::string& name) const {
  return partial_directory.empty() ? std::filesystem::path() : partial_directory / name;
}

const Analysis& find_analysis(std::string_view name) {
  std::vector<std::string> names;
  for (const Analysis& analysis : analyses()) {
    if (analysis.name == name) return analysis;
    names.push_back(analysis.name);
  }
  throw UsageError(
      fmt::format("unknown analysis '{}' (--list shows all){}", name, did_you_mean(name, names)));
}

AnalysisInput with_settings(AnalysisInput input, const Analysis& analysis,
                            const std::map<std::string, std::string>& given) {
  input.settings.clear();
  for (const AnalysisOption& option : analysis.options)
    input.settings[option.name] = option.standard;
  const std::string prefix = analysis.name + ".";
  for (const auto& [name, value] : given) {
    if (!name.starts_with(prefix)) continue;
    const auto option =
        std::ranges::find(analysis.options, name.substr(prefix.size()), &AnalysisOption::name);
    if (option == analysis.options.end()) throw_unknown(name, analysis);
    check_value(name, *option, value);
    input.settings[option->name] = value;
  }
  return input;
}

std::string what_lacks(const Analysis& analysis, const AnalysisInput& input) {
  if (input.data && input.data->count == 0 &&
      !(analysis.brings_pictures && analysis.brings_pictures(input)))
    return input.data->name +
           " is known by its description only: pass the folder "
           "that holds train/ and val/ as --data.";
  return analysis.lacking ? analysis.lacking(input) : std::string();
}

Section run_analysis(const Analysis& analysis, AnalysisInput input) {
  std::vector<std::string> reasons;
  std::vector<Subject> suited;
  for (const Subject& subject : input.subjects) {
    const std::string reason = analysis.unsuited ? analysis.unsuited(subject) : std::string();
    if (reason.empty()) suited.push_back(subject);
    else reasons.push_back(subject.label + ": " + reason);
  }
  const std::string lacking = what_lacks(analysis, input);
  if (!lacking.empty()) reasons = {lacking};
  if (suited.empty() || !lacking.empty()) {
    Section section{
        .name = analysis.name, .title = analysis.name, .order = 900, .question = analysis.question};
    section.finding = "Does not apply. " + join(reasons, " ");
    return section;
  }
  input.subjects = std::move(suited);
  Section section = analysis.run(input);
  section.question = analysis.question;
  section.cost = analysis.cost;
  for (const std::string& reason : reasons) section.caveats.push_back("Left out: " + reason);
  return section;
}

}  // namespace passband
