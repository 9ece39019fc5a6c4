// The optimiser as a user meets it: a rule, gradients that add up, steps that take them.
#include <doctest/doctest.h>

#include <cmath>

#include "models/model.h"
#include "models/parameter_groups.h"
#include "models/run_settings.h"
#include "models/update_rule.h"
#include "models/weights.h"
#include "nn/drop.h"
#include "nn/linear.h"
#include "nn/lookahead.h"
#include "nn/optimizer.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tests/golden_file.h"
#include "tests/numeric.h"

using namespace passband;

namespace {

// Two weights of which one decays, and the loss g . w, whose gradient is g.
struct Weights {
  ParameterStore store;
  ParameterRef decaying, free;

  Weights() {
    const Scope root(store);
    decaying = root.parameter("a", {1}, Init::constant(1));
    free = root.parameter("b", {1}, Init::constant(1), Layout::same, false);
    store.build(0, DType::f64);
  }
  Tensor loss(double a, double b) const { return sum(a * decaying->value) + sum(b * free->value); }
  double a() const { return decaying->value.item(); }
  double b() const { return free->value.item(); }
};

// H = I - 2 v v^T / |v|^2, orthogonal: v_i = sin(i + phase).
Tensor reflection(int64_t size, double phase) {
  std::vector<double> v, h;
  for (int64_t i = 0; i < size; ++i) v.push_back(std::sin(static_cast<double>(i) + phase));
  double norm = 0;
  for (const double x : v) norm += x * x;
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < size; ++j) h.push_back((i == j) - 2 * v[i] * v[j] / norm);
  return Tensor::from(h, {size, size}, DType::f64);
}

// U diag(singular) V^T with reflections for U and V.
Tensor with_singular_values(const std::vector<double>& singular, int64_t rows, int64_t columns) {
  Tensor diagonal = Tensor::zeros({rows, columns}, DType::f64);
  for (int64_t i = 0; i < std::min(rows, columns); ++i)
    diagonal.data<double>()[i * columns + i] = singular[static_cast<size_t>(i)];
  return matmul(matmul(reflection(rows, 0.3), diagonal), reflection(columns, 1.1));
}

double newton_schulz(double s, int64_t steps) {
  for (int64_t i = 0; i < steps; ++i)
    s = 3.4445 * s - 4.7750 * std::pow(s, 3) + 2.0315 * std::pow(s, 5);
  return s;
}

// The parameters of golden/make_optimisers.py in a store, moved by its gradients.
struct GoldenWeights {
  std::map<std::string, Tensor> golden = read_safetensors(golden_file("optimisers.safetensors"));
  ParameterStore store;
  std::vector<ParameterRef> parameters;

  explicit GoldenWeights(bool bias_decays = true) {
    const Scope root(store);
    for (const char* name : {"wide", "bias", "tall", "filter"}) {
      const Layout layout = name == std::string("filter") ? Layout::conv : Layout::same;
      const bool decays = bias_decays || name != std::string("bias");
      parameters.push_back(
          root.parameter(name, at(name, ".weight").shape(), Init::constant(0), layout, decays));
    }
    store.build(0, DType::f64);
    for (const ParameterRef& p : parameters) copy_(p->value.detach(), at(p->name, ".weight"));
  }
  const Tensor& at(const std::string& name, const char* what) const {
    return golden.at(name + what);
  }
  // The largest difference from the golden weights after steps at 1, 0.75 and 0.5 of the rate.
  double error(const UpdateRule& rule, const MuonOptions& muon, const char* result) {
    return error(rule, {.muon = muon, .matrices = {true, false, true, true}}, result);
  }
  double error(const UpdateRule& rule, const OptimizerOptions& options, const char* result) {
    Optimizer optimizer(store, rule, options);
    const double peak = std::visit([](const auto& r) { return r.lr; }, rule);
    for (int64_t step = 0; step < 3; ++step) {
      for (const ParameterRef& p : parameters)
        copy_(store.gradients().view(p->offset, p->shape),
              at(p->name, ".gradients").view(step * p->shape.numel(), p->shape));
      optimizer.step(peak * (1 - 0.25 * static_cast<double>(step)));
    }
    double worst = 0;
    for (const ParameterRef& p : parameters)
      worst = std::max(worst, numeric::max_error(p->value.detach(), at(p->name, result)));
    return worst;
  }
};

}  // namespace

