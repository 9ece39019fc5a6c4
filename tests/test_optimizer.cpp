// The optimiser as a user meets it: a rule, gradients that add up, steps that take them.
#include <doctest/doctest.h>

#include <cmath>

#include "models/run_settings.h"
#include "nn/drop.h"
#include "nn/linear.h"
#include "nn/optimizer.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

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

TEST_CASE("an optimiser of a store that has no memory says what to do") {
  ParameterStore store;
  const Linear layer(Scope(store) / "fc", 2, 1);
  CHECK_THROWS_WITH_AS(Optimizer(store, Sgd{}),
                       "optimizer: the store has no parameters yet; call its build() first", Error);
}
