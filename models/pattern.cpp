// The pattern language: words of letters, then options.
#include "models/pattern.h"

#include <algorithm>
#include <charconv>
#include <variant>

#include "tensor/core/text.h"

namespace passband {
namespace {

constexpr int64_t kMaxStages = 6, kMaxBlocks = 1000;

bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }

// "there are C (convolution, 3x3), ...", short enough for one line.
std::string all_letters() {
  std::vector<std::string> list;
  for (const Letter& letter : letters())
    list.push_back(concat_text(letter.letter, " (", name_of(letter.kind), ")"));
  return concat_text("there are ", join(list), ", and '.' between stages");
}

// Capitals and dots: a pattern, or one with a mistake in it.
bool is_pattern(const std::string& name) {
  const std::string head = name.substr(0, name.find(':'));
  return std::ranges::any_of(head, is_capital) &&
         std::ranges::all_of(head, [](char c) { return is_capital(c) || c == '.'; });
}

// A whole number that an option sets. What is summed over or stored for every place has a bound
// that leaves room above the published ones; a window is cut to the map.
struct NumberOption {
  const char* key;
  int64_t least, most;
  bool odd;
  std::variant<int64_t NetworkSpec::*, std::vector<int64_t> NetworkSpec::*> member;
};

constexpr NumberOption kNumbers[] = {
    {"width", 1, 65536, false, &NetworkSpec::widths},
    {"stem", 2, 65536, false, &NetworkSpec::stem},
    {"stride", 1, 4096, false, &NetworkSpec::strides},
    {"heads", 1, 1024, false, &NetworkSpec::heads},
    {"head_dim", 1, 4096, false, &NetworkSpec::head_dim},
    {"window", 1, 4096, false, &NetworkSpec::window},
    {"shift", 1, 4096, false, &NetworkSpec::shift},
    {"kernel", 1, 127, true, &NetworkSpec::kernel},
    {"pool", 1, 127, true, &NetworkSpec::pool},
    {"k", 1, 256, false, &NetworkSpec::lambda_depth},
    {"h", 1, 1024, false, &NetworkSpec::lambda_heads},
    {"u", 1, 64, false, &NetworkSpec::lambda_intra},
    {"r", 0, 127, true, &NetworkSpec::lambda_window},
    {"scope", 0, 127, true, &NetworkSpec::lambda_window},
};

std::vector<std::string> option_names() {
  std::vector<std::string> names = {"basic", "bottleneck", "preact", "postact",
                                    "rs",    "bit",        "pooled"};
  for (const NumberOption& option : kNumbers) names.emplace_back(option.key);
  return names;
}

int64_t option_value(const std::string& name, const NumberOption& option, const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool fits = error == std::errc() && end == text.data() + text.size() &&
                    value >= option.least && value <= option.most &&
                    (!option.odd || value == 0 || value % 2 == 1);
  if (!fits)
    throw UsageError(concat_text("model ", name, ": ", option.key, " takes ",
                                 option.odd ? "an odd" : "a whole", " number from ", option.least,
                                 " to ", option.most, ", not ", quote(text)));
  return value;
}

// False for a word that is none.
bool apply_word(const std::string& word, NetworkSpec& spec) {
  if (word == "basic" || word == "bottleneck") spec.bottleneck = word == "bottleneck";
  else if (word == "preact" || word == "postact") spec.preactivation = word == "preact";
  else if (word == "rs") spec.resnet_rs = true;
  else if (word == "bit") spec.bit = spec.preactivation = true;
  else if (word == "pooled") spec.pooled = true;
  else return false;
  return true;
}

void apply_option(const std::string& name, const std::string& text, NetworkSpec& spec) {
  if (apply_word(text, spec)) return;
  const size_t equals = text.find('=');
  const std::string key = text.substr(0, equals);
  for (const NumberOption& option : kNumbers) {
    if (key != option.key) continue;
    const int64_t value =
        option_value(name, option, equals == std::string::npos ? "" : text.substr(equals + 1));
    if (const auto* number = std::get_if<int64_t NetworkSpec::*>(&option.member))
      spec.*(*number) = value;
    else spec.*std::get<1>(option.member) = {value};
    return;
  }
  throw UsageError(concat_text("model ", name, ": unknown option ", quote(key),
                               did_you_mean(key, option_names()), "; there are ",
                               join(option_names())));
}

// Recipes go by family: what a network's attention or lambda layers make of it.
std::string family_of_pattern(const NetworkSpec& spec) {
  if (has_letter(spec.pattern, "MWSUBH")) return "alternet";
  if (has_letter(spec.pattern, "L")) return "lambda_resnet";
  return spec.preactivation ? "preact_resnet" : "resnet";
}

NetworkSpec parse_pattern(const std::string& name) {
  NetworkSpec spec;
  const size_t colon = name.find(':');
  spec.pattern = name.substr(0, colon);
  size_t blocks = 0;
  for (const std::string& word : split_pattern(spec.pattern)) blocks += word.size();
  spec.bottleneck = blocks > 8;
  spec.preactivation = has_letter(spec.pattern, "M");
  for (size_t start = colon; start != std::string::npos;) {
    const size_t comma = name.find(',', start + 1);
    apply_option(
        name, name.substr(start + 1, comma == std::string::npos ? comma : comma - start - 1), spec);
    start = comma;
  }
  if (spec.pooled && spec.bottleneck)
    throw UsageError(concat_text("model ", name, ": pooled is of basic blocks; add basic"));
  spec.family = family_of_pattern(spec);
  spec.zero_last_gamma = has_letter(spec.pattern, "L");
  return spec;
}

std::optional<Architecture> find_pattern(const std::string& name) {
  if (!is_pattern(name)) return {};
  return architecture_of(parse_pattern(name));
}

std::vector<std::string> no_names() { return {}; }

}  // namespace

