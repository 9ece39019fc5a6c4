// Fine-tuning: what timm and torchvision call the tensors of a network and in which layers they
// group them (golden/make_peers.py), other stems and forms for the same weights, and weights that
// are refused.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "models/layer_decay.h"
#include "models/presets.h"
#include "models/weight_names.h"
#include "models/weights.h"
#include "nn/context.h"
#include "tensor/core/split_text.h"
#include "tensor/ops/pointwise.h"
#include "tests/golden_file.h"
#include "tests/message_of.h"

namespace passband {
namespace {

namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The path of a file that goes with the object.
struct TemporaryFile {
  TemporaryFile()
      : path((fs::temp_directory_path() / concat_text("passband-fine-tuning-", ::getpid()))) {}
  ~TemporaryFile() { fs::remove(path); }
  std::string path;
};

// A tensor of a peer's network: see golden/make_peers.py.
struct PeerTensor {
  std::vector<int64_t> shape;
  int64_t layer = -1;  // none
};

struct Peer {
  std::string name;
  int64_t side = 0;
  std::map<std::string, PeerTensor> tensors;
};

void add_peer_line(Peer& peer, const std::string& line) {
  std::istringstream words(line);
  std::string name, shape, layer;
  words >> name >> shape >> layer;
  PeerTensor tensor;
  if (shape != "-")
    for (const std::string& side : split_text(shape, 'x')) tensor.shape.push_back(std::stoll(side));
  if (layer != "-") tensor.layer = std::stoll(layer);
  const size_t open = name.find('{'), dash = name.find('-', open), close = name.find('}', open);
  if (open == std::string::npos) {
    peer.tensors[name] = tensor;
    return;
  }
  const int64_t last = std::stoll(name.substr(dash + 1));
  for (int64_t i = std::stoll(name.substr(open + 1)); i <= last; ++i) {
    peer.tensors[name.substr(0, open) + std::to_string(i) + name.substr(close + 1)] = tensor;
    if (tensor.layer >= 0) ++tensor.layer;
  }
}

std::vector<Peer> peers() {
  std::vector<Peer> all;
  std::ifstream file(golden_file("peers.txt"));
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("= ")) {
      add_peer_line(all.back(), line);
      continue;
    }
    std::istringstream words(line.substr(2));
    Peer& peer = all.emplace_back();
    words >> peer.name >> peer.side;
  }
  return all;
}

TEST_CASE("Files hold the names and shapes that timm and torchvision load strictly") {
  const std::vector<Peer> all = peers();
  CHECK(all.size() == 14);
  for (const Peer& peer : all) {
    INFO(peer.name);
    const auto model = make_model(peer.name, {.image_size = peer.side}, /*build=*/false);
    const NamedShapes saved = saved_shapes(model->store());
    for (const auto& [name, shape] : saved) {
      INFO(name);
      const auto theirs = peer.tensors.find(name);
      REQUIRE(theirs != peer.tensors.end());
      CHECK(shape == theirs->second.shape);
    }
    for (const auto& [name, tensor] : peer.tensors) {
      INFO(name);
      CHECK(saved.contains(name));
    }
  }
}

TEST_CASE("Layer decay groups parameters as timm does, stem slowest, classifier at the full rate") {
  int64_t checked = 0;
  for (const Peer& peer : peers()) {
    INFO(peer.name);
    const auto model = make_model(peer.name, {.image_size = peer.side}, /*build=*/false);
    std::vector<std::string> names;
    for (const ParameterRef& p : model->store().parameters()) names.push_back(p->name);
    const std::vector<int64_t> layers = layers_of(names);
    const std::vector<double> scales = layer_scales(names, 0.5);
    const int64_t last = std::ranges::max(layers);
    for (size_t i = 0; i < names.size(); ++i) {
      INFO(names[i]);
      const int64_t layer = peer.tensors.at(names[i]).layer;
      CHECK(scales[i] == std::ldexp(1.0, static_cast<int>(layers[i] - last)));
      if (layer < 0) continue;
      CHECK(layers[i] == layer);
      ++checked;
    }
    CHECK(scales.back() == 1);
  }
  CHECK(checked > 1000);
}

