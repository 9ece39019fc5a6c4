// Transport of norms through whole networks: closed forms on known weights, conservation, and
// agreement with one source at a time.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "analysis/relevance/block_transport.h"
#include "analysis/relevance/perturbation.h"
#include "analysis/relevance/rollout.h"
#include "analysis/study/frozen_parameters.h"
#include "nn/conv.h"
#include "tensor/autograd/engine.h"
#include "tensor/core/random.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"
#include "tests/numeric.h"

using namespace passband;
using numeric::max_difference;

namespace {

Tensor random_images(int64_t count, int64_t side, DType dtype = DType::f32, uint64_t seed = 1) {
  std::vector<double> values(static_cast<size_t>(count * side * side * 3));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<double>(random_normal({seed, 0, 7}, i));
  return Tensor::from(values, {count, side, side, 3}, dtype);
}

ParameterRef parameter(const Model& model, const std::string& name) {
  for (const ParameterRef& p : model.store().parameters())
    if (p->name == name) return p;
  FAIL("no parameter " << name);
  return {};
}

void set(const Model& model, const std::string& name, const std::vector<double>& values) {
  const ParameterRef p = parameter(model, name);
  REQUIRE(static_cast<int64_t>(values.size()) == p->value.numel());
  copy_(p->value, Tensor::from(values, p->value.shape(), p->value.dtype()));
}

void fill(const Model& model, const std::string& name, double value) {
  fill_(parameter(model, name)->value, value);
}

// The small networks, norms shaken so that no branch is zero.
std::unique_ptr<Model> shaken(const std::string& name, int64_t size = 16,
                              DType dtype = DType::f64) {
  std::unique_ptr<Model> model =
      make_model(name, {.classes = 5, .image_size = size, .dtype = dtype});
  uint64_t site = 0;
  for (const ParameterRef& p : model->store().parameters()) {
    ++site;
    if (p->shape.rank() != 1) continue;
    std::vector<double> values = p->value.values();
    for (size_t i = 0; i < values.size(); ++i)
      values[i] += 0.3 * static_cast<double>(random_normal({3, 0, site}, i)) +
                   (p->name.ends_with("weight") ? 0.5 : 0);
    copy_(p->value, Tensor::from(values, p->shape, dtype));
  }
  return model;
}

}  // namespace

TEST_CASE("a linearised pass has the values of the pass itself, for every family") {
  for (const char* name :
       {"resnet", "lambda_resnet", "alternet", "vit", "vit_tiny_patch8", "CL.L:rs"}) {
    CAPTURE(name);
    const auto model = shaken(name, 8);
    const Tensor images = random_images(2, 8, DType::f64);
    const ContextGuard plain({.training = false});
    const std::vector<double> expected = (*model)(images).values();
    const ContextGuard linear({.training = false, .linearised = true});
    CHECK(max_difference((*model)(images).values(), expected) < 1e-10);
  }
}

TEST_CASE(
    "the linearised network is linear: gradient times input accounts for the logit up to biases") {
  for (const char* name : {"resnet", "lambda_resnet", "alternet", "vit"}) {
    CAPTURE(name);
    const auto model = shaken(name, 8);
    // Without biases nothing is left over.
    for (const ParameterRef& p : model->store().parameters())
      if (p->name.ends_with("bias") || p->name == "pos_embed") fill_(p->value, 0);
    const ContextGuard linear({.training = false, .linearised = true});
    const Tensor images = random_images(1, 8, DType::f64).leaf();
    const Tensor logit = sum((*model)(images));
    const double explained = sum(grad(logit, {images})[0] * images).item();
    CHECK(explained == doctest::Approx(logit.item()).epsilon(1e-9));
  }
}

