#include "models/layer_decay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <compare>
#include <optional>
#include <set>
#include <string_view>

#include "models/name_reader.h"

namespace passband {
namespace {

// Where a parameter stands in its network, in the order of the forward pass.
struct Depth {
  int part = 0;  // stem, blocks, classifier
  int64_t stage = 0, block = 0;

  auto operator<=>(const Depth&) const = default;
};
constexpr int kStem = 0, kBlocks = 1, kClassifier = 2;

// Beginnings of names; # is a number.
constexpr std::array<std::string_view, 12> kStems = {"stem",
                                                     "patch_embed",
                                                     "patch_embeds.0",
                                                     "conv1",
                                                     "bn1",
                                                     "maxpool",
                                                     "cls_token",
                                                     "dist_token",
                                                     "pos_embed",
                                                     "tokenizer",
                                                     "classifier.positional_emb",
                                                     "whiten"};
constexpr std::array<std::string_view, 5> kBlocksOfStages = {
    "layer#.#", "stages.#.blocks.#", "layers.#.blocks.#", "transformers.#.blocks.#", "stages.#.#"};
constexpr std::array<std::string_view, 4> kIntoStages = {
    "layers.#.downsample", "transformers.#.pool", "patch_embeds.#", "pos_block.#"};
constexpr std::array<std::string_view, 3> kBlocksAlone = {"blocks.#", "classifier.blocks.#",
                                                          "layers.#"};
constexpr std::array<std::string_view, 2> kAfterBlocks = {"norm", "classifier.norm"};

// The numbers in the name, where it begins with these components.
std::optional<std::vector<int64_t>> numbers_of(std::string_view name, std::string_view beginning) {
  std::vector<int64_t> numbers;
  for (; !beginning.empty(); beginning.remove_prefix(1)) {
    int64_t number = 0;
    if (beginning.front() != '#') {
      if (!take_prefix(name, beginning.substr(0, 1))) return {};
    } else if (take_number(name, number, 0)) {
      numbers.push_back(number);
    } else {
      return {};
    }
  }
  if (!name.empty() && name.front() != '.') return {};
  return numbers;
}

template <size_t N> std::optional<std::vector<int64_t>> numbers_of_any(
    std::string_view name, const std::array<std::string_view, N>& beginnings) {
  for (const std::string_view beginning : beginnings)
    if (auto numbers = numbers_of(name, beginning)) return numbers;
  return {};
}

// Nothing for what comes after the last block and belongs to it.
std::optional<Depth> depth_of(std::string_view name) {
  if (numbers_of_any(name, kStems)) return Depth{kStem};
  if (numbers_of_any(name, kAfterBlocks)) return {};
  if (const auto numbers = numbers_of(name, "blocks.#.#"))
    return Depth{kBlocks, numbers->at(0), numbers->at(1)};
  if (const auto numbers = numbers_of_any(name, kBlocksOfStages))
    return Depth{kBlocks, numbers->at(0), numbers->at(1)};
  if (const auto numbers = numbers_of_any(name, kIntoStages)) return Depth{kBlocks, numbers->at(0)};
  if (const auto numbers = numbers_of_any(name, kBlocksAlone))
    return Depth{kBlocks, 0, numbers->at(0)};
  return Depth{kClassifier};
}

}  // namespace

std::vector<int64_t> layers_of(const std::vector<std::string>& parameters) {
  std::set<Depth> depths;
  for (const std::string& name : parameters)
    if (const auto depth = depth_of(name)) depths.insert(*depth);
  const auto layer_at = [&](const Depth& depth) {
    return static_cast<int64_t>(std::distance(depths.begin(), depths.find(depth)));
  };
  const auto classifier = depths.lower_bound(Depth{kClassifier});
  const int64_t last_block = std::max<int64_t>(std::distance(depths.begin(), classifier) - 1, 0);
  std::vector<int64_t> layers;
  for (const std::string& name : parameters) {
    const auto depth = depth_of(name);
    layers.push_back(depth ? layer_at(*depth) : last_block);
  }
  return layers;
}

std::vector<double> layer_scales(const std::vector<std::string>& parameters, double decay) {
  const std::vector<int64_t> layers = layers_of(parameters);
  const int64_t last = layers.empty() ? 0 : std::ranges::max(layers);
  std::vector<double> scales;
  for (const int64_t layer : layers)
    scales.push_back(std::pow(decay, static_cast<double>(last - layer)));
  return scales;
}

std::vector<double> layer_scales(const ParameterStore& store, double decay) {
  std::vector<std::string> names;
  for (const ParameterRef& parameter : store.parameters()) names.push_back(parameter->name);
  return layer_scales(names, decay);
}

}  // namespace passband