TEST_CASE("Layer decay knows the blocks of every family: stem, blocks, classifier") {
  for (const auto& [name, blocks] :
       std::vector<std::pair<const char*, int64_t>>{{"alternet", 6},
                                                    {"lambda_resnet", 5},
                                                    {"resnet20", 9},
                                                    {"cct_2_3x2", 2},
                                                    {"convvit", 6},
                                                    {"pit", 6},
                                                    {"swin", 8},
                                                    {"twins", 8},
                                                    {"vit_hydra", 4},
                                                    {"mixer", 6},
                                                    {"airbench94", 3},
                                                    {"botnet26t_256", 8},
                                                    {"CD.CSW.U:preact,width=8,head_dim=4", 6}}) {
    INFO(name);
    const auto model = make_model(name, {}, /*build=*/false);
    std::vector<std::string> names;
    for (const ParameterRef& p : model->store().parameters()) names.push_back(p->name);
    const std::vector<int64_t> layers = layers_of(names);
    const int64_t last = std::ranges::max(layers);
    CHECK(last == blocks + 1);
    for (size_t i = 0; i < names.size(); ++i) {
      INFO(names[i]);
      CHECK((layers[i] == last) ==
            (is_classifier(names[i]) || contains(names[i], "attention_pool")));
    }
  }
}

TEST_CASE("A network keeps ImageNet's stem on small pictures, and CIFAR's on large ones") {
  const ModelOptions large{.image_size = 96}, small{.image_size = 32};
  const auto options = [](int64_t side, StemKind stem) {
    return ModelOptions{.image_size = side, .stem = stem};
  };
  for (const char* name : {"resnet50", "resnetv2_50x1_bit", "lambda_resnet26t", "resnext50",
                           "CCC.CCCC.CCCCCC.CCC:rs"}) {
    INFO(name);
    const auto shapes = [&](const ModelOptions& given) {
      return saved_shapes(make_model(name, given, false)->store());
    };
    CHECK(shapes(options(32, StemKind::imagenet)) == shapes(large));
    CHECK(shapes(options(96, StemKind::cifar)) == shapes(small));
    // a map of a quarter costs about a sixteenth of the multiplications
    CHECK(make_model(name, options(32, StemKind::imagenet), false)->macs() <
          make_model(name, small, false)->macs() / 8);
  }
  for (const char* name : {"vit", "swin", "resnet20"})
    CHECK(
        contains(message_of<UsageError>([&] { make_model(name, options(32, StemKind::imagenet)); }),
                 concat_text("model ", name, ": has one stem alone")));
  const auto network = make_model("CC.C:width=8", options(16, StemKind::imagenet));
  const ContextGuard guard({.training = false});
  CHECK((*network)(Tensor::zeros({2, 16, 16, 3})).shape() == Shape{2, 10});
}