TEST_CASE("backward and step, twice, follow torch.optim.SGD by hand") {
  // a decays by 0.1: g1 = 0.6, m1 = 0.6, a1 = 0.94; g2 = 0.25 + 0.094, m2 = 0.884, a2 = 0.8516.
  // b does not: m1 = 0.5, b1 = 0.95; m2 = 0.7, b2 = 0.88.
  Weights w;
  Optimizer optimizer(w.store, Sgd{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1});
  backward(w.loss(0.5, 0.5));
  optimizer.step();
  CHECK(w.store.gradients().values() == std::vector<double>{0, 0});
  CHECK(w.a() == doctest::Approx(0.94));
  backward(w.loss(0.25, 0.25));
  optimizer.step();
  CHECK(w.a() == doctest::Approx(0.8516));
  CHECK(w.b() == doctest::Approx(0.88));
  CHECK(optimizer.steps() == 2);
}

TEST_CASE("gradients add up until a step takes them") {
  Weights w;
  Optimizer optimizer(w.store, Sgd{.lr = 1, .momentum = 0});
  backward(w.loss(0.25, 0));
  backward(w.loss(0.125, 0.5));
  optimizer.step();
  CHECK(w.a() == doctest::Approx(1 - 0.375));
  CHECK(w.b() == doctest::Approx(0.5));
  optimizer.step();  // none since
  CHECK(w.a() == doctest::Approx(1 - 0.375));
}

TEST_CASE("AdamW's first step is the learning rate, whatever the gradient, and a schedule's wins") {
  Weights w;
  Optimizer optimizer(w.store, Adamw{.lr = 0.1, .weight_decay = 0.5}, {.decay_all = true});
  backward(w.loss(3, -0.01));
  optimizer.step(0.2);
  CHECK(w.a() == doctest::Approx(1 - 0.2 * 0.5 - 0.2));
  CHECK(w.b() == doctest::Approx(1 - 0.2 * 0.5 + 0.2));
}

TEST_CASE("AdamW's second step by other betas follows Loshchilov and Hutter") {
  // g = 1, then 0: m = 0.5, then 0.25, over 1 - 0.25; v = 0.1, then 0.09, over 1 - 0.81.
  Weights w;
  Optimizer optimizer(w.store, Adamw{.lr = 0.1, .beta1 = 0.5, .beta2 = 0.9, .eps = 0});
  backward(w.loss(1, 1));
  optimizer.step();
  CHECK(w.a() == doctest::Approx(0.9));
  optimizer.step();
  CHECK(w.a() == doctest::Approx(0.9 - 0.1 * (0.25 / 0.75) / std::sqrt(0.09 / 0.19)));
}

TEST_CASE("each parameter learns at its own share of the rate, average and all") {
  // As by hand: of two steps, with momentum 0.5 and gradients 1 and 1, the first moves by the rate,
  // the second by 1.5 of it; and AdamW's first step is the rate.
  Weights w;
  WeightAverage average(w.store, 0.5);
  Optimizer optimizer(w.store, Sgd{.lr = 0.1, .momentum = 0.5},
                      {.average = &average, .lr_scales = {0.25, 1}});
  for (int step = 0; step < 2; ++step) {
    backward(w.loss(1, 1));
    optimizer.step();
  }
  CHECK(w.a() == doctest::Approx(1 - 0.025 * 2.5));
  CHECK(w.b() == doctest::Approx(1 - 0.1 * 2.5));
  // decays 1/10, then 2/11
  const std::vector<double> averages = average.values.values();
  CHECK(averages[0] == doctest::Approx(2.0 / 11 * (0.1 + 0.9 * 0.975) + 9.0 / 11 * w.a()));
  CHECK(averages[1] == doctest::Approx(2.0 / 11 * (0.1 + 0.9 * 0.9) + 9.0 / 11 * w.b()));

  Weights v;
  Optimizer adamw(v.store, Adamw{.lr = 0.2, .weight_decay = 0.5}, {.lr_scales = {0.5, 1}});
  backward(v.loss(3, 3));
  adamw.step();
  CHECK(v.a() == doctest::Approx(1 - 0.1 * 0.5 - 0.1));
  CHECK(v.b() == doctest::Approx(1 - 0.2));
  CHECK_THROWS_WITH_AS(Optimizer(v.store, Sgd{}, {.lr_scales = {1}}),
                       "optimizer: 1 lr_scales for 2 parameters", Error);
}

