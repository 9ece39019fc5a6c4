// The pattern language: words of letters, then options.
#include "models/pattern.h"

#include <charconv>

#include "tensor/core/text.h"

namespace passband {
namespace {

constexpr int64_t kMaxStages = 6;

bool is_pattern(const std::string& name) {
  const std::string head = name.substr(0, name.find(':'));
  return !head.empty() && head.find_first_not_of("CML.") == std::string::npos;
}

const std::vector<std::string> kPatternOptions = {"basic",  "bottleneck", "preact", "postact",
                                                  "width",  "stride",     "heads",  "head_dim",
                                                  "window", "scope",      "rs"};

int64_t option_value(const std::string& name, const std::string& key, const std::string& text,
                     int64_t least) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > 65536)
    throw UsageError(concat_text("model ", name, ": ", key, " takes a whole number from ", least,
                                 " to 65536, not ", quote(text)));
  return value;
}

void apply_option(const std::string& name, const std::string& option, NetworkSpec& spec) {
  const size_t equals = option.find('=');
  const std::string key = option.substr(0, equals);
  const std::string text = equals == std::string::npos ? "" : option.substr(equals + 1);
  const auto number = [&](int64_t least) { return option_value(name, key, text, least); };
  if (key == "basic" || key == "bottleneck") {
    spec.bottleneck = key == "bottleneck";
  } else if (key == "preact" || key == "postact") {
    spec.preactivation = key == "preact";
  } else if (key == "rs") {
    spec.resnet_rs = true;
  } else if (key == "width") {
    spec.widths = {number(1)};
  } else if (key == "stride") {
    spec.strides = {number(1)};
  } else if (key == "heads") {
    spec.heads = {number(1)};
  } else if (key == "head_dim") {
    spec.head_dim = number(1);
  } else if (key == "window") {
    spec.window = number(1);
  } else if (key == "scope") {
    spec.lambda_window = number(0);
  } else {
    throw UsageError(concat_text("model ", name, ": unknown option ", quote(key),
                                 did_you_mean(key, kPatternOptions)));
  }
}

NetworkSpec parse_pattern(const std::string& name) {
  NetworkSpec spec;
  const size_t colon = name.find(':');
  spec.pattern = name.substr(0, colon);
  size_t blocks = 0;
  for (const std::string& word : split_pattern(spec.pattern)) blocks += word.size();
  const bool attends = spec.pattern.find('M') != std::string::npos;
  const bool lambda = spec.pattern.find('L') != std::string::npos;
  spec.bottleneck = blocks > 8;
  spec.preactivation = attends;
  for (size_t start = colon; start != std::string::npos;) {
    const size_t comma = name.find(',', start + 1);
    apply_option(
        name, name.substr(start + 1, comma == std::string::npos ? comma : comma - start - 1), spec);
    start = comma;
  }
  spec.family = attends              ? "alternet"
                : lambda             ? "lambda_resnet"
                : spec.preactivation ? "preact_resnet"
                                     : "resnet";
  spec.zero_last_gamma = lambda;
  return spec;
}

std::optional<Architecture> find_pattern(const std::string& name) {
  if (!is_pattern(name)) return {};
  return architecture_of(parse_pattern(name));
}

std::vector<std::string> no_names() { return {}; }

}  // namespace

std::vector<std::string> split_pattern(const std::string& pattern) {
  std::vector<std::string> words(1);
  for (const char letter : pattern) {
    if (letter == '.') {
      words.emplace_back();
    } else if (letter == 'C' || letter == 'M' || letter == 'L') {
      words.back() += letter;
    } else {
      throw UsageError(
          concat_text("pattern ", pattern, ": '", letter, "' is none of C, M, L and '.'"));
    }
  }
  for (const std::string& word : words)
    if (word.empty()) throw UsageError(concat_text("pattern ", pattern, ": a stage has no block"));
  if (static_cast<int64_t>(words.size()) > kMaxStages)
    throw UsageError(
        concat_text("pattern ", pattern, ": ", words.size(), " stages; at most ", kMaxStages));
  return words;
}

ModelFamily pattern_family() { return {find_pattern, no_names}; }

}  // namespace passband
