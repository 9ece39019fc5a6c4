#include "models/weight_names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <set>
#include <string_view>

#include "models/presets.h"
#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

// A beginning of names and what stands in its place; # is a number. Part `part` of `parts`.
struct Rule {
  std::string theirs, ours;
  int part = 0, parts = 1;
};

struct Names {
  std::string writer;
  std::vector<Rule> rules;  // the first that fits counts; empty: names as they are
};

void add_query_key_value(std::vector<Rule>& rules, const std::string& theirs,
                         const std::string& ours) {
  rules.push_back({theirs + ".query", ours, 0, 3});
  rules.push_back({theirs + ".key", ours, 1, 3});
  rules.push_back({theirs + ".value", ours, 2, 3});
}

std::vector<Rule> torchvision_vit() {
  const std::string layer = "encoder.layers.encoder_layer_#.";
  std::vector<Rule> rules = {{"class_token", "cls_token"},
                             {"conv_proj", "patch_embed.proj"},
                             {"encoder.pos_embedding", "pos_embed"},
                             {"encoder.ln", "norm"},
                             {"heads.head", "head"}};
  for (const auto& [theirs, ours] :
       std::vector<std::array<const char*, 2>>{{"ln_1", "norm1"},
                                               {"ln_2", "norm2"},
                                               {"self_attention.in_proj_weight", "attn.qkv.weight"},
                                               {"self_attention.in_proj_bias", "attn.qkv.bias"},
                                               {"self_attention.out_proj", "attn.proj"},
                                               {"mlp.0", "mlp.fc1"},
                                               {"mlp.3", "mlp.fc2"},
                                               {"mlp.linear_1", "mlp.fc1"},
                                               {"mlp.linear_2", "mlp.fc2"}})
    rules.push_back({layer + theirs, std::string("blocks.#.") + ours});
  return rules;
}

constexpr int kSwinStages = 4;

// Even entries of its features merge patches, odd ones are stages.
std::vector<Rule> torchvision_swin() {
  std::vector<Rule> rules = {{"features.0.0", "patch_embed.proj"},
                             {"features.0.2", "patch_embed.norm"},
                             {"norm", "norm"},
                             {"head", "head.fc"}};
  for (int s = 0; s < kSwinStages; ++s) {
    const std::string theirs = concat_text("features.", 2 * s + 1, ".#"),
                      ours = concat_text("layers.", s, ".blocks.#");
    rules.push_back({theirs + ".mlp.0", ours + ".mlp.fc1"});
    rules.push_back({theirs + ".mlp.3", ours + ".mlp.fc2"});
    rules.push_back({theirs, ours});
    if (s > 0)
      rules.push_back({concat_text("features.", 2 * s), concat_text("layers.", s, ".downsample")});
  }
  return rules;
}

// The authors' own Swin merges patches at the end of a stage.
std::vector<Rule> swin_authors() {
  std::vector<Rule> rules = {{"patch_embed", "patch_embed"}, {"norm", "norm"}, {"head", "head.fc"}};
  for (int s = 0; s < kSwinStages; ++s) {
    rules.push_back(
        {concat_text("layers.", s, ".downsample"), concat_text("layers.", s + 1, ".downsample")});
    rules.push_back({concat_text("layers.", s), concat_text("layers.", s)});
  }
  return rules;
}

// Of transformers' blocks: ViT, DeiT and Swin.
void add_block_of_transformers(std::vector<Rule>& rules, const std::string& theirs,
                               const std::string& ours) {
  rules.push_back({theirs + ".layernorm_before", ours + ".norm1"});
  rules.push_back({theirs + ".layernorm_after", ours + ".norm2"});
  rules.push_back({theirs + ".attention.output.dense", ours + ".attn.proj"});
  rules.push_back({theirs + ".intermediate.dense", ours + ".mlp.fc1"});
  rules.push_back({theirs + ".output.dense", ours + ".mlp.fc2"});
}

std::vector<Rule> transformers_vit() {
  std::vector<Rule> rules = {
      {"classifier", "head"}, {"cls_classifier", "head"}, {"distillation_classifier", "head_dist"}};
  for (const std::string before : {"vit.", "deit.", ""}) {
    rules.push_back({before + "embeddings.cls_token", "cls_token"});
    rules.push_back({before + "embeddings.distillation_token", "dist_token"});
    rules.push_back({before + "embeddings.position_embeddings", "pos_embed"});
    rules.push_back({before + "embeddings.patch_embeddings.projection", "patch_embed.proj"});
    rules.push_back({before + "layernorm", "norm"});
    const std::string layer = before + "encoder.layer.#";
    add_query_key_value(rules, layer + ".attention.attention", "blocks.#.attn.qkv");
    add_block_of_transformers(rules, layer, "blocks.#");
  }
  return rules;
}