TEST_CASE("clipping scales the gradients of all parameters as one vector") {
  Weights w;
  Optimizer optimizer(w.store, Sgd{.lr = 1, .momentum = 0}, {.clip_norm = 1});
  backward(w.loss(3, 4));
  optimizer.step();
  CHECK(w.a() == doctest::Approx(1 - 0.6).epsilon(1e-5));
  CHECK(w.b() == doctest::Approx(1 - 0.8).epsilon(1e-5));
}

TEST_CASE("a step brings the next random numbers, in a guard made once or in every step") {
  Weights w;
  Optimizer optimizer(w.store, Sgd{});
  const Tensor x = Tensor::full({256}, 1);
  const Dropout drop{0.5};
  std::vector<std::vector<double>> masks;
  {
    const TrainingGuard training(5);
    for (int i = 0; i < 3; ++i, optimizer.step()) masks.push_back(drop(x).values());
  }
  CHECK(masks[0] != masks[1]);
  CHECK(masks[1] != masks[2]);
  for (uint64_t i = 0; i < 3; ++i) {
    const TrainingGuard training(5, i);
    CHECK(drop(x).values() == masks[i]);
  }
}

TEST_CASE("rates per 1,024 pictures move weights as airbench94's SGD on the summed loss") {
  // Jordan's hyperparameters, and torch.optim.SGD's recurrence on sums over 6 pictures
  constexpr double kBatch = 6, kMomentum = 0.85, kScale = 1024 * (1 + 1 / (1 - kMomentum));
  const double lr = 11.5 / kScale, decay = 0.0153 * kBatch / kScale / lr;
  RunSettings settings;
  for (const auto& [key, text] :
       std::vector<std::pair<const char*, const char*>>{{"lr_per", "1024"},
                                                        {"lr", "11.5"},
                                                        {"momentum", "0.85"},
                                                        {"weight_decay", "0.0153"},
                                                        {"batch_size", "3"},
                                                        {"grad_accum_steps", "2"}})
    set_value(settings, key, text);
  Weights w;
  Optimizer optimizer(w.store, update_rule(settings));
  double expected = 1, momentum = 0;
  for (const double mean : {0.5, -2.0, 1.25}) {
    backward(w.loss(mean, 0));
    optimizer.step(peak_rate(settings));
    const double g = kBatch * mean + decay * expected;
    momentum = kMomentum * momentum + g;
    expected -= lr * (g + kMomentum * momentum);
  }
  CHECK(w.a() == doctest::Approx(expected).epsilon(1e-12));
  CHECK(loss_decay(settings) == doctest::Approx(decay / kBatch));
}

TEST_CASE("rates per so many pictures make AdamW's grow with the batch, its decay by itself") {
  RunSettings settings;
  settings.opt = OptimizerKind::adamw;
  settings.lr_per = 512, settings.lr = 0.004, settings.weight_decay = 0.5,
  settings.batch_size = 128;
  CHECK(peak_rate(settings) == doctest::Approx(0.001));
  Weights w;
  Optimizer optimizer(w.store, update_rule(settings));
  optimizer.step(peak_rate(settings));
  CHECK(w.a() == doctest::Approx(1 - 0.5 * 128 / 512));
  CHECK(w.b() == 1);
}

