// Weights in and out of safetensors files: round trips, layouts, names, other writers, and run
// directories.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "models/run.h"
#include "models/safetensors.h"
#include "models/weights.h"
#include "nn/context.h"
#include "tensor/autograd/node.h"
#include "tensor/core/file.h"
#include "tensor/core/version.h"
#include "tensor/ops/pointwise.h"
#include "tests/message_of.h"
#include "tests/worst.h"

namespace passband {
namespace {

namespace fs = std::filesystem;

// A folder of its own for each test, removed with it.
struct TemporaryFolder {
  TemporaryFolder()
      : path(fs::temp_directory_path() /
             concat_text("passband-weights-", ::getpid(), "-", counter++)) {
    fs::create_directories(path);
  }
  ~TemporaryFolder() { fs::remove_all(path); }
  std::string file(const std::string& name) const { return (path / name).string(); }

  fs::path path;
  static inline int counter = 0;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Gives running statistics values of their own.
void disturb_buffers(Model& model) {
  Tensor buffers = model.store().buffer_values();
  for (int64_t i = 0; i < buffers.numel(); ++i)
    buffers.data<float>()[i] += 0.001f * static_cast<float>(i % 977);
}

const std::vector<std::pair<std::string, int64_t>> kModels = {{"resnet", 32},
                                                              {"alternet", 32},
                                                              {"lambda_resnet", 32},
                                                              {"vit", 32},
                                                              {"CL.LC:width=8,scope=0", 16},
                                                              {"CC.CC:rs,bottleneck,width=8", 80}};

TEST_CASE("Weights and buffers of every family come back bit for bit") {
  const TemporaryFolder folder;
  for (const auto& [name, side] : kModels) {
    INFO(name);
    const auto saved = make_model(name, {.image_size = side, .seed = 1});
    const auto loaded = make_model(name, {.image_size = side, .seed = 2});
    disturb_buffers(*saved);
    save_weights(folder.file("a.safetensors"), *saved, {{"epoch", "3"}});
    const Metadata metadata = load_weights(folder.file("a.safetensors"), *loaded);
    CHECK(loaded->store().values().values() == saved->store().values().values());
    CHECK(loaded->store().buffer_values().values() == saved->store().buffer_values().values());
    CHECK(metadata.at("epoch") == "3");
    CHECK(metadata.at("model") == name);
    CHECK(metadata.at("format") == "pt");
    CHECK(read_metadata(folder.file("a.safetensors")) == metadata);
  }
}

TEST_CASE("An average of weights is saved in place of the model's own") {
  const TemporaryFolder folder;
  const auto model = make_model("resnet", {.seed = 1}), loaded = make_model("resnet", {.seed = 2});
  const Tensor values = Tensor::full(model->store().values().shape(), 0.25);
  Tensor buffers = Tensor::full(model->store().buffer_values().shape(), 0.5);
  save_weights(folder.file("a.safetensors"), *model, values, buffers);
  load_weights(folder.file("a.safetensors"), *loaded);
  CHECK(loaded->store().values().values() == values.values());
  CHECK(loaded->store().buffer_values().values() == buffers.values());
  CHECK_THROWS_AS(save_weights(folder.file("b"), *model, Tensor::zeros({3}), buffers), Error);
}

TEST_CASE("Loading takes effect on the logits, also when a converted copy was kept") {
  const TemporaryFolder folder;
  const auto saved = make_model("alternet", {.seed = 1}),
             loaded = make_model("alternet", {.seed = 2});
  save_weights(folder.file("a.safetensors"), *saved);
  const Tensor images = Tensor::full({2, 32, 32, 3}, 0.3);
  NoGrad no_grad;
  ContextGuard guard({.compute = DType::bf16});
  (*loaded)(images);
  load_weights(folder.file("a.safetensors"), *loaded);
  CHECK((*loaded)(images).values() == (*saved)(images).values());
}

TEST_CASE("Files hold PyTorch's names, shapes and element order") {
  const TemporaryFolder folder;
  const auto model = make_model("resnet50", {.classes = 1000, .image_size = 224});
  save_weights(folder.file("a.safetensors"), *model);
  const SafetensorsFile file(folder.file("a.safetensors"));
  // torchvision's resnet50: 161 parameters, 106 statistics, 53 counters
  CHECK(file.entries().size() == 320);
  CHECK(file.entries().at("conv1.weight").shape == std::vector<int64_t>{64, 3, 7, 7});
  CHECK(file.entries().at("layer3.0.downsample.0.weight").shape ==
        std::vector<int64_t>{1024, 512, 1, 1});
  CHECK(file.entries().at("layer4.2.bn3.num_batches_tracked").dtype == "I64");
  CHECK(file.entries().at("layer4.2.bn3.num_batches_tracked").shape.empty());
  CHECK(file.entries().at("fc.weight").shape == std::vector<int64_t>{1000, 2048});

  const Tensor ours = model->store().parameters()[0]->value;  // conv1.weight, (O, kh, kw, I)
  const Tensor theirs = read_safetensors(folder.file("a.safetensors")).at("conv1.weight");
  for (const auto& [o, i, y, x] :
       std::vector<std::array<int64_t, 4>>{{0, 0, 0, 0}, {5, 2, 3, 6}, {63, 1, 6, 0}})
    CHECK(theirs.data<float>()[((o * 3 + i) * 7 + y) * 7 + x] ==
          ours.data<float>()[((o * 7 + y) * 7 + x) * 3 + i]);
}

TEST_CASE("A lambda kernel is written as PyTorch's 3-D convolution has it") {
  const TemporaryFolder folder;
  const auto model = make_model("CL.LC:width=8,scope=5", {.image_size = 16});
  save_weights(folder.file("a.safetensors"), *model);
  const std::string name = "layer1.1.conv2.lambda_conv.weight";
  const auto tensors = read_safetensors(folder.file("a.safetensors"));
  REQUIRE(tensors.contains(name));
  CHECK(tensors.at(name).shape() == Shape{16, 1, 1, 5, 5});
  for (const ParameterRef& p : model->store().parameters())
    if (p->name == name)  // memory (r, r, k, u)
      CHECK(tensors.at(name).data<float>()[(7 * 5 + 2) * 5 + 4] ==
            p->value.data<float>()[(2 * 5 + 4) * 16 + 7]);
}

TEST_CASE("Transformers have timm's names and shapes") {
  const TemporaryFolder folder;
  const auto model = make_model("vit_tiny_patch16", {.classes = 1000, .image_size = 224});
  save_weights(folder.file("a.safetensors"), *model);
  const SafetensorsFile file(folder.file("a.safetensors"));
  CHECK(file.entries().size() == 152);
  CHECK(file.entries().at("cls_token").shape == std::vector<int64_t>{1, 1, 192});
  CHECK(file.entries().at("pos_embed").shape == std::vector<int64_t>{1, 197, 192});
  CHECK(file.entries().at("patch_embed.proj.weight").shape == std::vector<int64_t>{192, 3, 16, 16});
  CHECK(file.entries().at("blocks.11.attn.qkv.bias").shape == std::vector<int64_t>{576});
  CHECK(file.entries().at("blocks.0.mlp.fc2.weight").shape == std::vector<int64_t>{192, 768});
}

// Rewrites a weights file with every floating tensor of another type.
void convert_file(const std::string& from, const std::string& to, const std::string& dtype) {
  std::vector<SafetensorsItem> items;
  for (const auto& [name, tensor] : read_safetensors(from)) {
    const std::vector<double> values = tensor.values();
    items.push_back({name, dtype, {tensor.shape().begin(), tensor.shape().end()}, [=](char* out) {
                       for (size_t i = 0; i < values.size(); ++i) {
                         const float f = static_cast<float>(values[i]);
                         const bf16 b(f);
                         const _Float16 h = static_cast<_Float16>(f);
                         if (dtype == "F64") std::memcpy(out + 8 * i, &values[i], 8);
                         if (dtype == "BF16") std::memcpy(out + 2 * i, &b, 2);
                         if (dtype == "F16") std::memcpy(out + 2 * i, &h, 2);
                       }
                     }});
  }
  write_file_atomically(to, pack_safetensors(std::move(items), {}));
}

TEST_CASE("BF16, F16 and F64 files are accepted and converted") {
  const TemporaryFolder folder;
  const auto saved = make_model("vit", {.seed = 1}), loaded = make_model("vit", {.seed = 2});
  save_weights(folder.file("a.safetensors"), *saved);
  const std::vector<double> exact = saved->store().values().values();
  const std::vector<std::pair<std::string, double>> types = {
      {"F64", 0}, {"F16", 5e-4}, {"BF16", 4e-3}};
  for (const auto& [dtype, error] : types) {
    INFO(dtype);
    convert_file(folder.file("a.safetensors"), folder.file("b.safetensors"), dtype);
    load_weights(folder.file("b.safetensors"), *loaded);
    const std::vector<double> got = loaded->store().values().values();
    double worst = 0;
    for (size_t i = 0; i < exact.size(); ++i)
      worst =
          numeric::worse(worst, std::abs(got[i] - exact[i]) / std::max(std::abs(exact[i]), 1e-3));
    CHECK(worst <= error);
  }
}

TEST_CASE("Every half-precision number becomes the float it stands for") {
  const TemporaryFolder folder;
  write_file_atomically(folder.file("h"),
                        pack_safetensors({{"h",
                                           "F16",
                                           {65536},
                                           [](char* out) {
                                             for (uint32_t i = 0; i < 65536; ++i) {
                                               const auto half = static_cast<uint16_t>(i);
                                               std::memcpy(out + 2 * i, &half, 2);
                                             }
                                           }}},
                                         {}));
  const Tensor h = read_safetensors(folder.file("h")).at("h");
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    const auto expected = static_cast<float>(std::bit_cast<_Float16>(bits));
    const float got = h.data<float>()[i];
    REQUIRE((got == expected || (std::isnan(got) && std::isnan(expected))));
    REQUIRE(std::signbit(got) == std::signbit(expected));
  }
}

TEST_CASE("Named tensors of every type come back as they were, with their metadata") {
  const TemporaryFolder folder;
  const std::map<std::string, Tensor> tensors = {
      {"f32", Tensor::from({1, -2.5, 3}, {3})},
      {"bf16", Tensor::from({1, -2.5}, {2, 1}, DType::bf16)},
      {"f64", Tensor::from({0.1}, {}, DType::f64)},
      {"i32", Tensor::from({-7, 8}, {2}, DType::i32)},
      {"u8", Tensor::from({0, 255}, {1, 2}, DType::u8)},
      {"empty", Tensor::empty({0, 5})}};
  const Metadata metadata = {{"state", "{\"step\": 3}"}, {"umlaut", "\xc3\xa4"}, {"bytes", "\xff"}};
  write_safetensors(folder.file("t"), tensors, metadata);
  Metadata read;
  const auto back = read_safetensors(folder.file("t"), &read);
  REQUIRE(back.size() == tensors.size());
  for (const auto& [name, tensor] : tensors) {
    CHECK(back.at(name).shape() == tensor.shape());
    CHECK(back.at(name).dtype() == tensor.dtype());
    CHECK(back.at(name).values() == tensor.values());
  }
  CHECK(read.at("state") == metadata.at("state"));
  CHECK(read.at("umlaut") == metadata.at("umlaut"));
  const std::string bytes = read_file(folder.file("t"));
  uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  CHECK(length % 8 == 0);
}

TEST_CASE("A classifier stored as a matrix loads into one that is a 1x1 convolution, and back") {
  const TemporaryFolder folder;
  const auto saved = make_model("alternet", {.seed = 1}),
             loaded = make_model("alternet", {.seed = 2});
  save_weights(folder.file("a.safetensors"), *saved);
  auto tensors = read_safetensors(folder.file("a.safetensors"));
  tensors["head.fc.weight"] =
      tensors["head.fc.weight"].viewed_as({10, tensors["head.fc.weight"].size(1)});
  write_safetensors(folder.file("b.safetensors"), tensors);
  load_weights(folder.file("b.safetensors"), *loaded);
  CHECK(loaded->store().values().values() == saved->store().values().values());
}

TEST_CASE("What does not fit is named, and the model stays as it was") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.safetensors");
  const auto small = make_model("resnet", {.classes = 10, .seed = 1});
  const auto wide = make_model("resnet", {.classes = 100, .seed = 2});
  const auto vit = make_model("vit", {.seed = 3});
  save_weights(path, *small);
  const std::vector<double> before = wide->store().values().values();
  const std::string shapes = message_of([&] { load_weights(path, *wide); });
  CHECK(contains(shapes, "a.safetensors: tensor \"head.fc.bias\" is [10], the model needs [100]"));
  CHECK(contains(shapes, "of model \"resnet\""));
  CHECK(contains(message_of([&] { load_weights(path, *vit); }),
                 "lacks tensor \"blocks.0.attn.proj.bias\""));