TEST_CASE(
    "one head, identity values and orthogonal tokens of equal length: norms give (A + I) / 2") {
  const auto model = make_model("vit_tiny_patch8_gap", {.image_size = 32, .dtype = DType::f64});
  const int64_t width = 192, tokens = 16;
  fill(*model, "patch_embed.proj.weight", 0);
  fill(*model, "patch_embed.proj.bias", 0);
  // Token t: +c at channel 2 t, -c at 2 t + 1: zero mean, variance 1, orthogonal to the others.
  std::vector<double> tokens_at(static_cast<size_t>(tokens * width));
  const double c = std::sqrt(static_cast<double>(width) / 2);
  for (int64_t t = 0; t < tokens; ++t) {
    tokens_at[static_cast<size_t>(t * width + 2 * t)] = c;
    tokens_at[static_cast<size_t>(t * width + 2 * t + 1)] = -c;
  }
  set(*model, "pos_embed", tokens_at);
  // Queries and keys 0: uniform attention; values and projection: identity.
  std::vector<double> qkv(static_cast<size_t>(3 * width * width)),
      identity(static_cast<size_t>(width * width));
  for (int64_t i = 0; i < width; ++i)
    qkv[static_cast<size_t>((2 * width + i) * width + i)] =
        identity[static_cast<size_t>(i * width + i)] = 1;
  set(*model, "blocks.0.attn.qkv.weight", qkv);
  set(*model, "blocks.0.attn.proj.weight", identity);
  const std::vector<BlockTransport> blocks =
      block_transports(*model, random_images(1, 32, DType::f64));
  REQUIRE(blocks[1].site.path == "blocks.0.msa.out");
  std::vector<double> expected(static_cast<size_t>(tokens * tokens),
                               0.5 / static_cast<double>(tokens));
  for (int64_t i = 0; i < tokens; ++i) expected[static_cast<size_t>(i * tokens + i)] += 0.5;
  CHECK(max_difference(blocks[1].transport.values(), expected) < 1e-6);
}

TEST_CASE("a branch of zeros makes the step the identity") {
  const auto model = shaken("vit_128x6_patch4_gap");
  for (const char* name : {"blocks.0.attn.proj.weight", "blocks.0.mlp.fc2.weight"})
    fill(*model, name, 0);
  const std::vector<BlockTransport> blocks =
      block_transports(*model, random_images(1, 16, DType::f64), {.groups = 4});
  for (const size_t l : {1u, 2u}) {
    const int64_t n = blocks[l].transport.rows();
    CHECK(max_difference(blocks[l].transport.values(), Transport::identity(n).values()) == 0);
  }
}

TEST_CASE(
    "dead places hand nothing on, whatever a fast convolution leaves there of its neighbours") {
  std::vector<double> pixels(16 * 16 * 3);  // light in one corner alone
  for (int64_t i = 0; i < 6; ++i) pixels[static_cast<size_t>(i)] = 1;
  std::vector<std::vector<bool>> alive[2];
  for (const DType dtype : {DType::f32, DType::f64}) {
    const auto model =
        make_model("C.C:basic,width=32", {.classes = 5, .image_size = 16, .dtype = dtype});
    for (const ParameterRef& p : model->store().parameters())  // else the last of a branch are 0
      if (p->shape.rank() == 1 && p->name.ends_with("weight")) fill_(p->value, 1);
    const Tensor image = Tensor::from(pixels, {1, 16, 16, 3}, dtype);
    for (const BlockTransport& block : block_transports(*model, image, {})) {
      std::vector<bool>& rows = alive[dtype == DType::f64].emplace_back();
      for (const double sum : block.transport.row_sums()) rows.push_back(sum > 0);
    }
  }
  CHECK(std::ranges::count(alive[1][1], true) > 0);
  CHECK(std::ranges::count(alive[1][1], false) > 0);
  CHECK(alive[0] == alive[1]);
}