std::vector<Rule> transformers_swin() {
  std::vector<Rule> rules = {{"classifier", "head.fc"}};
  for (const std::string before : {"swin.", ""}) {
    rules.push_back({before + "embeddings.patch_embeddings.projection", "patch_embed.proj"});
    rules.push_back({before + "embeddings.norm", "patch_embed.norm"});
    rules.push_back({before + "layernorm", "norm"});
    for (int s = 0; s < kSwinStages; ++s) {
      const std::string layer = concat_text(before, "encoder.layers.", s),
                        ours = concat_text("layers.", s, ".blocks.#");
      rules.push_back({layer + ".downsample", concat_text("layers.", s + 1, ".downsample")});
      add_query_key_value(rules, layer + ".blocks.#.attention.self", ours + ".attn.qkv");
      rules.push_back({layer + ".blocks.#.attention.self", ours + ".attn"});
      add_block_of_transformers(rules, layer + ".blocks.#", ours);
    }
  }
  return rules;
}

std::vector<Rule> transformers_resnet() {
  std::vector<Rule> rules = {{"classifier.1", "fc"}};
  for (const std::string before : {"resnet.", ""}) {
    rules.push_back({before + "embedder.embedder.convolution", "conv1"});
    rules.push_back({before + "embedder.embedder.normalization", "bn1"});
    for (int s = 0; s < 4; ++s) {
      const std::string theirs = concat_text(before, "encoder.stages.", s, ".layers.#."),
                        ours = concat_text("layer", s + 1, ".#.");
      for (int c = 0; c < 3; ++c) {
        rules.push_back(
            {concat_text(theirs, "layer.", c, ".convolution"), concat_text(ours, "conv", c + 1)});
        rules.push_back(
            {concat_text(theirs, "layer.", c, ".normalization"), concat_text(ours, "bn", c + 1)});
      }
      rules.push_back({theirs + "shortcut.convolution", ours + "downsample.0"});
      rules.push_back({theirs + "shortcut.normalization", ours + "downsample.1"});
    }
  }
  return rules;
}

// Repositories of ResNets for CIFAR (kuangliu's, akamaster's).
std::vector<Rule> cifar_repositories() {
  std::vector<Rule> rules = {{"conv1", "conv1"}, {"bn1", "bn1"}, {"linear", "fc"}};
  for (int s = 1; s <= 4; ++s) {
    const std::string block = concat_text("layer", s, ".#");
    rules.push_back({block + ".shortcut", block + ".downsample"});
    rules.push_back({block, block});
  }
  return rules;
}

const std::vector<Names>& known_names() {
  static const std::vector<Names> table = {{"", {}},
                                           {"torchvision", torchvision_vit()},
                                           {"torchvision", torchvision_swin()},
                                           {"Swin's authors", swin_authors()},
                                           {"Hugging Face transformers", transformers_vit()},
                                           {"Hugging Face transformers", transformers_swin()},
                                           {"Hugging Face transformers", transformers_resnet()},
                                           {"repositories for CIFAR", cifar_repositories()}};
  return table;
}

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// What the rule makes of a name; nothing when it does not fit.
std::optional<std::string> apply_rule(const Rule& rule, std::string_view name) {
  std::string number;
  size_t at = 0;
  for (const char c : rule.theirs) {
    if (c != '#') {
      if (at == name.size() || name[at] != c) return {};
      ++at;
      continue;
    }
    const size_t begin = at;
    while (at < name.size() && is_digit(name[at])) ++at;
    if (at == begin) return {};
    number = name.substr(begin, at - begin);
  }
  if (at < name.size() && name[at] != '.') return {};
  std::string ours = rule.ours;
  if (const size_t mark = ours.find('#'); mark != std::string::npos) ours.replace(mark, 1, number);
  return ours + std::string(name.substr(at));
}

struct Place {
  std::string name;
  int part = 0, parts = 1;
};

Place place_of(const Names& names, std::string_view name) {
  for (const Rule& rule : names.rules)
    if (const auto ours = apply_rule(rule, name)) return {*ours, rule.part, rule.parts};
  return {std::string(name)};
}

// Made again by whoever reads the file.
bool is_passed_over(const std::string& name) {
  constexpr std::array<std::string_view, 4> ends = {
      "num_batches_tracked", "relative_position_index", "attn_mask", "position_ids"};
  return std::ranges::any_of(ends, [&](std::string_view end) {
    return name == end || (name.ends_with(end) && name[name.size() - end.size() - 1] == '.');
  });
}

