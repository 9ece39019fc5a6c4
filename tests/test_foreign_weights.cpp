// Weights that other programs wrote: files of torch.save, names of other libraries, and their fit
// to other classes and pictures, against timm's and PyTorch's own numbers.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "data/preprocessing.h"
#include "models/published.h"
#include "models/pytorch_file.h"
#include "models/resample.h"
#include "models/safetensors.h"
#include "models/weights.h"
#include "nn/optimizer.h"
#include "tensor/autograd/engine.h"
#include "tensor/core/file.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tests/golden_file.h"
#include "tests/message_of.h"

namespace passband {
namespace {

namespace fs = std::filesystem;

struct TemporaryFolder {
  TemporaryFolder()
      : path(fs::temp_directory_path() / concat_text("passband-foreign-", ::getpid())) {
    fs::create_directories(path);
  }
  ~TemporaryFolder() { fs::remove_all(path); }
  std::string file(const std::string& name) const { return (path / name).string(); }
  std::string put(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return file(name);
  }
  fs::path path;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

double worst_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

const std::map<std::string, Tensor>& golden() {
  static const auto tensors = read_safetensors(golden_file("weights.safetensors"));
  return tensors;
}

std::vector<float> floats(const Tensor& tensor, int64_t from = 0) {
  const std::vector<double> values = tensor.values();
  return {values.begin() + from, values.end()};
}

struct TableCase {
  const char* name;
  int64_t from, to, tokens, depth;
  CubicFilter filter;
};

TEST_CASE("Tables of positions are resampled as timm does") {
  for (const TableCase& c : {TableCase{"grow", 4, 7, 1, 6, CubicFilter::antialiased},
                             TableCase{"shrink", 7, 3, 1, 6, CubicFilter::antialiased},
                             TableCase{"pooled", 5, 8, 0, 6, CubicFilter::antialiased},
                             TableCase{"wider", 5, 9, 0, 4, CubicFilter::plain},
                             TableCase{"narrower", 13, 7, 0, 4, CubicFilter::plain}}) {
    INFO(c.name);
    const Tensor &in = golden().at(std::string(c.name) + ".in"),
                 &out = golden().at(std::string(c.name) + ".out");
    const std::vector<float> got = resample_table(floats(in, c.tokens * c.depth), {c.from, c.from},
                                                  {c.to, c.to}, c.depth, c.filter);
    const std::vector<float> wanted = floats(out, c.tokens * c.depth);
    CHECK(worst_difference({got.begin(), got.end()}, {wanted.begin(), wanted.end()}) < 2e-6);
  }
}

struct PictureCase {
  const char* name;
  int64_t side;
  double crop;
  PictureFilter interpolation;
};

TEST_CASE("Kernels of a patch embedding are resampled as timm does") {
  for (const auto& [name, from, to] :
       {std::tuple("patch_shrinks", 4, 1), std::tuple("patch_less", 8, 4),
        std::tuple("patch_grows", 2, 3)}) {
    INFO(name);
    const Tensor &in = golden().at(std::string(name) + ".in"),
                 &out = golden().at(std::string(name) + ".out");
    const std::vector<float> got = resample_kernels(floats(in), 15, {from, from}, {to, to});
    CHECK(worst_difference({got.begin(), got.end()}, out.values()) < 2e-6);
  }
}

TEST_CASE("A picture is resized, cropped and normalised as timm does") {
  std::vector<uint8_t> pixels;
  for (int64_t y = 0; y < 20; ++y)
    for (int64_t x = 0; x < 29; ++x)
      for (int64_t c = 0; c < 3; ++c)
        pixels.push_back(static_cast<uint8_t>((y * 37 + x * 59 + c * 101 + x * y % 23 * 7) % 256));
  const double mean[] = {0.5, 0.4, 0.3}, deviation[] = {0.2, 0.25, 0.3};
  for (const PictureCase& c : {PictureCase{"small", 12, 0.875, PictureFilter::bicubic},
                               PictureCase{"linear", 12, 0.9, PictureFilter::bilinear},
                               PictureCase{"large", 24, 0.95, PictureFilter::bicubic}}) {
    INFO(c.name);
    std::vector<uint8_t> out(static_cast<size_t>(c.side * c.side * 3));
    preprocess({pixels.data(), 20, 29, 29 * 3},
               {.crop_pct = c.crop, .interpolation = c.interpolation}, c.side, out.data());
    std::vector<double> shown;
    for (size_t i = 0; i < out.size(); ++i)
      shown.push_back((out[i] / 255.0 - mean[i % 3]) / deviation[i % 3]);
    CHECK(worst_difference(shown, golden().at(std::string("picture.") + c.name).values()) < 1e-6);
  }
}

TEST_CASE("Published names stand for networks here, with what timm says of their pictures") {
  CHECK(make_model("vit_tiny_patch16_224.augreg_in21k", {.classes = 2, .image_size = 224}, false)
            ->store()
            .parameter_count() ==
        make_model("vit_tiny_patch16", {.classes = 2, .image_size = 224}, false)
            ->store()
            .parameter_count());
  CHECK(family_of("timm/resnet50.a1_in1k") == "resnet");
  CHECK(family_of("google/vit-base-patch16-224") == "vit");
  CHECK(family_of("swin_t") == "swin");
  CHECK(published_size("vit_tiny_patch16_384.augreg_in21k_ft_in1k") == 384);
  CHECK(published_size("resnet50.a1_in1k") == 0);
  CHECK(published_size("alternet_101") == 0);
  CHECK(published_size("alternet_152") == 0);
  CHECK(published_size("CC.CM") == 0);
  const auto said = [](const std::string& name) {
    const auto how = published_preprocessing(name);
    return how ? words(*how) : "nothing";
  };
  const std::string half = "mean 0.5 0.5 0.5, deviation 0.5 0.5 0.5, ",
                    imagenet = "mean 0.485 0.456 0.406, deviation 0.229 0.224 0.225, ";
  CHECK(said("vit_tiny_patch16_224.augreg_in21k") == half + "bicubic, crop 0.9");
  CHECK(said("vit_base_patch16_384.augreg_in1k") == half + "bicubic, crop 1");
  CHECK(said("vit_base_patch16_224.dino") == imagenet + "bicubic, crop 0.9");
  CHECK(said("deit_small_patch16_224") == imagenet + "bicubic, crop 0.9");
  CHECK(said("resnet50.a1_in1k") == imagenet + "bicubic, crop 0.95");
  CHECK(said("resnet50.tv_in1k") == imagenet + "bilinear, crop 0.875");
  CHECK(said("resnet50") == "nothing");
  CHECK(said("vit") == "nothing");
  CHECK(preprocessing_of_file("/x/resnet20-12fca82f.th", "resnet20")->by == "resnet20-12fca82f");
  const TemporaryFolder folder;
  folder.put("config.json", R"({"architecture": "vit_tiny_patch16_224", "num_classes": 21843,
    "pretrained_cfg": {"tag": "augreg_in21k", "input_size": [3, 224, 224],
                       "interpolation": "bilinear", "crop_pct": 0.8,
                       "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}})");
  const auto config = hub_config_beside(folder.file("model.safetensors"));
  REQUIRE(config);
  CHECK(config->architecture == "vit_tiny_patch16_224.augreg_in21k");
  CHECK(config->classes == 21843);
  CHECK(config->image_size == 224);
  CHECK(words(*config->preprocessing) ==
        "mean 0.1 0.2 0.3, deviation 0.4 0.5 0.6, bilinear, crop 0.8");
  folder.put("config.json", "[1");
  CHECK(contains(message_of<DataError>([&] { hub_config_beside(folder.file("w")); }),
                 "config.json: is not a JSON object"));
}

TEST_CASE("Files of torch.save hold the tensors that PyTorch put into them") {
  for (const auto& [name, place] :
       {std::pair("weights_zip.pth", "state_dict"), std::pair("weights_old.pth", "state_dict"),
        std::pair("weights_checkpoint.pth", "model")}) {
    INFO(name);
    const auto file = open_tensor_file(golden_file(name));
    CHECK(file->metadata().at("place") == place);
    CHECK(file->shapes().size() == 9);
    for (const auto& [tensor, shape] : file->shapes()) {
      INFO(tensor);
      const Tensor& wanted = golden().at("file." + tensor);
      CHECK(Shape(std::span(shape)) == wanted.shape());
      if (tensor.ends_with("num_batches_tracked"))
        CHECK(contains(message_of([&] { file->read(tensor, DType::f32); }), "holds I64"));
      else CHECK(file->read(tensor, DType::f64).values() == wanted.values());
    }
  }
}

// A pickle of protocol 2 that would call a function with one text.
std::string call_of(const std::string& module, const std::string& name) {
  const std::string text = "true";
  std::string pickle =
      "\x80\x02"
      "c" +
      module + "\n" + name + "\nX";
  const auto length = static_cast<uint32_t>(text.size());
  pickle.append(reinterpret_cast<const char*>(&length), 4);
  return pickle + text + "\x85R.";
}

TEST_CASE("What is no tensor is refused by name, and nothing is executed") {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& bytes) {
    const std::string path = folder.put("weights.pth", bytes);
    return message_of<DataError>([&] { open_tensor_file(path); });
  };
  for (const auto& [module, name] : std::vector<std::pair<std::string, std::string>>{
           {"posix", "system"}, {"builtins", "eval"}, {"torch", "load"}, {"numpy", "ndarray"}}) {
    const std::string message = refusal(call_of(module, name));
    CHECK(contains(message, "weights.pth: holds \"" + module + "." + name + "\""));
    CHECK(contains(message, "nothing is executed"));
  }
  CHECK(contains(refusal("\x80\x02}q\x01."), "is a pickle, but not one of torch.save"));
  CHECK(contains(refusal("PK\x03\x04 a/data.pkl"), "has no directory"));
}

TEST_CASE("A file of torch.save that is cut anywhere is refused or read as it was") {
  const TemporaryFolder folder;
  for (const char* name : {"weights_zip.pth", "weights_old.pth"}) {
    const std::string whole = read_file(golden_file(name));
    for (size_t length = 1; length < whole.size(); length += 37) {
      const std::string path = folder.put("cut.pth", whole.substr(0, length));
      CHECK_THROWS_AS(open_tensor_file(path), DataError);
    }
  }
}

// Saves the tensors of a model under other names.
void rename_file(const std::string& from, const std::string& to,
                 const std::function<std::vector<std::pair<std::string, Tensor>>(
                     const std::string&, const Tensor&)>& renamed) {
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, tensor] : read_safetensors(from))
    for (const auto& [other, part] : renamed(name, tensor)) tensors[other] = part;
  write_safetensors(to, tensors);
}

std::string replaced(std::string text, const std::string& part, const std::string& by) {
  if (const size_t at = text.find(part); at != std::string::npos) text.replace(at, part.size(), by);
  return text;
}

// Rows of an equal third of a tensor.
Tensor third(const Tensor& tensor, int64_t which) {
  const std::vector<double> values = tensor.values();
  const auto size = static_cast<int64_t>(values.size()) / 3;
  Shape shape = tensor.shape();
  shape[0] /= 3;
  Tensor out = Tensor::empty(shape);
  for (int64_t i = 0; i < size; ++i)
    out.data<float>()[i] = static_cast<float>(values[static_cast<size_t>(which * size + i)]);
  return out;
}

std::string transformers_name(std::string name) {
  for (const auto& [ours, theirs] : std::vector<std::pair<std::string, std::string>>{
           {"cls_token", "vit.embeddings.cls_token"},
           {"pos_embed", "vit.embeddings.position_embeddings"},
           {"patch_embed.proj", "vit.embeddings.patch_embeddings.projection"},
           {"blocks.", "vit.encoder.layer."},
           {"norm1", "layernorm_before"},
           {"norm2", "layernorm_after"},
           {"attn.proj", "attention.output.dense"},
           {"mlp.fc1", "intermediate.dense"},
           {"mlp.fc2", "output.dense"},
           {"head.", "classifier."}})
    name = replaced(name, ours, theirs);
  return name.starts_with("norm.") ? "vit.layernorm." + name.substr(5) : name;
}

std::string torchvision_name(std::string name) {
  for (const auto& [ours, theirs] : std::vector<std::pair<std::string, std::string>>{
           {"cls_token", "class_token"},
           {"pos_embed", "encoder.pos_embedding"},
           {"patch_embed.proj", "conv_proj"},
           {"blocks.", "encoder.layers.encoder_layer_"},
           {"norm1", "ln_1"},
           {"norm2", "ln_2"},
           {"attn.qkv.", "self_attention.in_proj_"},
           {"attn.proj", "self_attention.out_proj"},
           {"mlp.fc1", "mlp.0"},
           {"mlp.fc2", "mlp.3"},
           {"head.", "heads.head."}})
    name = replaced(name, ours, theirs);
  return name.starts_with("norm.") ? "encoder.ln." + name.substr(5) : name;
}

TEST_CASE("Vision transformers are read under torchvision's and transformers' names") {
  const TemporaryFolder folder;
  const auto saved = make_model("vit_tiny_patch16", {.seed = 1}),
             loaded = make_model("vit_tiny_patch16", {.seed = 2});
  save_weights(folder.file("a.safetensors"), *saved);
  const auto check = [&](const std::string& writer) {
    const FittedWeights fitted = fit_weights(folder.file("b.safetensors"), *loaded, {});
    CHECK(loaded->store().values().values() == saved->store().values().values());
    REQUIRE(fitted.notes.size() == 1);
    CHECK(contains(fitted.notes[0], "its names are read as " + writer));
  };
  rename_file(folder.file("a.safetensors"), folder.file("b.safetensors"),
              [](const std::string& name, const Tensor& tensor) {
                return std::vector{std::pair{torchvision_name(name), tensor}};
              });
  check("torchvision");
  rename_file(folder.file("a.safetensors"), folder.file("b.safetensors"),
              [](const std::string& name, const Tensor& tensor) {
                std::vector<std::pair<std::string, Tensor>> parts;
                const std::vector<std::string> heads = {"query", "key", "value"};
                if (!contains(name, "attn.qkv"))
                  return std::vector{std::pair{transformers_name(name), tensor}};
                for (int64_t i = 0; i < 3; ++i)
                  parts.emplace_back(transformers_name(replaced(
                                         name, "attn.qkv",
                                         "attention.attention." + heads[static_cast<size_t>(i)])),
                                     third(tensor, i));
                return parts;
              });
  check("Hugging Face transformers");
}

TEST_CASE("Weights are fitted to other classes and other pictures") {
  const TemporaryFolder folder;
  const auto saved = make_model("vit", {.classes = 10, .image_size = 32, .seed = 1}),
             other = make_model("vit", {.classes = 7, .image_size = 48, .seed = 2}),
             fresh = make_model("vit", {.classes = 7, .image_size = 48, .seed = 2});
  save_weights(folder.file("a.safetensors"), *saved);
  CHECK(contains(message_of<DataError>([&] { load_weights(folder.file("a.safetensors"), *other); }),
                 "the model needs [7]"));
  CHECK(contains(
      message_of<DataError>([&] { fit_weights(folder.file("a.safetensors"), *other, {}); }),
      "tells 10 classes from each other, not 7"));
  CHECK(other->store().values().values() == fresh->store().values().values());
  const FittedWeights fitted =
      fit_weights(folder.file("a.safetensors"), *other, {.new_head = true});
  REQUIRE(fitted.notes.size() == 2);
  CHECK(contains(fitted.notes[0], "pos_embed from 8 x 8 to 12 x 12"));
  CHECK(contains(fitted.notes[1], "the classifier of 10 classes is left out"));
  for (size_t i = 0; i < saved->store().parameters().size(); ++i) {
    const Parameter &a = *saved->store().parameters()[i], &b = *other->store().parameters()[i];
    INFO(a.name);
    if (a.name.starts_with("head."))
      CHECK(b.value.values() == fresh->store().parameters()[i]->value.values());
    else if (a.name != "pos_embed") CHECK(b.value.values() == a.value.values());
  }
}

TEST_CASE("Classes of the same number, but others, get a new classifier where that is asked for") {
  const TemporaryFolder folder;
  const auto saved = make_model("resnet", {.seed = 1}), kept = make_model("resnet", {.seed = 2}),
             replaced = make_model("resnet", {.seed = 2}),
             fresh = make_model("resnet", {.seed = 2});
  const std::string file = folder.file("a.safetensors");
  save_weights(file, *saved);
  fit_weights(file, *kept, {.new_head = true});
  CHECK(kept->store().values().values() == saved->store().values().values());
  CHECK(fit_weights(file, *replaced, {.new_head = true, .other_classes = true}).notes.size() == 1);
  for (size_t i = 0; i < saved->store().parameters().size(); ++i) {
    const Parameter& got = *replaced->store().parameters()[i];
    INFO(got.name);
    const auto& from = got.name.starts_with("head.") ? *fresh : *saved;
    CHECK(got.value.values() == from.store().parameters()[i]->value.values());
  }
}

TEST_CASE("Frozen weights stay as they are, with the statistics of their norms") {
  for (const bool decay_all : {false, true}) {
    const auto model = make_model("C.C:width=8", {.image_size = 16, .seed = 1});
    ParameterStore& store = model->store();
    store.freeze([](const Parameter& p) { return !p.name.starts_with("fc."); });
    Optimizer optimizer(store, Sgd{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1},
                        {.decay_all = decay_all});
    const std::vector<double> before = store.values().values(),
                              statistics = store.buffer_values().values();
    for (int step = 0; step < 2; ++step) {
      ContextGuard mode({.training = true});
      const Tensor logits = (*model)(Tensor::full({2, 16, 16, 3}, 0.5 + step));
      backward(sum(logits * logits));
      optimizer.step();
    }
    const std::vector<double> after = store.values().values();
    CHECK(store.buffer_values().values() == statistics);
    for (const ParameterRef& p : store.parameters()) {
      INFO(p->name);
      const bool same =
          std::equal(after.begin() + p->offset, after.begin() + p->offset + p->shape.numel(),
                     before.begin() + p->offset);
      CHECK(same == !p->name.starts_with("fc."));
    }
  }
}

}  // namespace
}  // namespace passband
