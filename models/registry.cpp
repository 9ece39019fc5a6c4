// Every network by name: a table of presets, vision transformers, and patterns with options.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <variant>

#include "models/network.h"
#include "models/vit.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

using Depths = std::vector<int64_t>;

std::string convolutions(const Depths& depths) {
  std::vector<std::string> words;
  for (const int64_t depth : depths) words.emplace_back(static_cast<size_t>(depth), 'C');
  return join(words, ".");
}

// Park and Kim 2022: each stage ends in `msa` pairs of convolution and self-attention.
std::string alternating(const Depths& depths, const Depths& msa) {
  std::vector<std::string> words;
  for (size_t s = 0; s < depths.size(); ++s) {
    std::string word(static_cast<size_t>(depths[s] - 2 * msa[s]), 'C');
    for (int64_t i = 0; i < msa[s]; ++i) word += "CM";
    words.push_back(word);
  }
  return join(words, ".");
}

// Bello 2021: all of the last stage is lambda, and of the stage before it blocks step, 2 step, ...
// count step (from 0).
std::string lambda_hybrid(const Depths& depths, int64_t step, int64_t count) {
  std::vector<std::string> words;
  for (size_t s = 0; s < depths.size(); ++s)
    words.emplace_back(static_cast<size_t>(depths[s]), s + 1 == depths.size() ? 'L' : 'C');
  for (int64_t i = 1; i <= count; ++i) words[2][static_cast<size_t>(i * step)] = 'L';
  return join(words, ".");
}

NetworkSpec resnet(const Depths& depths, bool bottleneck) {
  return {.family = "resnet", .pattern = convolutions(depths), .bottleneck = bottleneck};
}

NetworkSpec preact_resnet(const Depths& depths, bool bottleneck) {
  return {.family = "preact_resnet",
          .pattern = convolutions(depths),
          .bottleneck = bottleneck,
          .preactivation = true};
}

// `cifar` and `large` are the numbers of self-attention blocks per stage in the two forms.
NetworkSpec alternet(const Depths& depths, const Depths& cifar, const Depths& large,
                     bool bottleneck) {
  return {.family = "alternet",
          .pattern = alternating(depths, cifar),
          .pattern_large = alternating(depths, large),
          .bottleneck = bottleneck,
          .preactivation = true};
}

NetworkSpec resnext50() {
  NetworkSpec spec = resnet({3, 4, 6, 3}, true);
  spec.groups = 32;
  spec.group_width = 4;
  return spec;
}

// The paper's all-lambda network of 15.0 M parameters on a plain ResNet-50 trunk, with the bias on
// the lambda convolution that the public ports have (14,995,848; 256 fewer without).
NetworkSpec lambda_resnet50() {
  return {.family = "lambda_resnet", .pattern = "LLL.LLLL.LLLLLL.LLL", .zero_last_gamma = true};
}

// The paper's deep hybrids: ResNet-RS trunk, squeeze-and-excitation in the convolution blocks.
NetworkSpec lambda_resnet(const Depths& depths, int64_t step, int64_t count) {
  return {.family = "lambda_resnet",
          .pattern = lambda_hybrid(depths, step, count),
          .zero_last_gamma = true,
          .resnet_rs = true};
}

// He et al. 2016a, section 4.2: 6 n + 2 layers for CIFAR, of some 16 to 64 channels; tensors are
// named as in the files that go around of them.
NetworkSpec cifar_resnet(int64_t n) {
  NetworkSpec spec = resnet({n, n, n}, false);
  spec.widths = {16, 32, 64};
  spec.padded_shortcuts = true;
  spec.cifar_stem = true;
  spec.classifier = "linear";
  return spec;
}

// The small member of each family, which the quick recipe trains on CIFAR in minutes.
NetworkSpec small(const std::string& family, const std::string& pattern, bool preactivation) {
  NetworkSpec spec = {
      .family = family, .pattern = pattern, .bottleneck = false, .preactivation = preactivation};
  spec.widths = {32, 64, 128, 256};
  spec.heads = {1, 2, 4, 8};
  spec.head_dim = 32;
  spec.lambda_window = 7;
  return spec;
}

constexpr VitSpec kSmallVit = {.width = 128, .depth = 6, .heads = 4, .patch = 4, .pooled = true};

struct Preset {
  std::string name;
  NetworkSpec spec;
};