std::vector<std::string> names_of(const TensorFile& file) {
  std::vector<std::string> names;
  for (const auto& [name, shape] : file.shapes()) names.push_back(name);
  return names;
}

// Beginnings, up to a dot, that all names share; the empty one first.
std::vector<std::string> shared_prefixes(const std::vector<std::string>& names) {
  std::vector<std::string> prefixes = {""};
  if (names.empty()) return prefixes;
  // In sorted names, what the first and the last begin with all others begin with.
  const std::string &first = names.front(), &last = names.back();
  const auto differ = std::ranges::mismatch(first, last).in1;
  const std::string shared(first.begin(), differ);
  for (size_t dot = shared.find('.'); dot != std::string::npos; dot = shared.find('.', dot + 1))
    prefixes.push_back(shared.substr(0, dot + 1));
  return prefixes;
}

// How many of the expected names the file has, read so.
size_t known_by(const Names& names, size_t prefix, const std::vector<std::string>& in_file,
                const NamedShapes& expected) {
  std::set<std::string> known;
  for (const std::string& name : in_file)
    if (const Place place = place_of(names, std::string_view(name).substr(prefix));
        expected.contains(place.name))
      known.insert(place.name);
  return known.size();
}

// One shape of parts along the first dimension.
std::vector<int64_t> joined(std::vector<int64_t> whole, const std::vector<int64_t>& part,
                            const TensorFile& file, const std::string& name) {
  if (whole.empty()) return part;
  const bool fits = !part.empty() && whole.size() == part.size() &&
                    std::equal(whole.begin() + 1, whole.end(), part.begin() + 1);
  if (!fits)
    throw DataError(
        concat_text(file.path(), ": the parts of ", quote(name), " do not fit together"));
  whole[0] += part[0];
  return whole;
}

}  // namespace

FoundTensors find_tensors(const TensorFile& file, const NamedShapes& expected) {
  const std::vector<std::string> in_file = names_of(file);
  const Names* best = &known_names().front();
  FoundTensors found;
  size_t most = 0;
  for (const std::string& prefix : shared_prefixes(in_file))
    for (const Names& names : known_names())
      if (const size_t known = known_by(names, prefix.size(), in_file, expected); known > most)
        most = known, best = &names, found.prefix = prefix;
  found.writer = best->writer;
  std::map<std::string, std::vector<std::string>> parts;
  for (const std::string& name : in_file) {
    if (is_passed_over(name)) continue;
    const Place place = place_of(*best, std::string_view(name).substr(found.prefix.size()));
    std::vector<std::string>& of_name = parts[place.name];
    of_name.resize(std::max<size_t>(of_name.size(), static_cast<size_t>(place.parts)));
    std::string& slot = of_name[static_cast<size_t>(place.part)];
    if (!slot.empty())
      throw DataError(concat_text(file.path(), ": tensors ", quote(slot), " and ", quote(name),
                                  " are both ", quote(place.name)));
    slot = name;
  }
  for (auto& [name, of_name] : parts) {
    FoundTensor tensor{.parts = of_name};
    for (const std::string& part : of_name) {
      if (part.empty())
        throw DataError(concat_text(file.path(), ": lacks a part of tensor ", quote(name)));
      tensor.shape = joined(tensor.shape, file.shapes().at(part), file, name);
    }
    found.tensors[name] = std::move(tensor);
  }
  return found;
}

std::string model_named_in(const TensorFile& file) {
  const auto model = file.metadata().find("model");
  if (model == file.metadata().end()) return {};
  // What version 0.1.0 called lambda_resnet50 had lambda layers alone, and its quick networks had
  // four stages, or six blocks.
  const std::string& name = model->second;
  const char* const sign = name == "lambda_resnet50" ? "layer1.0.conv2.conv_qkv.weight"
                           : name == "lambda_resnet" ? "layer4.0.conv1.weight"
                           : name == "vit"           ? "blocks.5.norm1.weight"
                                                     : "stages.3.blocks.0.conv1.weight";
  return file.shapes().contains(sign) ? name_since_0_1(name) : name;
}

bool is_classifier(const std::string& name) {
  constexpr std::array<std::string_view, 6> heads = {"fc",        "head",   "head.fc",
                                                     "head_dist", "linear", "classifier.fc"};
  return std::ranges::any_of(heads, [&](std::string_view head) {
    return name == concat_text(head, ".weight") || name == concat_text(head, ".bias");
  });
}

}  // namespace passband