  auto tensors = read_safetensors(path);
  tensors["extra\nline"] = Tensor::zeros({1});
  write_safetensors(path, tensors);
  CHECK(contains(message_of([&] { load_weights(path, *small); }),
                 "tensor \"extra?line\" belongs to nothing"));
  tensors.erase("extra\nline");
  tensors["head.fc.bias"] = Tensor::zeros({10}, DType::i32);
  write_safetensors(path, tensors);
  CHECK(contains(message_of([&] { load_weights(path, *small); }),
                 "tensor \"head.fc.bias\" holds I32"));
  CHECK(
      contains(message_of([&] { load_weights(folder.file("nothing"), *small); }), "no such file"));
  CHECK(contains(message_of([&] { load_weights(folder.path.string(), *small); }),
                 "not a regular file"));
  CHECK(wide->store().values().values() == before);
}

TEST_CASE("A prefix that all names share is left out and named") {
  const TemporaryFolder folder;
  const auto saved = make_model("C.C:width=8", {.seed = 1});
  const auto loaded = make_model("C.C:width=8", {.seed = 2});
  save_weights(folder.file("a"), *saved);
  const auto tensors = read_safetensors(folder.file("a"));
  const auto with_prefix = [&](const std::string& prefix) {
    std::map<std::string, Tensor> renamed;
    for (const auto& [name, tensor] : tensors) renamed[prefix + name] = tensor;
    return renamed;
  };
  for (const std::string prefix : {"module.", "_orig_mod.module.", "model.", "stages.", ""}) {
    write_safetensors(folder.file("b"), with_prefix(prefix));
    fill_(loaded->store().values(), 0);
    std::string named = "?";
    load_weights(folder.file("b"), *loaded, &named);
    CHECK(named == prefix);
    CHECK(loaded->store().values().values() == saved->store().values().values());
  }
  auto partly = with_prefix("module.");
  const auto first = partly.extract(partly.begin());
  write_safetensors(folder.file("b"), partly);
  const std::string lacking = message_of([&] { load_weights(folder.file("b"), *loaded); });
  CHECK(contains(lacking, concat_text("lacks tensor \"", first.key().substr(7), "\"")));
  CHECK(contains(lacking, "(the prefix \"module.\" left out)"));
  partly["other"] = Tensor::zeros({1});  // not all names share it: nothing is left out
  write_safetensors(folder.file("b"), partly);
  CHECK(!contains(message_of([&] { load_weights(folder.file("b"), *loaded); }), "prefix"));
}

TEST_CASE("What is no safetensors file is called what it is, with the way out") {
  using namespace std::string_literals;
  const TemporaryFolder folder;
  const std::string path = folder.file("w.safetensors");
  const auto model = make_model("C.C:width=8", {});
  const std::string zip = "PK\x03\x04"s + std::string(26, '\0');
  for (const auto& [bytes, what, way] : std::vector<std::array<std::string, 3>>{
           {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "is a git-lfs pointer", "git lfs pull"},
           {"<!DOCTYPE html>\n<html><head>", "is a web page", "fetch the weights again"},
           {"\n <html lang=\"en\">", "is a web page", "fetch"},
           {zip + "archive/data.pkl\x80\x02}q"s, "is a damaged zip archive", "take a whole copy"},
           {"\x80\x02}q\0."s, "is a pickle, but not one of torch.save", "as safetensors"},
           {"{\"metadata\":{\"total_size\":1},\"weight_map\":{\"a\":\"1-of-2\"}}",
            "is JSON text that is an index of parts", "join"},
           {"{\"a\": 1, \"b\": 2}", "is JSON text", "not a safetensors file"},
           {zip + "weights.npy", "is a zip archive", "unpack"},
           {"\x89HDF\r\n\x1a\n0000", "is an HDF5 file", "not a safetensors file"},
           {"epoch 3\nloss 0.25\n", "is a text file", "torch.save"},
           {"\x1f\x8b\x08\0\0\0\0\0\0"s, "is a gzip file", "unpack"}}) {
    std::ofstream(path, std::ios::binary) << bytes;
    const std::string message = message_of([&] { load_weights(path, *model); });
    CHECK_MESSAGE(contains(message, "w.safetensors: " + what), message);
    CHECK_MESSAGE(contains(message, way), message);
    CHECK(!contains(message, "\n"));
  }
}

TEST_CASE("A full disk leaves the old file and says what was needed") {
  const auto model = make_model("resnet", {});
  if (!fs::exists("/dev/full")) return;
  const std::string message = message_of([&] { save_weights("/dev/full/a.safetensors", *model); });
  CHECK(contains(message, "cannot write /dev/full/a.safetensors"));
}

// --- run directories ---

struct WorkingDirectory {
  explicit WorkingDirectory(const fs::path& path) : before(fs::current_path()) {
    fs::current_path(path);
  }
  ~WorkingDirectory() { fs::current_path(before); }
  fs::path before;
};

RunConfig small_run() {
  RunConfig config;
  config.settings.model = "resnet";
  config.settings.data = "shapes";
  config.settings.dropout = 0.5;
  config.settings.seed = 5;
  config.image_size = 16;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"}) config.data.classes.push_back(name);
  config.sessions.push_back({.date = "2026-01-01T10:10:10Z", .version = version()});
  return config;
}

void make_run(const fs::path& directory, const std::string& text = to_toml(small_run())) {
  fs::create_directories(directory);
  std::ofstream(directory / "config.toml") << text;
}

TEST_CASE(
    "Runs are found from below the project, by name, unique prefix, path and as the last one") {
  const TemporaryFolder folder;
  const fs::path runs = folder.path / "runs";
  make_run(runs / "20260101-101010-resnet-shapes");
  make_run(runs / "20260102-101010-vit-shapes");
  make_run(folder.path / "elsewhere");
  fs::create_directories(folder.path / "build" / "deep");
  const WorkingDirectory here(folder.path / "build" / "deep");
  CHECK(fs::equivalent(runs_directory(), runs));
  CHECK(find_run("20260101-101010-resnet-shapes").filename() == "20260101-101010-resnet-shapes");
  CHECK(find_run("20260102").filename() == "20260102-101010-vit-shapes");
  CHECK(find_run("../../elsewhere").filename() == "elsewhere");
  CHECK(contains(message_of([] { find_run("last"); }), "name one (./train --runs shows them)"));
  set_last_run(runs / "20260101-101010-resnet-shapes");
  set_last_run(runs / "20260102-101010-vit-shapes");
  CHECK(find_run("last").filename() == "20260102-101010-vit-shapes");
  CHECK(fs::read_symlink(runs / "last") == "20260102-101010-vit-shapes");
  set_last_run(folder.path / "elsewhere");
  CHECK(find_run("last").filename() == "elsewhere");
  CHECK(contains(message_of([] { find_run("2026010"); }), "ambiguous: 2 runs"));
  CHECK(find_run("previous").filename() == "20260102-101010-vit-shapes");
  set_last_run(runs / "20260102-101010-vit-shapes");
  CHECK(find_run("previous").filename() == "20260101-101010-resnet-shapes");
  CHECK(contains(message_of([] { find_run("20260101-101010-resnt-shapes"); }),
                 "did you mean \"20260101-101010-resnet-shapes\""));
  CHECK(contains(message_of([] { find_run("../deep"); }), "has no config.toml"));
  CHECK(contains(message_of([] { find_run(""); }), "no run"));
}

TEST_CASE("The last run is a file with its path where there can be no link") {
  const TemporaryFolder folder;
  const fs::path runs = folder.path / "runs";
  make_run(runs / "20260101-101010-resnet-shapes");
  const WorkingDirectory here(folder.path);
  std::ofstream(runs / "last") << "20260101-101010-resnet-shapes\n";
  CHECK(find_run("last").filename() == "20260101-101010-resnet-shapes");
  std::ofstream(runs / "last") << "gone\n";
  CHECK(contains(message_of([] { find_run("last"); }), "leads to none"));
}

TEST_CASE("A run's network comes back with its best weights, or the last ones") {
  const TemporaryFolder folder;
  const fs::path run = folder.path / "r";
  make_run(run);
  const RunDescription description = read_run(run);
  CHECK(description.settings.model == "resnet");
  CHECK(description.settings.data == "shapes");
  CHECK(description.model_options().classes == 7);
  CHECK(description.model_options().dropout == 0.5);
  CHECK(description.settings.seed == 5);
  CHECK(
      contains(message_of([&] { load_run_model(description); }), "stopped before its first save"));
  CHECK(contains(message_of([&] { load_run_model(description, "x"); }), "has no weights \"x\""));
  auto model = make_model("resnet", {.classes = 7, .image_size = 16, .seed = 9});
  save_weights((run / "last.safetensors").string(), *model);
  CHECK(load_run_model(description)->store().values().values() == model->store().values().values());
  CHECK(contains(note_on_weights(description), "its last weights stand for it"));
  CHECK(note_on_weights(description, "last").empty());
  scale_(model->store().values(), 2);
  save_weights((run / "best.safetensors").string(), *model);
  CHECK(load_run_model(description)->store().values().values() == model->store().values().values());
  CHECK(note_on_weights(description).empty());
  CHECK(load_run_model(description, "last")->store().values().values() !=
        model->store().values().values());
}

TEST_CASE("A broken configuration is named with file and key") {
  const TemporaryFolder folder;
  const fs::path run = folder.path / "r";
  const std::string good = to_toml(small_run());
  make_run(run, "broken = = 1\n" + good);
  CHECK(contains(message_of([&] { read_run(run); }), "config.toml:1: "));
  make_run(run, "[model]\nmodel = 3\n");
  CHECK(contains(message_of([&] { read_run(run); }), "[data] data is missing"));
  std::string changed = good;
  changed.replace(changed.find("dropout = 0.5"), 13, "dropout = \"\" ");
  make_run(run, changed);
  CHECK(contains(message_of([&] { read_run(run); }), "dropout: '' is not a number"));
  CHECK_THROWS_AS(read_run(folder.path / "nowhere"), DataError);
}

TEST_CASE("A configuration that was cut off at any line is refused") {
  const std::string text = to_toml(small_run());
  for (size_t end = 0; end < text.size(); ++end)
    if (end == 0 || text[end - 1] == '\n')
      CHECK_THROWS_AS(run_config_from(text.substr(0, end), "config.toml"), DataError);
  CHECK(to_toml(run_config_from(text, "config.toml")) == text);
}

TEST_CASE("A setting that an older version did not know has its default") {
  RunConfig config = small_run();
  config.sessions.back().version = "0.0.9";
  std::string text = to_toml(config);
  const size_t line = text.find("save_minutes = ");
  text.erase(line, text.find('\n', line) + 1 - line);
  CHECK(run_config_from(text, "config.toml").settings.save_minutes == RunSettings{}.save_minutes);
}

TEST_CASE("Any path survives in a configuration, valid UTF-8 or not") {
  for (const std::string path :
       {"a\u00a0b", "a\u00adb", "a\xe4 b", "a \"quoted\" \\ folder", "line\nend\r", "'''\"\"\"",
        "\xed\xa0\x80", "\x01\x7f", "", "\xc3"}) {
    RunConfig config = small_run();
    config.settings.data = config.data_path = config.data.classes[3] = path;
    config.sessions.back().command = path;
    config.beginning = BeginningFile{path, 0x0123456789abcdef};
    const RunConfig back = run_config_from(to_toml(config), "config.toml");
    CHECK(back.settings.data == path);
    CHECK(back.data_path == path);
    CHECK(back.data == config.data);
    CHECK(back.sessions.back().command == path);
    REQUIRE(back.beginning);
    CHECK(back.beginning->name == path);
    CHECK(back.beginning->checksum == 0x0123456789abcdef);
  }
}

}  // namespace
}  // namespace passband