TEST_CASE("Newton-Schulz takes each singular value through its polynomial, and no vector") {
  const std::vector<double> singular = {3, 1.2, 0.4, 0.05};
  double norm = 0;
  for (const double s : singular) norm += s * s;
  for (const auto& [rows, columns] : {std::pair{4, 4}, std::pair{4, 9}, std::pair{7, 4}})
    for (const int64_t steps : {1, 3, 5}) {
      std::vector<double> expected;
      for (const double s : singular)
        expected.push_back(newton_schulz(s / (std::sqrt(norm) + 1e-7), steps));
      const Tensor matrix = with_singular_values(singular, rows, columns);
      const Tensor wanted = with_singular_values(expected, rows, columns);
      CHECK(numeric::max_error(orthogonalised(matrix, steps, DType::f64), wanted) < 1e-12);
      const Tensor single = cast(matrix, DType::f32);
      CHECK(numeric::max_error(orthogonalised(single, steps, DType::f32), wanted) < 2e-6);
      CHECK(numeric::max_error(orthogonalised(single, steps, DType::bf16), wanted) < 0.05);
    }
  for (double s = 0.01; s <= 1; s *= 1.001) {
    CHECK(newton_schulz(s, 5) > 0.68);
    CHECK(newton_schulz(s, 5) < 1.14);
  }
}

TEST_CASE("three steps of Muon and of the rest beside it are numpy's") {
  CHECK(GoldenWeights().error(
            Sgd{.lr = 0.1, .momentum = 0.85, .weight_decay = 0.01, .nesterov = true},
            {.lr = 0.24, .momentum = 0.6, .steps = 3, .rescale = true}, ".record") < 1e-12);
  CHECK(GoldenWeights().error(Adamw{.lr = 0.002, .weight_decay = 0.1}, {.weight_decay = 0.1},
                              ".package") < 1e-12);
}

TEST_CASE("three steps of LARS and LAMB, and of biases beside them, are numpy's") {
  const OptimizerOptions lars{.layerwise = LayerwiseRates{.trust = 0.02}};
  const Sgd sgd{.lr = 2, .momentum = 0.9, .weight_decay = 0.05};
  CHECK(GoldenWeights(/*bias_decays=*/false).error(sgd, lars, ".lars") < 1e-12);
  const Adamw adamw{.lr = 0.01, .eps = 1e-6, .weight_decay = 0.1};
  CHECK(GoldenWeights(/*bias_decays=*/false).error(adamw, lars, ".lamb") < 1e-12);
}

TEST_CASE("LARS and LAMB move weights of no length, by gradients of none too, and no frozen ones") {
  for (const bool lamb : {false, true}) {
    ParameterStore store;
    const Scope root(store);
    const ParameterRef zero = root.parameter("zero", {4}, Init::constant(0));
    const ParameterRef still = root.parameter("still", {4}, Init::constant(2));
    const ParameterRef frozen = root.parameter("frozen", {4}, Init::constant(2));
    store.build(0, DType::f64);
    const UpdateRule rule = lamb ? UpdateRule(Adamw{.lr = 0.5, .eps = 1e-6, .weight_decay = 0.1})
                                 : UpdateRule(Sgd{.lr = 0.5, .weight_decay = 0.1});
    Optimizer optimizer(store, rule, {.layerwise = LayerwiseRates{}});
    store.freeze([&](const Parameter& p) { return p.name == "frozen"; });
    optimizer.refresh_frozen();
    fill_(store.gradients().view(zero->offset, {4}), 3);
    optimizer.step();
    // plain steps of lr g (LAMB: of lr, up to eps), and of the decay alone
    CHECK(zero->value.values()[0] == doctest::Approx(lamb ? -0.5 : -1.5).epsilon(1e-6));
    CHECK(still->value.values()[0] == doctest::Approx(lamb ? 2 - 0.5 * 2 : 2 - 0.5 * 0.1 * 2));
    CHECK(frozen->value.values()[0] == 2);
  }
}