const std::vector<Preset>& presets() {
  static const std::vector<Preset> table = {
      {"resnet", small("resnet", "C.C.C.C", true)},
      {"resnet20", cifar_resnet(3)},
      {"resnet32", cifar_resnet(5)},
      {"resnet44", cifar_resnet(7)},
      {"resnet56", cifar_resnet(9)},
      {"resnet110", cifar_resnet(18)},
      {"resnet18", resnet({2, 2, 2, 2}, false)},
      {"resnet34", resnet({3, 4, 6, 3}, false)},
      {"resnet50", resnet({3, 4, 6, 3}, true)},
      {"resnet101", resnet({3, 4, 23, 3}, true)},
      {"resnet152", resnet({3, 8, 36, 3}, true)},
      {"resnext50", resnext50()},
      {"preact_resnet18", preact_resnet({2, 2, 2, 2}, false)},
      {"preact_resnet34", preact_resnet({3, 4, 6, 3}, false)},
      {"preact_resnet50", preact_resnet({3, 4, 6, 3}, true)},
      {"preact_resnet101", preact_resnet({3, 4, 23, 3}, true)},
      {"preact_resnet152", preact_resnet({3, 8, 36, 3}, true)},
      {"lambda_resnet", small("lambda_resnet", "C.CL.CL.CL", false)},
      {"lambda_resnet50", lambda_resnet50()},
      {"lambda_resnet101", lambda_resnet({3, 4, 23, 3}, 6, 3)},
      {"lambda_resnet152", lambda_resnet({3, 8, 36, 3}, 5, 6)},
      {"lambda_resnet200", lambda_resnet({3, 24, 36, 3}, 5, 6)},
      {"lambda_resnet270", lambda_resnet({4, 29, 53, 4}, 8, 6)},
      {"lambda_resnet350", lambda_resnet({4, 36, 72, 4}, 10, 6)},
      {"lambda_resnet420", lambda_resnet({4, 44, 87, 4}, 10, 8)},
      {"alternet", small("alternet", "C.CM.CM.CM", true)},
      {"alternet_18", alternet({2, 2, 2, 2}, {0, 1, 1, 1}, {0, 1, 1, 1}, false)},
      {"alternet_34", alternet({3, 4, 6, 4}, {0, 1, 1, 2}, {0, 1, 3, 2}, false)},
      {"alternet_50", alternet({3, 4, 6, 4}, {0, 1, 1, 2}, {0, 1, 3, 2}, true)},
      {"alternet_101", alternet({3, 4, 23, 4}, {0, 1, 1, 2}, {0, 1, 3, 2}, true)},
      {"alternet_152", alternet({3, 8, 36, 4}, {0, 1, 1, 2}, {0, 1, 3, 2}, true)},
  };
  return table;
}

const NetworkSpec* find_preset(const std::string& name) {
  for (const Preset& preset : presets())
    if (preset.name == name) return &preset.spec;
  return nullptr;
}

// --- patterns: "CCC.CCCM.CCCCCM.CMCM", with options "CC.CM.CM.CM:width=32,window=8" ---

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

// Patterns of at most eight blocks have basic blocks (ResNet-18's size), longer ones bottlenecks. M
// blocks need, and so choose, a pre-activation trunk; without them the trunk is post-activation,
// and with L blocks the last norms of its branches start at 0. Options: basic, bottleneck, preact,
// postact; rs (the ResNet-RS trunk); width and heads (of the first stage, doubled from stage to
// stage); stride (of the first stage); head_dim, window, scope (the window of lambda layers, 0 =
// global).
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

using Spec = std::variant<NetworkSpec, VitSpec>;

Spec spec_of(const std::string& name) {
  // Names stand in messages, which are one line.
  if (std::ranges::any_of(name, [](unsigned char c) { return std::iscntrl(c) != 0; }))
    throw UsageError(concat_text("model ", quote(name), ": a name holds no control characters"));
  if (const NetworkSpec* spec = find_preset(name)) return *spec;
  if (name == "vit") return kSmallVit;
  if (const auto spec = vit_spec(name)) return *spec;
  if (is_pattern(name)) return parse_pattern(name);
  throw UsageError(concat_text("unknown model ", quote(name), did_you_mean(name, model_names()),
                               " (a pattern such as CCC.CCCM.CCCCCM.CMCM is a model too)"));
}

std::unique_ptr<Model> construct(const std::string& name, const ModelOptions& options) {
  const Spec spec = spec_of(name);
  if (const auto* network = std::get_if<NetworkSpec>(&spec))
    return make_network(name, *network, options);
  return make_vit(name, std::get<VitSpec>(spec), options);
}

}  // namespace

std::string family_of(const std::string& name) {
  const Spec spec = spec_of(name);
  const auto* network = std::get_if<NetworkSpec>(&spec);
  return network ? network->family : kVitFamily;
}

std::unique_ptr<Model> make_model(const std::string& name, const ModelOptions& options,
                                  bool build) {
  if (options.classes < 1)
    throw UsageError(
        concat_text("model ", name, ": needs at least one class, not ", options.classes));
  std::unique_ptr<Model> model = construct(name, options);
  if (build) model->store().build(options.seed, options.dtype);
  return model;
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) names.push_back(preset.name);
  names.emplace_back("vit");
  for (const char* size : {"tiny", "small", "base", "large", "huge"})
    for (const int64_t patch : {2, 4, 8, 14, 16, 32})
      for (const char* suffix : {"", "_gap"})
        names.push_back(concat_text("vit_", size, "_patch", patch, suffix));
  return names;
}

std::vector<ModelInfo> list_models(int64_t classes, int64_t image_size) {
  std::vector<ModelInfo> list;
  for (const std::string& name : model_names()) {
    const auto vit = vit_spec(name);
    if (vit && image_size % vit->patch != 0) continue;
    const auto model = make_model(name, {.classes = classes, .image_size = image_size}, false);
    list.push_back(
        {name, model->family(), model->pattern(), model->store().parameter_count(), model->macs()});
  }
  return list;
}

}  // namespace passband
