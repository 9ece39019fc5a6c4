// The table of residual networks with names.
#include "models/presets.h"

#include <map>

#include "models/named_spec.h"
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

// The paper's network of lambda layers alone, 15.0 M parameters on a plain ResNet-50 trunk, with
// the bias on the lambda convolution that the public ports have (14,995,848; 256 fewer without).
// The ports call it lambda_resnet50, which in the paper is a hybrid.
NetworkSpec lambda_resnet50_all() {
  return {.family = "lambda_resnet", .pattern = "LLL.LLLL.LLLLLL.LLL", .zero_last_gamma = true};
}

// The paper's hybrids: ResNet-RS trunk, squeeze-and-excitation in the convolution blocks.
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

// BiT (Kolesnikov et al. 2020): widths of ResNet-50 and its kin times `factor`. timm's names.
NetworkSpec bit(const Depths& depths, int64_t factor) {
  NetworkSpec spec = preact_resnet(depths, true);
  for (int64_t& width : spec.widths) width *= factor;
  spec.bit = true;
  return spec;
}

// The small member of each family, which the quick recipe trains on CIFAR in minutes: three stages
// of residual blocks behind a narrow stem, each at half the side of the one before.
NetworkSpec small(const std::string& family, const std::string& pattern, int64_t width,
                  bool preactivation) {
  NetworkSpec spec = {
      .family = family, .pattern = pattern, .bottleneck = false, .preactivation = preactivation};
  spec.stem = 24;
  spec.widths = {width};
  spec.strides = {2};
  spec.pooled = true;
  spec.heads = {1, 2, 4};
  spec.head_dim = 32;
  spec.lambda_window = 7;
  return spec;
}

const std::vector<NamedSpec<NetworkSpec>>& presets() {
  static const std::vector<NamedSpec<NetworkSpec>> table = {
      {"resnet", small("resnet", "C.C.C", 48, true)},
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
      {"preact_resnet50_3464",
       preact_resnet({3, 4, 6, 4}, true)},  // the network AlterNet starts from
      {"preact_resnet101", preact_resnet({3, 4, 23, 3}, true)},
      {"preact_resnet152", preact_resnet({3, 8, 36, 3}, true)},
      {"resnetv2_50x1_bit", bit({3, 4, 6, 3}, 1)},
      {"resnetv2_50x3_bit", bit({3, 4, 6, 3}, 3)},
      {"resnetv2_101x1_bit", bit({3, 4, 23, 3}, 1)},
      {"resnetv2_101x3_bit", bit({3, 4, 23, 3}, 3)},
      {"resnetv2_152x2_bit", bit({3, 8, 36, 3}, 2)},
      {"resnetv2_152x4_bit", bit({3, 8, 36, 3}, 4)},
      {"lambda_resnet", small("lambda_resnet", "C.CL.CL", 32, false)},
      {"lambda_resnet50_all", lambda_resnet50_all()},
      {"lambda_resnet50", lambda_resnet({3, 4, 6, 3}, 3, 1)},
      {"lambda_resnet101", lambda_resnet({3, 4, 23, 3}, 6, 3)},
      {"lambda_resnet152", lambda_resnet({3, 8, 36, 3}, 5, 6)},
      {"lambda_resnet200", lambda_resnet({3, 24, 36, 3}, 5, 6)},
      {"lambda_resnet270", lambda_resnet({4, 29, 53, 4}, 8, 6)},
      {"lambda_resnet350", lambda_resnet({4, 36, 72, 4}, 10, 6)},
      {"lambda_resnet420", lambda_resnet({4, 44, 87, 4}, 10, 8)},
      {"alternet", small("alternet", "C.CCM.CM", 32, true)},
      {"alternet_18", alternet({2, 2, 2, 2}, {0, 1, 1, 1}, {0, 1, 1, 1}, false)},
      {"alternet_34", alternet({3, 4, 6, 4}, {0, 1, 1, 2}, {0, 1, 3, 2}, false)},
      {"alternet_50", alternet({3, 4, 6, 4}, {0, 1, 1, 2}, {0, 1, 3, 2}, true)},
      {"alternet_101", alternet({3, 4, 23, 4}, {0, 1, 1, 2}, {0, 1, 3, 2}, true)},
      {"alternet_152", alternet({3, 8, 36, 4}, {0, 1, 1, 2}, {0, 1, 3, 2}, true)},
  };
  return table;
}

std::optional<Architecture> find_preset(const std::string& name) {
  const std::optional<NetworkSpec> spec = find_spec(presets(), name);
  return spec ? std::optional(architecture_of(*spec)) : std::nullopt;
}

std::vector<std::string> preset_names() { return names_of(presets()); }

}  // namespace

std::string note_on(const std::string& name) {
  if (name != "lambda_resnet50") return {};
  return "lambda_resnet50 is the hybrid of the paper, whose last stage and one block of the third "
         "are lambda layers; the network of lambda layers alone, called so before 0.2.0 and in "
         "public ports, is lambda_resnet50_all";
}

std::string name_since_0_1(const std::string& name) {
  static const std::map<std::string, std::string> renamed = {
      {"resnet", "C.C.C.C:preact,width=32"},
      {"lambda_resnet", "C.CL.CL.CL:width=32,r=7"},
      {"alternet", "C.CM.CM.CM:width=32,heads=1,head_dim=32"},
      {"lambda_resnet50", "lambda_resnet50_all"},
      {"vit", "vit_128x6_patch4_gap"},
  };
  const auto found = renamed.find(name);
  return found == renamed.end() ? name : found->second;
}

ModelFamily preset_family() { return {find_preset, preset_names}; }

}  // namespace passband