TEST_CASE("Muon takes the matrices and filters of hidden layers") {
  const auto taken = [](const char* name) {
    const auto model = make_model(name, {.image_size = 16});
    const std::vector<bool> matrices = hidden_matrices(model->store());
    std::vector<std::string> names;
    for (size_t i = 0; i < matrices.size(); ++i)
      if (matrices[i]) names.push_back(model->store().parameters()[i]->name);
    return names;
  };
  CHECK(taken("C.C:width=8") ==
        std::vector<std::string>{"conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight",
                                 "layer2.0.conv1.weight", "layer2.0.conv2.weight",
                                 "layer2.0.downsample.0.weight"});
  const std::vector<std::string> vit = taken("vit");
  CHECK(vit.size() == 4 * 4);
  CHECK(vit.front() == "blocks.0.attn.qkv.weight");
  CHECK(vit.back() == "blocks.3.mlp.fc2.weight");
}

TEST_CASE("biases of batch norms learn faster, and decay as ever") {
  const auto model = make_model("C.C:width=8", {.image_size = 16});
  const std::vector<bool> biases = batch_norm_biases(model->store());
  for (size_t i = 0; i < biases.size(); ++i) {
    const std::string& name = model->store().parameters()[i]->name;
    CHECK(biases[i] == (name.ends_with("bias") && name != "fc.bias"));
  }
  for (const UpdateRule& rule : {UpdateRule(Sgd{.lr = 0.1, .weight_decay = 0.5}),
                                 UpdateRule(Adamw{.lr = 0.1, .weight_decay = 0.5})}) {
    Weights w;
    Optimizer optimizer(w.store, rule,
                        {.decay_all = true, .lr_scales = {1, 4}, .decay_scales = {1, 0.25}});
    optimizer.step();
    CHECK(w.b() == doctest::Approx(0.95));
    CHECK(w.a() == doctest::Approx(0.95));
    backward(w.loss(0, 2));
    const double before = w.b();
    optimizer.step();
    CHECK(before - w.b() > 0.2);  // four times 0.1 and more
  }
}

TEST_CASE("the parameter apart learns at its own rate, whatever that of the others is") {
  Weights w;
  Optimizer optimizer(
      w.store, Sgd{.lr = 0.1, .momentum = 0, .weight_decay = 0.5},
      {.decay_all = true, .decay_scales = {1, 0.1}, .apart = &*w.store.parameters()[1]});
  optimizer.set_rate_apart(1);
  optimizer.step(0.01);  // a: 1 - 0.01 * 0.5; b: 1 - 1 * 0.5 * 0.1
  CHECK(w.a() == doctest::Approx(0.995));
  CHECK(w.b() == doctest::Approx(0.95));
  optimizer.set_rate_apart(0);
  optimizer.step(0.01);
  CHECK(w.b() == doctest::Approx(0.95));
}

TEST_CASE("lookahead over twelve steps is numpy's") {
  const auto golden = read_safetensors(golden_file("optimisers.safetensors"));
  ParameterStore store;
  const ParameterRef w = Scope(store).parameter("w", {7}, Init::constant(0));
  store.build(0, DType::f64);
  copy_(store.values(), golden.at("lookahead.weight"));
  Lookahead lookahead(store);
  for (int64_t step = 1; step <= 12; ++step) {
    add_scaled_(store.values(), golden.at("lookahead.moves").view(7 * (step - 1), Shape{7}), 1);
    lookahead.follow(step, 12);
  }
  CHECK(numeric::max_error(w->value.detach(), golden.at("lookahead.result")) < 1e-12);
}

TEST_CASE("an optimiser of a store that has no memory says what to do") {
  ParameterStore store;
  const Linear layer(Scope(store) / "fc", 2, 1);
  CHECK_THROWS_WITH_AS(Optimizer(store, Sgd{}),
                       "optimizer: the store has no parameters yet; call its build() first", Error);
}
