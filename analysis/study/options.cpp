#include "analysis/study/options.h"

#include <fmt/format.h>

#include <charconv>

#include "tensor/core/error.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"

namespace passband {

std::string read_value(const std::string& text, double& value) {
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && read == end ? "" : "a number";
}

std::string read_value(const std::string& text, int64_t& value) {
  double number = 0;
  if (std::string wanted = read_value(text, number); !wanted.empty()) return wanted;
  value = static_cast<int64_t>(number);
  return static_cast<double>(value) == number ? "" : "a whole number";
}

std::string read_value(const std::string& text, uint64_t& value) {
  int64_t number = 0;
  if (std::string wanted = read_value(text, number); !wanted.empty()) return wanted;
  value = static_cast<uint64_t>(number);
  return {};
}

std::string read_value(const std::string& text, bool& value) {
  value = text == "true" || text == "on" || text == "1";
  return value || text == "false" || text == "off" || text == "0" ? "" : "true or false";
}

std::string read_value(const std::string& text, std::string& value) {
  value = text;
  return {};
}

std::string read_value(const std::string& text, std::vector<double>& value) {
  value.clear();
  for (const std::string& part : split_text(text, ','))
    if (!part.empty() && !read_value(part, value.emplace_back()).empty())
      return "a list of numbers";
  return {};
}

std::string write_value(bool value) { return value ? "on" : "off"; }
std::string write_value(int64_t value) { return std::to_string(value); }
std::string write_value(uint64_t value) { return std::to_string(value); }
std::string write_value(double value) { return fmt::format("{}", value); }
std::string write_value(const std::string& value) { return value; }
std::string write_value(const std::vector<double>& value) {
  return fmt::format("{}", fmt::join(value, ","));
}

void OptionTable::add(const AnalysisOption& row, bool default_fits, Read read) {
  CHECK(default_fits, "option '", row.name, "': the default '", row.standard,
        "' is not that of its field");
  rows_.push_back(row);
  reads_.push_back(std::move(read));
}

OptionTexts OptionTable::defaults() const {
  OptionTexts texts;
  for (const AnalysisOption& row : rows_) texts[row.name] = row.standard;
  return texts;
}

std::any OptionTable::read(const std::string& analysis, const OptionTexts& texts) const {
  std::any values = defaults_;
  for (size_t i = 0; i < rows_.size(); ++i) {
    const auto& [name, standard, meaning, choices] = rows_[i];
    const std::string& text = texts.at(name);
    const std::string wanted = reads_[i](text, values);
    if (wanted.empty()) continue;
    if (!choices.empty())
      throw UsageError(fmt::format("--set {}.{}: {} is not one of {}{}", analysis, name,
                                   quote(text), join(choices), did_you_mean(text, choices)));
    throw UsageError(fmt::format("--set {}.{}: {} is not {} ({})", analysis, name, quote(text),
                                 wanted, meaning));
  }
  return values;
}

}  // namespace passband