TEST_CASE("Swin's two forms begin from each other's weights, and say what that takes") {
  const TemporaryFile file;
  const auto large = make_model("swin", {.classes = 5, .image_size = 96, .seed = 1}),
             small = make_model("swin", {.image_size = 32, .seed = 2});
  save_weights(file.path, *large);
  CHECK(contains(message_of<DataError>([&] { load_weights(file.path, *small); }), "swin"));
  std::vector<std::string> notes = fit_weights(file.path, *small, {.new_head = true}).notes;
  const auto told = [&](const std::string& what) {
    return std::ranges::any_of(notes, [&](const auto& note) { return contains(note, what); });
  };
  CHECK(told("patch embedding resampled (pseudo-inverse) from 4 x 4 to 1 x 1 pixels"));
  CHECK(told("relative_position_bias_table from"));
  CHECK(told("8 biases of queries, keys and values left out: the model, in this form, has none"));
  CHECK(told("the classifier of 5 classes is left out"));
  // A pixel that is all of a patch gives what the patch gave.
  const auto named = [](const Model& model, const std::string& name) {
    for (const ParameterRef& p : model.store().parameters())
      if (p->name == name) return p->value.values();
    return std::vector<double>{};
  };
  const std::vector<double> kernels = named(*large, "patch_embed.proj.weight"),
                            pixels = named(*small, "patch_embed.proj.weight");
  REQUIRE(kernels.size() == 16 * pixels.size());
  CHECK(named(*small, "layers.2.blocks.1.mlp.fc1.weight") ==
        named(*large, "layers.2.blocks.1.mlp.fc1.weight"));

  save_weights(file.path, *small);
  scale_(large->store().values(), 3);
  notes = fit_weights(file.path, *large, {.new_head = true}).notes;
  CHECK(told("8 biases of queries, keys and values begin at 0: the file has none"));
  for (const double bias : named(*large, "layers.0.blocks.0.attn.qkv.bias")) CHECK(bias == 0);
}

TEST_CASE("Weights that are no numbers are refused by the tensor's name, and nothing changes") {
  const TemporaryFile file;
  for (const double wrong :
       {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
    const auto model = make_model("CC.C:width=8", {.seed = 1}),
               other = make_model("CC.C:width=8", {.seed = 2});
    const ParameterRef& broken = model->store().parameters()[3];
    broken->value.detach().data<float>()[1] = static_cast<float>(wrong);
    save_weights(file.path, *model);
    const std::vector<double> before = other->store().values().values();
    const std::string message =
        message_of<DataError>([&] { fit_weights(file.path, *other, {.new_head = true}); });
    CHECK_MESSAGE(contains(message, concat_text("tensor \"", broken->name, "\" holds 1 of ")),
                  message);
    CHECK(other->store().values().values() == before);
    load_weights(file.path, *other);  // an analysis names such a network itself
  }
}

TEST_CASE("Files of version 0.1.0 are of the networks that their names meant then") {
  const TemporaryFile file;
  const auto named = [&](const std::map<std::string, Tensor>& tensors, const Metadata& metadata) {
    write_safetensors(file.path, tensors, metadata);
    return model_named_in(*open_tensor_file(file.path));
  };
  const Metadata metadata = {{"model", "lambda_resnet50"}};
  const std::string first = "layer1.0.conv2.conv_qkv.weight";  // of the network of lambdas alone
  CHECK(saved_shapes(make_model("lambda_resnet50_all", {}, false)->store()).contains(first));
  CHECK(named({{first, Tensor::zeros({1})}}, metadata) == "lambda_resnet50_all");
  CHECK(named({{"layer1.0.conv2.weight", Tensor::zeros({1})}}, metadata) == "lambda_resnet50");
  CHECK(named({{first, Tensor::zeros({1})}}, {}).empty());
  // the quick networks of then, with the counts that 0.1.0 printed
  for (const auto& [name, count] : {std::pair{"resnet", 1'228'074},
                                    {"lambda_resnet", 2'065'258},
                                    {"alternet", 1'660'541},
                                    {"vit", 1'205'642}}) {
    const auto model = make_model(name_since_0_1(name), {.classes = 10, .image_size = 32});
    CHECK(model->store().parameter_count() == count);
    save_weights(file.path, *model, {});
    std::map<std::string, Tensor> tensors = read_safetensors(file.path);
    CHECK(named(tensors, {{"model", name}}) == model->name());
    std::erase_if(tensors, [](const auto& t) {
      return t.first.starts_with("stages.3.") || t.first.starts_with("layer4.") ||
             t.first.starts_with("blocks.5.");
    });
    CHECK(named(tensors, {{"model", name}}) == name);
  }
}

}  // namespace
}  // namespace passband
