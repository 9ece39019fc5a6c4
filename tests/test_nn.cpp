// Layers, parameter store, context and taps.
#include <doctest/doctest.h>

#include <cmath>

#include "nn/conv.h"
#include "nn/drop.h"
#include "nn/lambda.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/tap.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/numeric.h"

namespace passband {
namespace {

using numeric::max_difference;

Tensor noise(const Shape& shape, uint64_t seed = 1, DType dtype = DType::f32) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = random_normal({seed, 0, site_of("noise")}, i);
  return Tensor::from(values, shape, dtype);
}

TEST_CASE("A scope names parameters by their path, and a name can be taken once") {
  ParameterStore store;
  const Scope root(store);
  const Scope conv = root / "layer1" / "0" / "conv1";
  CHECK(conv.path() == "layer1.0.conv1");
  CHECK(conv.name() == "conv1");
  CHECK(conv.parameter("weight", {2, 3}, Init::constant(1))->name == "layer1.0.conv1.weight");
  CHECK_THROWS_WITH_AS(conv.buffer("weight", {2}, 0),
                       "two parameters are called layer1.0.conv1.weight", Error);
}

TEST_CASE("Parameters and their gradients are views of two flat vectors") {
  ParameterStore store;
  const Scope root(store);
  const auto a = root.parameter("a", {2, 3}, Init::constant(2));
  const auto b = root.parameter("b", {4}, Init::constant(3), Layout::same, false);
  CHECK_THROWS_AS(a->as(DType::bf16), Error);
  store.build(1);
  CHECK(store.parameter_count() == 10);
  CHECK(b->offset == 6);
  CHECK(store.values().values() == std::vector<double>{2, 2, 2, 2, 2, 2, 3, 3, 3, 3});
  CHECK(store.decay_mask().values() == std::vector<double>{1, 1, 1, 1, 1, 1, 0, 0, 0, 0});
  backward(sum(a->value) + sum(mul(b->value, 5)));
  backward(sum(b->value));
  CHECK(store.gradients().values() == std::vector<double>{1, 1, 1, 1, 1, 1, 6, 6, 6, 6});
  store.zero_gradients();
  CHECK(grad_of(b->value).values() == std::vector<double>{0, 0, 0, 0});
  CHECK_THROWS_AS(store.build(1), Error);
  CHECK_THROWS_AS(root.parameter("late", {1}, Init::constant(0)), Error);
}

TEST_CASE("Initial values have the moments they are named for") {
  ParameterStore store;
  const Scope root(store);
  const int64_t n = 100'000;
  const auto normal = root.parameter("normal", {n}, Init::fan_out_normal(50));
  const auto uniform = root.parameter("uniform", {n}, Init::fan_in_uniform(25));
  const auto wide = root.parameter("wide", {n}, Init::truncated_normal(1));
  store.build(3);
  const auto moments = [](const Tensor& x) {
    double mean = 0, square = 0, largest = 0;
    for (const double v : x.values()) {
      mean += v;
      square += v * v;
      largest = std::max(largest, std::abs(v));
    }
    const auto count = static_cast<double>(x.numel());
    return std::array<double, 3>{mean / count, std::sqrt(square / count), largest};
  };
  const auto [mean, deviation, most] = moments(normal->value);
  CHECK(std::abs(mean) < 4 * 0.2 / std::sqrt(n));
  CHECK(deviation == doctest::Approx(0.2).epsilon(0.01));
  CHECK(most > 0.7);
  CHECK(moments(uniform->value)[1] == doctest::Approx(0.2 / std::sqrt(3)).epsilon(0.01));
  CHECK(moments(uniform->value)[2] <= 0.2);
  // A normal cut at +-2 has variance 1 - 4 phi(2) / (Phi(2) - Phi(-2)).
  CHECK(moments(wide->value)[1] == doctest::Approx(0.8796).epsilon(0.01));
  CHECK(moments(wide->value)[2] <= 2);
}

TEST_CASE(
    "A converted parameter carries its gradient back while recording, and is kept while not") {
  ParameterStore store;
  const auto w = Scope(store).parameter("w", {3}, Init::constant(1.5));
  store.build(1);
  backward(sum(w->as(DType::bf16)));
  CHECK(store.gradients().values() == std::vector<double>{1, 1, 1});
  NoGrad guard;
  const Tensor kept = w->as(DType::bf16);
  CHECK(w->as(DType::bf16).shares_memory_with(kept));
  fill_(w->value.detach(), 2.5);
  CHECK(w->as(DType::bf16).values() == std::vector<double>{2.5, 2.5, 2.5});
  CHECK(w->as(DType::f32).shares_memory_with(store.values()));
}

TEST_CASE(
    "A 1x1 convolution through the matrix product equals the "
    "convolution, with and without residual") {
  ParameterStore store;
  const Conv2d layer(Scope(store) / "conv", 8, 5, {4, 6}, {.kernel = 1, .bias = true});
  store.build(1);
  CHECK(layer.out_grid == Grid{4, 6});
  const Tensor x = noise({2, 4, 6, 8}), residual = noise({2, 4, 6, 5}, 2);
  const Tensor expected = conv2d(x, layer.weight->value, layer.bias->value);
  const std::vector<double> got = layer(x).values(), want = expected.values();
  const std::vector<double> sum = layer(x, residual).values(),
                            total = (expected + residual).values();
  for (size_t i = 0; i < got.size(); ++i) {
    CHECK(got[i] == doctest::Approx(want[i]).epsilon(1e-5));
    CHECK(sum[i] == doctest::Approx(total[i]).epsilon(1e-5));
  }
}

TEST_CASE("Layers count multiply-accumulates by the textbook formulas") {
  ParameterStore store;
  const Scope root(store);
  Conv2d(root / "conv", 6, 8, {10, 10}, {.kernel = 3, .stride = 2, .groups = 2});
  CHECK(store.macs() == 5 * 5 * 8 * 3 * 9);
  Linear(root / "fc", 7, 11, {.rows = 13});
  CHECK(store.macs() == 5 * 5 * 8 * 3 * 9 + 13 * 7 * 11);
  ParameterStore lambda;
  LambdaLayer(Scope(lambda), 64, {8, 8}, {.heads = 4, .depth = 16, .window = 5});
  const int64_t n = 64, k = 16, v = 16, h = 4;
  CHECK(lambda.macs() ==
        n * 64 * (h * k + k + v) + n * k * v + h * n * k * v + n * 25 * k * v + h * n * k * v);
}

TEST_CASE(
    "Batch norm normalises by the batch in training and by running statistics in evaluation") {
  ParameterStore store;
  const BatchNorm norm(Scope(store) / "bn", 3);
  store.build(1);
  const Tensor x = add(mul(noise({4, 5, 5, 3}), 2), 7);
  {
    ContextGuard guard({.training = true});
    for (const double y : mean(norm(x), {0, 1, 2}).values()) CHECK(std::abs(y) < 1e-4);
  }
  for (const double m : norm.running_mean->value.values())
    CHECK(m == doctest::Approx(0.7).epsilon(0.2));
  const Tensor y = norm(x);
  const double m = norm.running_mean->value.values()[0], s = norm.running_var->value.values()[0];
  CHECK(y.values()[0] == doctest::Approx((x.values()[0] - m) / std::sqrt(s + 1e-5)).epsilon(1e-4));
}

TEST_CASE("Random sites differ by place and step, and repeat for the same") {
  const auto key = [](uint64_t step, const char* place) {
    ContextGuard guard({.training = true, .seed = 3, .step = step});
    ScopeGuard scope(place);
    return random_key("drop_path");
  };
  CHECK(key(1, "a").site == key(1, "a").site);
  CHECK(key(1, "a").site != key(1, "b").site);
  CHECK(key(1, "a").step != key(2, "a").step);
  CHECK(key(1, "a").seed == 3);
}

TEST_CASE("Drop path drops whole samples in training and nothing in evaluation") {
  const Tensor x = Tensor::full({64, 3, 3, 2}, 1);
  const DropPath drop{0.5};
  CHECK(drop(x).values() == x.values());
  ContextGuard guard({.training = true, .seed = 1});
  const std::vector<double> y = drop(x).values();
  int64_t kept = 0;
  for (size_t n = 0; n < 64; ++n) {
    for (size_t i = 0; i < 18; ++i) CHECK(y[18 * n + i] == y[18 * n]);
    CHECK((y[18 * n] == 0 || y[18 * n] == 2));
    kept += y[18 * n] != 0;
  }
  CHECK(kept > 16);
  CHECK(kept < 48);
}

TEST_CASE("A gradient asks whether a layer trains or evaluates; values alone do not") {
  ParameterStore store;
  const Scope root(store);
  const BatchNorm norm(root / "bn", 2);
  const auto w = root.parameter("w", {2}, Init::constant(1));
  store.build(1);
  const Tensor x = noise({3, 2, 2, 2});
  const auto refused = [&](const Tensor& y, const char* layer) {
    const std::string message = concat_text(
        layer,
        ": is this training or evaluation? Before the forward pass, make a TrainingGuard, "
        "or an EvaluationGuard for gradients of the network as it evaluates");
    CHECK_THROWS_WITH_AS(backward(sum(y)), doctest::Contains(message.c_str()), Error);
  };
  refused(norm(x), "batch norm");
  refused(Dropout{0.5}(x * w->value), "dropout");
  refused(DropPath{0.5}(x * w->value), "drop path");
  {
    const ContextGuard other({.seed = 3});  // says other things
    ScopeGuard scope("stage1");
    CHECK_THROWS_WITH_AS(backward(sum(norm.relu(x))),
                         doctest::Contains("evaluates\n  in stage1.bn"), Error);
  }
  backward(sum(Dropout{0}(x * w->value)));
  const std::vector<double> evaluated = norm(x).values();
  {
    const EvaluationGuard evaluation;
    const Tensor y = norm(x);
    CHECK(y.values() == evaluated);
    backward(sum(y));
    const TrainingGuard training;
    CHECK(norm(x).values() != evaluated);
  }
  const TrainingGuard training;
  backward(sum(norm(x)));
  NoGrad no_gradients;
  const ContextGuard unsaid({});
  CHECK(!norm(x).tracked());
}

TEST_CASE(
    "Batch norms have their network's momentum and eps, and a fixed scale is 1 and learns not") {
  ParameterStore store;
  const Scope root(store);
  const BatchNorm norm(root / "bn", 3, /*gamma=*/0);
  store.batch_norms().momentum = 0.4;
  store.batch_norms().eps = 0.5;
  store.fix_batch_norm_scales();
  store.build(1, DType::f64);
  CHECK(norm.weight->value.values() == std::vector<double>{1, 1, 1});
  CHECK(store.trained_mask().values() == std::vector<double>{0, 0, 0, 1, 1, 1});
  const Tensor x = noise({5, 3}, 3, DType::f64);
  const Tensor m = mean(x, {0}), variance = mean(square(x - m), {0});
  const TrainingGuard training;
  const Tensor y = norm(x);
  CHECK(max_difference(y.values(), ((x - m) * rsqrt(variance + 0.5)).values()) < 1e-12);
  CHECK(max_difference(norm.running_mean->value.values(), mul(m, 0.4).values()) < 1e-12);
  CHECK(max_difference(norm.running_var->value.values(),
                       add(mul(variance, 0.4 * 5 / 4), 0.6).values()) < 1e-12);
  backward(sum(y * x));
  CHECK(max_difference(store.gradients().values(),
                       concat({Tensor::zeros({3}, DType::f64), sum(x, {0})}, 0).values()) < 1e-12);
  store.freeze([](const Parameter& p) { return p.name == "bn.bias"; });
  const Tensor settled = norm(x);  // by running statistics now: nothing of it learns
  CHECK(max_difference(
            settled.values(),
            ((x - norm.running_mean->value) * rsqrt(norm.running_var->value + 0.5)).values()) <
        1e-12);
}

TEST_CASE("A guard of training or evaluation leaves the rest of the context as it was") {
  const ContextGuard outer({.training = true, .seed = 4, .step = 7, .compute = DType::bf16});
  {
    const EvaluationGuard evaluation;
    CHECK(!in_training());
    CHECK(context().training.said());
    CHECK(context().compute == DType::bf16);
    const TrainingGuard training(9, 2);
    CHECK(in_training());
    CHECK(context().seed == 9);
    CHECK(context().step == 2);
    CHECK(context().compute == DType::bf16);
  }
  CHECK(in_training());
  CHECK(context().step == 7);
}

TEST_CASE("A convolution needs no grid to work; with one it knows its result and its cost") {
  ParameterStore store, bare;
  const Conv2d known(Scope(store) / "conv", 3, 4, Grid{9, 7}, {.stride = 2});
  const Conv2d layer(Scope(bare) / "conv", 3, 4, {.stride = 2});
  store.build(1);
  bare.build(1);
  const Tensor x = noise({2, 9, 7, 3});
  CHECK(layer(x).values() == known(x).values());
  CHECK(layer(x).shape() == Shape{2, 5, 4, 4});
  CHECK(known.out_grid == Grid{5, 4});
  CHECK(bare.macs() == 0);
}

TEST_CASE("Probes see what they asked for, in order, with path and name; others cost nothing") {
  const Tensor x = Tensor::full({2}, 1);
  CHECK(!tapped("out"));
  std::vector<std::string> log;
  ProbeGuard all({}, [&](const TapSite& site, const Tensor& b) {
    return log.push_back("all " + site.path), b;
  });
  {
    ProbeGuard doubling({"out"}, [&](const TapSite& site, const Tensor& b) {
      log.push_back("out " + site.name);
      return mul(b, 2);
    });
    ScopeGuard scope("stage1");
    CHECK(tap("out", x, {}).values() == std::vector<double>{2, 2});
    CHECK(tap("skip", x, {}).values() == std::vector<double>{1, 1});
  }
  CHECK(log == std::vector<std::string>{"all stage1.out", "out out", "all stage1.skip"});
  ProbeGuard wrong({"out"}, [](const TapSite&, const Tensor&) { return Tensor::zeros({3}); });
  CHECK_THROWS_WITH_AS(tap("out", x, {}),
                       "tap out: the probe returned f32[3]@cpu in place of f32[2]@cpu", Error);
}

TEST_CASE("Shapes that can not be built are refused where they are asked for") {
  ParameterStore store;
  const Scope root(store);
  CHECK_THROWS_AS(Conv2d(root / "a", 6, 8, {8, 8}, {.groups = 4}), Error);
  CHECK_THROWS_AS(Conv2d(root / "b", 3, 8, {2, 2}, {.kernel = 7, .padding = 0}), Error);
  CHECK_THROWS_AS(LambdaLayer(root / "c", 30, {8, 8}, {.heads = 4}), Error);
  CHECK_THROWS_AS(LambdaLayer(root / "d", 32, {8, 8}, {.heads = 4, .window = 4}), Error);
  CHECK_THROWS_AS(GroupNorm(root / "e", 10, 3), Error);
}

}  // namespace
}  // namespace passband
