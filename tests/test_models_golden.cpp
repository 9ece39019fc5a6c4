// Whole networks against torchvision, timm and plain PyTorch, on the CPU or a GPU, real or
// emulated: golden files made by golden/make_models.py.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "models/model.h"
#include "models/weights.h"
#include "nn/context.h"
#include "tensor/autograd/engine.h"
#include "tensor/device_choice.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/pointwise.h"
#include "tests/golden_file.h"
#include "tests/worst.h"
#include "train/views.h"

namespace passband {
namespace {

constexpr uint64_t kSeed = 7, kJitterSeed = 77;

// PASSBAND_DEVICE names where the networks compute: "cpu" (the default), "cuda", "cuda-emulated".
Device tested_device() {
  static const Device device = [] {
    const char* name = std::getenv("PASSBAND_DEVICE");
    return choose_device(name && *name ? name : "cpu");
  }();
  return device;
}

// How far a result may lie from PyTorch's f64 one: the first step, and the training curve.
struct Tolerance {
  double step, curve;
};

struct Golden {
  std::map<std::string, Tensor> tensors;
  Metadata metadata;

  explicit Golden(const std::string& name) {
    tensors = read_safetensors(golden_file(name + ".safetensors"), &metadata);
  }
  std::vector<double> operator[](const std::string& name) const {
    return tensors.at(name).values();
  }
};

// Adds a tenth of a normal number to every vector parameter, as the generator does.
void jitter(ParameterStore& store) {
  for (const ParameterRef& p : store.parameters()) {
    if (p->shape.rank() != 1) continue;
    std::vector<double> values = p->value.values();
    for (size_t i = 0; i < values.size(); ++i)
      values[i] += 0.1 * static_cast<double>(random_normal({kJitterSeed, 0, site_of(p->name)}, i));
    copy_(p->value.detach(), Tensor::from(values, p->shape, p->value.dtype()));
  }
}

void check_close(const std::vector<double>& got, const std::vector<double>& want, double tolerance,
                 const char* what) {
  REQUIRE(got.size() == want.size());
  double scale = 0, worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    scale = std::max(scale, std::abs(want[i]));
    worst = numeric::worse(worst, std::abs(got[i] - want[i]));
  }
  INFO(what, ": worst ", worst, " of ", scale);
  CHECK(worst <= tolerance * scale);
}

// Norm and four entries of every parameter's gradient, in units of the largest norm and of the
// parameter's own.
void check_gradients(const Golden& golden, const ParameterStore& store, double tolerance) {
  const std::vector<double> norms = golden["norms"], entries = golden["entries"];
  const double largest = *std::max_element(norms.begin(), norms.end());
  std::istringstream names(golden.metadata.at("names"));
  std::map<std::string, ParameterRef> by_name;
  for (const ParameterRef& p : store.parameters()) by_name[p->name] = p;
  REQUIRE(by_name.size() == norms.size());

  std::string name;
  for (size_t i = 0; std::getline(names, name); ++i) {
    INFO(name);
    REQUIRE(by_name.contains(name));
    const ParameterRef& p = by_name[name];
    const std::vector<double> g = store.gradients().view(p->offset, p->shape).values();
    double squares = 0;
    for (const double x : g) squares += x * x;
    // A gradient that is zero but for rounding, of a bias before a batch norm, is as large as what
    // its sums of a thousand cancelling terms are rounded by: 2e-6 of the largest in f32.
    const double allowed = tolerance * (norms[i] + 2e-3 * largest);
    CHECK(std::abs(std::sqrt(squares) - norms[i]) <= allowed);
    const size_t n = g.size(), at[4] = {0, n / 3, 2 * n / 3, n - 1};
    for (size_t j = 0; j < 4; ++j) CHECK(std::abs(g[at[j]] - entries[4 * i + j]) <= allowed);
  }
}

void check_against(const char* file, DType dtype, const Tolerance& tolerance, size_t steps) {
  if (dtype == DType::f64 && tested_device().is_cuda()) return;  // its norms take f32 and bf16
  const Golden golden(file);
  const int64_t side = std::stoll(golden.metadata.at("side")),
                count = std::stoll(golden.metadata.at("images"));
  const double lr = std::stod(golden.metadata.at("lr"));
  const auto model =
      make_model(golden.metadata.at("model"), {.image_size = side, .seed = kSeed, .dtype = dtype});
  ParameterStore& store = model->store();
  jitter(store);
  std::vector<double> pixels(static_cast<size_t>(count * side * side * 3)),
      classes(static_cast<size_t>(count));
  for (size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = random_normal({kSeed, 0, site_of("golden.images")}, i);
  for (size_t i = 0; i < classes.size(); ++i)
    classes[i] = random_words({kSeed, 0, site_of("golden.labels")}, i).v[0] % 10;
  const Device device = tested_device();
  model->to(device);
  const Tensor images = Tensor::from(pixels, {count, side, side, 3}, dtype, device);
  const Tensor labels = Tensor::from(classes, {count}, DType::i32, device);

  const std::vector<double> curve = golden["curve"];
  const Tensor velocity = Tensor::zeros_like(store.values());
  {
    ContextGuard guard({.training = true});
    for (size_t step = 0; step < steps; ++step) {
      const Tensor logits = (*model)(images);
      const Tensor loss = cross_entropy(logits, labels, 0.1);
      store.zero_gradients();
      backward(loss);
      INFO("step ", step);
      CHECK(std::abs(loss.item() - curve[step]) <=
            (step == 0 ? tolerance.step : tolerance.curve) * curve[step]);
      if (step == 0) {
        check_close(logits.values(), golden["logits"], tolerance.step, "logits");
        check_gradients(golden, store, tolerance.step);
      }
      scale_(velocity, 0.9);
      add_(velocity, store.gradients());
      add_scaled_(store.values(), velocity, -lr);
    }
  }
  if (steps < curve.size()) return;
  NoGrad guard;
  check_close((*model)(images).values(), golden["evaluation"], 10 * tolerance.curve,
              "evaluation after training");
  if (golden.tensors.contains("views"))
    check_close(averaged_over_views(*model, images, (*model)(images), TtaKind::shift).values(),
                golden["views"], 10 * tolerance.curve, "the same over six views");
}

// In f64 the two implementations agree to the last digits. In f32 rounding grows over the steps,
// and in deep networks it throws single activations to the other side of a ReLU's kink, which moves
// gradients by some tenths of a per cent. With four pictures a batch the f32 curves of 50-layer
// networks part within some steps, also those of f32 and f64 in this library, so these follow
// PyTorch over several steps in f64, and in f32 in the first (loss, logits, every gradient).
constexpr Tolerance kDouble = {.step = 1e-9, .curve = 1e-8};
constexpr Tolerance kSingle = {.step = 1e-3, .curve = 2e-3};
constexpr Tolerance kDeep = {.step = 1e-2, .curve = 1e-2};

TEST_CASE("ResNet-50 for small images trains as torchvision's") {
  check_against("resnet50", DType::f32, kDeep, 1);
  check_against("resnet50", DType::f64, kDouble, 20);
}

TEST_CASE("ResNet-18 with the ImageNet stem trains as torchvision's") {
  check_against("resnet18_large", DType::f32, kDeep, 20);
}

TEST_CASE("ResNet-20 for CIFAR, with shortcuts without parameters, trains as its PyTorch twin") {
  check_against("resnet20", DType::f64, kDouble, 20);
}

TEST_CASE("ResNeXt-50 computes as torchvision's") {
  check_against("resnext50", DType::f32, kDeep, 1);
}

TEST_CASE("The ResNet-RS trunk with squeeze-and-excitation computes as timm's") {
  check_against("resnet_rs50", DType::f32, kDeep, 1);
}

TEST_CASE("Pre-activation ResNet-50 trains as one of timm's blocks") {
  check_against("preact_resnet50", DType::f32, kDeep, 1);
  check_against("preact_resnet50", DType::f64, kDouble, 5);
}

TEST_CASE("ViT-Ti trains as timm's") { check_against("vit_tiny", DType::f32, kSingle, 20); }

TEST_CASE("A pooled vision transformer trains as timm's, in f64 to the last digits") {
  check_against("vit_pooled", DType::f32, kSingle, 20);
  check_against("vit_pooled", DType::f64, kDouble, 5);
}

TEST_CASE("A Swin transformer trains as timm's, in f64 to the last digits") {
  check_against("swin", DType::f32, kSingle, 20);
  check_against("swin", DType::f64, kDouble, 5);
}

TEST_CASE("A pooling-based vision transformer trains as timm's, in f64 to the last digits") {
  check_against("pit", DType::f32, kSingle, 20);
  check_against("pit", DType::f64, kDouble, 5);
}

TEST_CASE("A Twins transformer trains as timm's, in f64 to the last digits") {
  check_against("twins", DType::f32, kSingle, 20);
  check_against("twins", DType::f64, kDouble, 5);
}

TEST_CASE("An MLP-Mixer trains as timm's, in f64 to the last digits") {
  check_against("mixer", DType::f32, kSingle, 20);
  check_against("mixer", DType::f64, kDouble, 5);
}

TEST_CASE("A distilled DeiT-Ti trains as timm's") {
  check_against("deit_distilled", DType::f32, kSingle, 20);
}

TEST_CASE("A compact convolutional transformer trains as its PyTorch twin") {
  check_against("cct", DType::f32, kSingle, 20);
  check_against("cct", DType::f64, kDouble, 5);
}

TEST_CASE("The networks of the speed records train as their PyTorch twins, scales staying 1") {
  check_against("airbench", DType::f32, kSingle, 20);
  check_against("airbench", DType::f64, kDouble, 20);
  check_against("airbench_residual", DType::f32, kSingle, 20);
  check_against("airbench_residual", DType::f64, kDouble, 20);
}

TEST_CASE("Blocks that halve their map by pools train as their PyTorch twins") {
  for (const char* name : {"pooled", "pooled_preact"}) {
    check_against(name, DType::f32, kSingle, 20);
    check_against(name, DType::f64, kDouble, 20);
  }
}

TEST_CASE("A vision transformer with Hydra attention trains as its PyTorch twin") {
  check_against("vit_hydra", DType::f32, kSingle, 20);
  check_against("vit_hydra", DType::f64, kDouble, 5);
}

TEST_CASE("Local attention trains as PyTorch's unfolded map, padded keys and all") {
  check_against("convvit_kernel3", DType::f32, kSingle, 20);
  check_against("convvit_kernel3", DType::f64, kDouble, 5);
  check_against("convvit_kernel4", DType::f64, kDouble, 2);
}

TEST_CASE(
    "A lambda network of local scope trains as PyTorch's 3-D "
    "convolution, in f64 to the last digits") {
  check_against("lambda_local", DType::f32, kSingle, 20);
  check_against("lambda_local", DType::f64, kDouble, 20);
}

TEST_CASE(
    "A lambda network of global scope trains as PyTorch's "
    "gathered table, in f64 to the last digits") {
  check_against("lambda_global", DType::f32, kSingle, 20);
  check_against("lambda_global", DType::f64, kDouble, 20);
}

TEST_CASE("Letters of a post-activation pattern train as torchvision's bottlenecks with them") {
  check_against("mixers", DType::f32, kSingle, 1);
  check_against("mixers", DType::f64, kDouble, 20);
}

TEST_CASE("Letters of a pre-activation pattern train as their PyTorch twin") {
  check_against("mixers_preact", DType::f32, kSingle, 20);
  check_against("mixers_preact", DType::f64, kDouble, 20);
}

TEST_CASE("BiT's group norms, standardised filters and stem train as timm's") {
  check_against("bit", DType::f32, kDeep, 1);
  check_against("bit", DType::f64, kDouble, 3);
}

TEST_CASE("timm's lambda ResNets and BoTNet compute as they do there") {
  for (const char* name : {"lambda_resnet26t", "lambda_resnet26rpt", "botnet26t"}) {
    CAPTURE(name);
    check_against(name, DType::f32, kDeep, 1);
    check_against(name, DType::f64, kDouble, 1);
  }
}

TEST_CASE("Alter-ResNet-50 trains as its PyTorch twin") {
  check_against("alternet_50", DType::f32, kDeep, 1);
  check_against("alternet_50", DType::f64, kDouble, 5);
}

TEST_CASE(
    "A small AlterNet of basic blocks trains as its PyTorch twin, in f64 to the last digits") {
  check_against("alternet_basic", DType::f32, kSingle, 20);
  check_against("alternet_basic", DType::f64, kDouble, 20);
}

}  // namespace
}  // namespace passband