const std::vector<Letter>& letters() {
  static const std::vector<Letter> table = {
      {'C', BlockKind::conv, "convolution, 3x3"},
      {'D', BlockKind::depthwise, "large depthwise convolution (ConvNeXt, RepLKNet)"},
      {'M', BlockKind::msa, "self-attention in windows as AlterNet's, one position table"},
      {'W', BlockKind::msa, "self-attention in windows as Swin's, a position table a head"},
      {'S', BlockKind::msa, "the same in windows that are shifted by half of one"},
      {'B', BlockKind::msa, "self-attention over the whole map as BoTNet's"},
      {'U', BlockKind::parallel, "W beside a large depthwise convolution (UNet-2022)"},
      {'H', BlockKind::hydra, "Hydra attention, a head a channel"},
      {'L', BlockKind::lambda, "lambda layer (LambdaNetworks)"},
      {'P', BlockKind::pooling, "mean of the neighbours less the pixel (PoolFormer)"},
      {'I', BlockKind::identity, "no mixing of places"},
  };
  return table;
}

BlockKind kind_of(char letter) {
  const auto row = std::ranges::find(letters(), letter, &Letter::letter);
  CHECK(row != letters().end(), "no block has the letter ", letter);
  return row->kind;
}

bool has_letter(const std::string& pattern, std::string_view any_of) {
  return pattern.find_first_of(any_of) != std::string::npos;
}

std::vector<std::string> split_pattern(const std::string& pattern) {
  std::vector<std::string> words(1);
  for (const char letter : pattern) {
    if (letter == '.') words.emplace_back();
    else if (std::ranges::find(letters(), letter, &Letter::letter) != letters().end())
      words.back() += letter;
    else
      throw UsageError(
          concat_text("pattern ", pattern, ": '", letter, "' is no block; ", all_letters()));
  }
  for (const std::string& word : words)
    if (word.empty()) throw UsageError(concat_text("pattern ", pattern, ": a stage has no block"));
  if (std::ssize(pattern) > kMaxBlocks)
    throw UsageError(concat_text("pattern ", pattern.substr(0, 20), "...: ", pattern.size(),
                                 " letters; at most ", kMaxBlocks));
  if (static_cast<int64_t>(words.size()) > kMaxStages)
    throw UsageError(
        concat_text("pattern ", pattern, ": ", words.size(), " stages; at most ", kMaxStages));
  return words;
}

ModelFamily pattern_family() { return {find_pattern, no_names}; }

}  // namespace passband