TEST_CASE("rows of every step sum to 1, with and without channel groups, for every family") {
  for (const char* name : {"resnet", "lambda_resnet", "alternet", "vit", "CM.MC:basic"}) {
    CAPTURE(name);
    const auto model = shaken(name, 8, DType::f32);
    for (const int64_t groups : {1, 4}) {
      const auto blocks = block_transports(*model, random_images(1, 8), {.groups = groups});
      for (size_t l = 1; l < blocks.size(); ++l) {
        CAPTURE(blocks[l].site.path);
        CHECK(blocks[l].transport.rows() == groups * blocks[l].site.height * blocks[l].site.width);
        for (const double sum : blocks[l].transport.row_sums())
          CHECK((sum == 0 || std::abs(sum - 1) < 1e-12));
      }
    }
  }
}

namespace {

// The norms of one block by differentiating each output channel: an independent path. `l` counts
// "out" taps.
std::vector<double> naive_norms(const Model& model, const Tensor& image, int64_t l,
                                int64_t groups) {
  const ContextGuard mode({.training = false, .linearised = true});
  const FrozenParameters frozen(model.store());
  std::vector<Tensor> inputs, outputs;
  const ProbeGuard probe({"out"}, [&](const TapSite&, const Tensor& x) {
    outputs.push_back(x);
    inputs.push_back(x.detach().leaf());
    return inputs.back();
  });
  model(image);
  const Tensor x = inputs[static_cast<size_t>(l - 1)], y = outputs[static_cast<size_t>(l)];
  const int64_t in = x.size(-1), out = y.size(-1), sources = x.numel() / in * groups,
                rows = y.numel() / out * groups;
  std::vector<double> squares(static_cast<size_t>(rows * sources));
  for (int64_t e = 0; e < y.numel(); ++e) {
    Tensor seed = Tensor::zeros_like(y);
    seed.data<double>()[e] = 1;
    const Tensor slope = grad(y, {x}, {.seed = seed, .retain_graph = true})[0];
    const int64_t row = e / (out / groups);
    for (int64_t s = 0; s < sources; ++s) {
      double moved = 0;
      for (int64_t c = 0; c < in / groups; ++c) {
        const int64_t at = s * (in / groups) + c;
        moved += slope.data<double>()[at] * x.data<double>()[at];
      }
      squares[static_cast<size_t>(row * sources + s)] += moved * moved;
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    double total = 0;
    for (int64_t s = 0; s < sources; ++s)
      total += std::sqrt(squares[static_cast<size_t>(r * sources + s)]);
    for (int64_t s = 0; s < sources; ++s) {
      double& value = squares[static_cast<size_t>(r * sources + s)];
      value = total > 0 ? std::sqrt(value) / total : 0;
    }
  }
  return squares;
}

void check_against_naive(const Model& model, int64_t side, int64_t l, int64_t groups) {
  const Tensor image = random_images(1, side, DType::f64);
  const auto blocks = block_transports(model, image, {.groups = groups, .copies = 7});
  CHECK(max_difference(blocks[static_cast<size_t>(l)].transport.values(),
                       naive_norms(model, image, l, groups)) < 1e-9);
}

struct Attending {
  const char* name;
  int64_t side;
};
const std::vector<Attending> kAttending = {
    {"vit_tiny_patch8", 32},
    {"C.CM.CM:width=8,heads=2,head_dim=4,window=2", 16},
    {"swin", 16},
    {"pit", 8},
};

// A network with its attention held: what each layer mixes, read from its own kernels.
struct HeldAttention {
  std::vector<TapSite> outs;          // of all layers
  std::vector<int64_t> layer_of;      // by attention layer: number of the output that it lies in
  std::vector<Tensor> probabilities;  // by attention layer
  std::vector<std::vector<double>> mixing;  // by attention layer: places x places

  HeldAttention(const Model& model, const Tensor& image) {
    look(model, image);
    for (const int64_t layer : layer_of) {
      const auto places = static_cast<size_t>(places_of(outs[static_cast<size_t>(layer)]));
      mixing.emplace_back(places * places);
    }
    int64_t most = 0;
    for (const TapSite& site : outs) most = std::max(most, places_of(site));
    for (int64_t source = 0; source < most; ++source) mark(model, image, source);
  }

 private:
  void look(const Model& model, const Tensor& image) {
    NoGrad no_grad;
    const ContextGuard mode({.training = false});
    const ProbeGuard probe({"attention", "out"}, [&](const TapSite& site, const Tensor& x) {
      if (site.name == "out") {
        outs.push_back(site);
      } else {
        layer_of.push_back(std::ssize(outs));
        probabilities.push_back(x);
      }
      return x;
    });
    model(image);
  }

  // Values of 1 at one place and of 0 elsewhere: the mean of what the heads give is a column.
  void mark(const Model& model, const Tensor& image, int64_t source) {
    NoGrad no_grad;
    const ContextGuard mode({.training = false});
    size_t attention = 0, values = 0, heads = 0;
    const ProbeGuard probe({"attention", "v", "heads"}, [&](const TapSite& site, const Tensor& x) {
      if (site.name == "attention") return probabilities[attention++];
      const size_t layer = site.name == "v" ? values++ : heads++;
      const int64_t width = x.size(-1), places = x.numel() / width;
      if (site.name == "heads") {
        const double* given = x.data<double>();
        for (int64_t i = 0; source < places && i < places; ++i)
          for (int64_t c = 0; c < width; ++c)
            mixing[layer][static_cast<size_t>(i * places + source)] +=
                given[i * width + c] / static_cast<double>(width);
        return x;
      }
      Tensor marked = Tensor::zeros_like(x);
      for (int64_t c = 0; source < places && c < width; ++c)
        marked.data<double>()[source * width + c] = 1;
      return marked;
    });
    model(image);
  }
};

// Relevance of a grid over another one: cells share by the strips of 1 / (height height') of the
// picture that they have in common.
std::vector<double> spread_evenly(const std::vector<double>& relevance, const TapSite& from,
                                  const TapSite& to) {
  std::vector<double> below(static_cast<size_t>(places_of(to)));
  for (int64_t t = 0; t < from.prefix; ++t)
    below[static_cast<size_t>(t)] = relevance[static_cast<size_t>(t)];
  const int64_t a = from.height, b = to.height;
  for (int64_t u = 0; u < a * b; ++u)
    for (int64_t v = 0; v < a * b; ++v)
      below[static_cast<size_t>(to.prefix + u / a * b + v / a)] +=
          relevance[static_cast<size_t>(from.prefix + u / b * a + v / b)] /
          static_cast<double>(b * b);
  return below;
}

// Half of what a layer mixes and half of what its shortcut keeps, from the top to the lowest layer;
// a coarser cell is the mean of the finer ones that it covers.
std::vector<double> probed_rollout(const Model& model, const Tensor& image) {
  const HeldAttention held(model, image);
  const TapSite& top = held.outs.back();
  std::vector<double> relevance(static_cast<size_t>(places_of(top)));
  for (size_t i = 0; i < relevance.size(); ++i)
    relevance[i] = top.prefix > 0 ? (i == 0) : 1.0 / static_cast<double>(relevance.size());
  for (size_t l = held.outs.size() - 1; l > 0; --l) {
    for (size_t a = 0; a < held.layer_of.size(); ++a) {
      if (static_cast<size_t>(held.layer_of[a]) != l) continue;
      std::vector<double> below(relevance.size());
      for (size_t i = 0; i < below.size(); ++i)
        for (size_t j = 0; j < below.size(); ++j)
          below[j] += 0.5 * relevance[i] * (held.mixing[a][i * below.size() + j] + (i == j));
      relevance = below;
    }
    relevance = spread_evenly(relevance, held.outs[l], held.outs[l - 1]);
  }
  return {relevance.begin() + held.outs.front().prefix, relevance.end()};
}

// Two 5 x 5 convolutions, the first of stride 2, over 20 x 20 places.
class FarConvolution final : public Model {
 public:
  FarConvolution()
      : conv_(Scope(store_) / "conv", 3, 4, {.kernel = 5, .stride = 2}),
        wide_(Scope(store_) / "wide", 4, 4, {.kernel = 5, .groups = 4}) {
    name_ = family_ = "far";
    options_ = {.classes = 4, .image_size = 20, .dtype = DType::f64};
    store_.build(1, DType::f64);
  }

 private:
  Tensor forward(const Tensor& images) const override {
    const auto shown = [](const char* layer, const Tensor& x) {
      const ScopeGuard guard(layer);
      return tap("out", x, {.kind = BlockKind::conv, .height = x.size(1), .width = x.size(2)});
    };
    const Tensor x = shown("stem", images);
    return mean(shown("block", wide_(conv_(x))), {1, 2});
  }

  Conv2d conv_, wide_;
};

}  // namespace

TEST_CASE(
    "shared passes give the norms that one output channel at a time gives: strided convolutions") {
  const auto model = shaken("C.C:basic,width=8", 12);
  check_against_naive(*model, 12, 1, 1);  // 12 x 12
  check_against_naive(*model, 12, 2, 2);  // 12 x 12 to 6 x 6, two channel groups
}

TEST_CASE(
    "shared passes give the norms that one output channel at a "
    "time gives: windows and lambda layers") {
  const auto hybrid = shaken("CM:basic,preact,width=8,heads=2,head_dim=4,window=2", 8);
  check_against_naive(*hybrid, 8, 2, 2);
  const auto lambda = shaken("L:basic,width=8,scope=3", 8);
  check_against_naive(*lambda, 8, 1, 1);
}

TEST_CASE("a convolution that sees farther than 3 x 3 moves from as far") {
  check_against_naive(FarConvolution(), 20, 1, 1);
}

TEST_CASE(
    "shared passes give the norms of merges, of poolings beside a class token, of token MLPs") {
  check_against_naive(*shaken("swin", 8), 8, 5, 1);  // 4 x 4 to 2 x 2
  check_against_naive(*shaken("pit", 8), 8, 5, 2);   // 7 x 7 to 4 x 4
  check_against_naive(*shaken("mixer", 16), 16, 1, 1);
}

TEST_CASE("what the classifier reads adds up to the excess of the logit") {
  const auto model = shaken("vit_128x6_patch4_gap");
  for (const ParameterRef& p : model->store().parameters())
    if (p->name.ends_with("bias")) fill_(p->value, 0);
  const Tensor images = random_images(3, 16, DType::f64);
  const ContextGuard mode({.training = false});
  const std::vector<double> logits = (*model)(images).values();
  const std::vector<int64_t> classes = {4, 0, 2};
  for (const int64_t groups : {1, 8}) {
    const ReadOut read = read_out(*model, images, classes, groups);
    for (size_t n = 0; n < 3; ++n) {
      double total = 0, mean = 0;
      const auto cells = static_cast<size_t>(read.places * groups);
      for (size_t i = 0; i < cells; ++i) total += read.contributions[n * cells + i];
      for (size_t c = 0; c < 5; ++c) mean += logits[n * 5 + c] / 5;
      CHECK(total ==
            doctest::Approx(logits[n * 5 + static_cast<size_t>(classes[n])] - mean).epsilon(1e-9));
    }
  }
}

TEST_CASE("a whole transformer of uniform attention rolls out to its closed form") {
  const auto model = make_model("vit_tiny_patch8", {.image_size = 56});
  for (int i = 0; i < 12; ++i) fill(*model, "blocks." + std::to_string(i) + ".attn.qkv.weight", 0);
  for (int i = 0; i < 12; ++i) fill(*model, "blocks." + std::to_string(i) + ".attn.qkv.bias", 0);
  const RelevanceMaps maps = rollouts(*model, random_images(2, 56), {{}})[0];
  CHECK(maps.count == 2);
  CHECK(maps.height == 7);
  const double expected = (1 - std::pow(2.0, -12)) / 50;
  for (const double value : maps.values) CHECK(value == doctest::Approx(expected).epsilon(1e-5));
  CHECK(concentration(maps) == doctest::Approx(13.0 / 49).epsilon(1e-5));
}

TEST_CASE(
    "a network with strides, windows and convolutions keeps all relevance on its lowest grid") {
  const auto model = shaken("alternet", 16, DType::f32);
  const Tensor images = random_images(2, 16);
  for (const ConvolutionStep step : {ConvolutionStep::norms, ConvolutionStep::area}) {
    const RelevanceMaps maps = rollouts(*model, images, {{.convolution = step}})[0];
    CHECK(maps.height == 16);
    for (int64_t n = 0; n < 2; ++n) {
      double total = 0;
      for (int64_t i = 0; i < 256; ++i) total += maps.values[static_cast<size_t>(n * 256 + i)];
      CHECK(total == doctest::Approx(1).epsilon(1e-9));
    }
  }
}

TEST_CASE("rollout is the product of dense matrices that probing the network's own mixing gives") {
  for (const auto& [name, side] : kAttending) {
    CAPTURE(name);
    const auto model = shaken(name, side);
    const Tensor image = random_images(1, side, DType::f64);
    const RelevanceMaps maps = rollouts(*model, image, {{.convolution = ConvolutionStep::area}})[0];
    CHECK(max_difference(maps.values, probed_rollout(*model, image)) < 1e-9);
  }
}

TEST_CASE(
    "the gradient of attention is that of the logit: a finite "
    "difference in one probability agrees") {
  const auto model = shaken("vit_128x6_patch4_gap");
  const Tensor images = random_images(1, 16, DType::f64);
  const Trace traced = trace(*model, images, {3});
  const double step = 1e-5;
  for (const size_t l : {1u, 5u, 11u}) {
    const TracedLayer& layer = traced.layers[l];
    REQUIRE(layer.gradients.defined());
    const auto logit = [&](double change) {
      const ContextGuard mode({.training = false});
      const ProbeGuard probe({"attention"}, [&](const TapSite& site, const Tensor& a) {
        if (site.path != layer.attention.path) return a;
        Tensor changed = a + 0.0;
        changed.data<double>()[5] += change;
        return changed;
      });
      return (*model)(images).values()[3];
    };
    const double slope = (logit(step) - logit(-step)) / (2 * step);
    CHECK(layer.gradients.values()[5] == doctest::Approx(slope).epsilon(1e-4));
  }
}

TEST_CASE(
    "a perturbation curve is the probability of pictures with their most relevant cells set to 0") {
  const auto model = shaken("vit_128x6_patch4_gap");
  const Tensor images = random_images(2, 16);
  RelevanceMaps maps{2, 4, 4, {}};
  for (int i = 0; i < 32; ++i) maps.values.push_back((i * 7) % 16);  // ranks, no ties
  const std::vector<double> curve = perturbation_curve(*model, images, {1, 4}, maps, true);
  REQUIRE(curve.size() == 10);
  const ContextGuard mode({.training = false});
  for (const int step : {0, 3, 9}) {
    const int hidden = step * 16 / 10;
    Tensor masked = images + 0.0;
    for (int64_t i = 0; i < masked.numel(); ++i) {
      const int64_t n = i / 768, y = i / 48 % 16, x = i / 3 % 16;
      if (maps.values[static_cast<size_t>(n * 16 + y / 4 * 4 + x / 4)] >= 16 - hidden)
        masked.data<float>()[i] = 0;
    }
    const std::vector<double> shares = softmax((*model)(masked)).values();
    CHECK(curve[static_cast<size_t>(step)] ==
          doctest::Approx((shares[1] + shares[5 + 4]) / 2).epsilon(1e-6));
  }
}
