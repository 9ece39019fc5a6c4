// Learning from the hard part of a batch: the choice of rows against sorting, steps with a proxy
// against steps on rows chosen by hand, training in two goes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/update_rule.h"
#include "models/whitening.h"
#include "nn/context.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/softmax.h"
#include "tensor/ops/training/hardest.h"
#include "tests/message_of.h"
#include "tests/numeric.h"
#include "train/config.h"
#include "train/proxy.h"
#include "train/training_step.h"

using namespace passband;
using numeric::max_difference;

namespace {

constexpr int64_t kSide = 8, kBatch = 12, kClasses = 5;

std::vector<double> rows_by_sorting(const std::vector<double>& losses, size_t k) {
  std::vector<size_t> order(losses.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](size_t i, size_t j) {
    const double a = std::isfinite(losses[i]) ? losses[i] : HUGE_VAL;
    const double b = std::isfinite(losses[j]) ? losses[j] : HUGE_VAL;
    return a > b;
  });
  order.resize(k);
  std::ranges::sort(order);
  return {order.begin(), order.end()};
}

Batch batch_of(int64_t step) {
  Batch batch{.size = kBatch};
  RandomSequence random({9, static_cast<uint64_t>(step), 3});
  std::vector<float> pixels;
  for (int64_t i = 0; i < kBatch; ++i)
    batch.labels.push_back(static_cast<int32_t>(random.below(kClasses)));
  for (int64_t i = 0; i < kBatch * kSide * kSide * 3; ++i) pixels.push_back(random.normal());
  batch.images = Tensor::from(pixels, {kBatch, kSide, kSide, 3});
  return batch;
}

Dataset pictures() {
  Dataset data{.name = "noise", .split = "train", .count = 9, .height = kSide, .width = kSide};
  data.mean = {0.5f, 0.5f, 0.5f};
  data.std = {0.2f, 0.2f, 0.2f};
  data.classes.resize(kClasses, "class");
  RandomSequence random({5, 0, 2});
  for (int64_t i = 0; i < data.count * data.image_bytes(); ++i)
    data.images.push_back(static_cast<uint8_t>(random.next()));
  data.labels.resize(9, 0);
  return data;
}

RunSettings settings_of(const Values& more = {}) {
  RunSettings settings;
  for (const auto& [key, text] : Values{{"model", "C.C:width=8,stride=1"},
                                        {"precision", "f32"},
                                        {"lr", "0.02"},
                                        {"smoothing", "0.1"},
                                        {"select_hard", "0.5"},
                                        {"proxy", "C:width=8,stride=1"},
                                        {"proxy_interval", "3"}})
    set_value(settings, key, text);
  for (const auto& [key, text] : more) set_value(settings, key, text);
  return settings;
}

const ModelOptions kOptions = {.classes = kClasses, .image_size = kSide, .seed = 3};

// What a run trains.
struct Training {
  explicit Training(const RunSettings& settings)
      : config(settings),
        model(make_model(config.model, kOptions)),
        optimizer(model->store(), update_rule(config)) {
    if (config.select_hard < 1)
      proxy = std::make_unique<Proxy>(config, pictures(), kOptions, Device{});
  }

  // Losses of the steps, and how many pictures each learned from.
  std::vector<StepResult> run(int64_t first, int64_t count) {
    TrainingStep step(config, *model, optimizer, {}, {}, proxy.get());
    std::vector<StepResult> results;
    for (int64_t i = first; i < first + count; ++i) {
      step.run(batch_of(i), i, config.lr);
      results.push_back(*step.next_result(true));
    }
    return results;
  }

  RunSettings config;
  std::unique_ptr<Model> model;
  Optimizer optimizer;
  std::unique_ptr<Proxy> proxy;
};

// The losses of a network that trains, row by row from its log-probabilities.
std::vector<double> losses_by_hand(const Model& model, const Batch& batch, double smoothing) {
  const NoGrad no_graph;
  const TrainingGuard training(0, 0);
  const std::vector<double> logs = log_softmax(model(batch.images), 1).values();
  std::vector<double> losses;
  for (int64_t i = 0; i < batch.size; ++i) {
    double mean = 0;
    for (int64_t k = 0; k < kClasses; ++k) mean += logs[i * kClasses + k] / kClasses;
    losses.push_back(-(1 - smoothing) * logs[i * kClasses + batch.labels[i]] - smoothing * mean);
  }
  return losses;
}

Batch rows_of(const Batch& batch, const std::vector<double>& rows) {
  Batch chosen{.size = std::ssize(rows)};
  const std::vector<double> pixels = batch.images.values();
  constexpr int64_t kPicture = kSide * kSide * 3;
  std::vector<float> kept;
  for (const double row : rows) {
    const auto at = static_cast<int64_t>(row);
    chosen.labels.push_back(batch.labels[at]);
    kept.insert(kept.end(), pixels.begin() + at * kPicture, pixels.begin() + (at + 1) * kPicture);
  }
  chosen.images = Tensor::from(kept, {chosen.size, kSide, kSide, 3});
  return chosen;
}

}  // namespace

TEST_CASE("the hardest rows are those that sorting finds, ties and all") {
  RandomSequence random({4, 0, 1});
  for (const int64_t n : {1, 2, 7, 1000})
    for (const DType dtype : {DType::f32, DType::f64}) {
      std::vector<double> losses;
      for (int64_t i = 0; i < n; ++i) losses.push_back(static_cast<double>(random.below(40)) / 8);
      if (n > 5) losses[3] = std::nan(""), losses[5] = -HUGE_VAL;
      for (const int64_t k : {int64_t{1}, (n + 1) / 2, n}) {
        CAPTURE(n);
        CAPTURE(k);
        CHECK(hardest_rows(Tensor::from(losses, {n}, dtype), k).values() ==
              rows_by_sorting(losses, static_cast<size_t>(k)));
      }
    }
  CHECK(message_of([] { hardest_rows(Tensor::zeros({3}), 4); }).find("outside [1, 3]") !=
        std::string::npos);
}

TEST_CASE("a step with a proxy is one on the rows it gets most wrong, and it learns from them") {
  const RunSettings config = settings_of();
  Training chosen(config);
  Training network(settings_of({{"select_hard", "1"}}));
  Training proxy(settings_of({{"select_hard", "1"}, {"model", config.proxy}}));
  for (int64_t i = 0; i < 5; ++i) {
    const std::vector<StepResult> result = chosen.run(i, 1);
    CHECK(result[0].images == kBatch / 2);
    const Batch batch = batch_of(i);
    const Batch hard =
        rows_of(batch, rows_by_sorting(losses_by_hand(*proxy.model, batch, 0.1), kBatch / 2));
    TrainingStep step(network.config, *network.model, network.optimizer, {});
    step.run(hard, i, config.lr);
    CHECK(step.next_result(true)->loss == doctest::Approx(result[0].loss).epsilon(1e-6));
    // the gradient of the chosen rows, in a batch norm of all of them
    if (i % 3 == 0) {
      const TrainingGuard training(0, 0);
      const std::vector<double> rows =
          rows_by_sorting(losses_by_hand(*proxy.model, batch, 0.1), kBatch / 2);
      std::vector<double> weights(kBatch * kClasses);
      for (const double row : rows) {
        const auto at = static_cast<int64_t>(row);
        for (int64_t k = 0; k < kClasses; ++k)
          weights[at * kClasses + k] = (0.1 / kClasses + (k == batch.labels[at] ? 0.9 : 0)) /
                                       static_cast<double>(rows.size());
      }
      const Tensor logs = log_softmax((*proxy.model)(batch.images), 1);
      backward(mul(sum(logs * Tensor::from(weights, {kBatch, kClasses}, DType::f32)), -1));
      proxy.optimizer.step(config.lr);
    }
  }
  const auto of = [](const Model& model) { return model.store().values().values(); };
  CHECK(max_difference(of(*chosen.model), of(*network.model)) < 1e-6);
  CHECK(max_difference(of(chosen.proxy->model()), of(*proxy.model)) < 1e-6);
}

TEST_CASE("training with a proxy in two goes has the bits of one") {
  for (const char* opt : {"sgd", "muon"}) {
    const RunSettings config = settings_of({{"opt", opt}, {"bias_lr_scale", "4"}});
    Training whole(config), first(config), second(config);
    whole.run(0, 5);
    first.run(0, 2);
    for (const auto& [to, from] : {std::pair{second.model.get(), first.model.get()},
                                   std::pair{&second.proxy->model(), &first.proxy->model()}}) {
      copy_(to->store().values(), from->store().values());
      copy_(to->store().buffer_values(), from->store().buffer_values());
    }
    second.optimizer.restore(first.optimizer.state(), 2);
    second.proxy->optimizer().restore(first.proxy->optimizer().state(),
                                      first.proxy->updates_after(2));
    CHECK(first.proxy->optimizer().steps() == first.proxy->updates_after(2));
    second.run(2, 3);
    CHECK(second.model->store().values().values() == whole.model->store().values().values());
    CHECK(second.proxy->model().store().values().values() ==
          whole.proxy->model().store().values().values());
  }
}

TEST_CASE("a whitened proxy keeps its first layer, and its bias with it") {
  Training training(settings_of({{"proxy", "vit"}, {"whiten", "true"}, {"proxy_interval", "1"}}));
  Model& proxy = training.proxy->model();
  const auto values = [&] {
    return std::pair{first_convolution(proxy)->value.values(),
                     bias_of_first_convolution(proxy)->value.values()};
  };
  const auto before = values();
  const std::vector<double> all = proxy.store().values().values();
  training.run(0, 2);
  CHECK(values() == before);
  CHECK(max_difference(proxy.store().values().values(), all) > 1e-4);
}

TEST_CASE("rates are of the pictures that are learned from") {
  RunSettings settings = settings_of({{"lr_per", "1024"},
                                      {"lr", "9"},
                                      {"batch_size", "1024"},
                                      {"momentum", "0"},
                                      {"opt", "momentum"}});
  CHECK(learned_pictures(settings) == 512);
  CHECK(peak_rate(settings) == doctest::Approx(4.5));
  settings.select_hard = 1;
  CHECK(peak_rate(settings) == doctest::Approx(9));
}

TEST_CASE("what does not go with a choice of rows is refused by name") {
  const auto said = [](const Values& more) {
    Values values = {{"model", "resnet"}, {"select_hard", "0.5"}};
    values.insert(values.end(), more.begin(), more.end());
    return message_of([&] { resolve(values); });
  };
  CHECK(said({{"mixup", "0.2"}}).find("leave out mixup") != std::string::npos);
  CHECK(said({{"bce_loss", "true"}}).find("leave out bce_loss") != std::string::npos);
  CHECK(said({{"grad_accum_steps", "3"}, {"batch_size", "63"}}).find("3 equal parts") !=
        std::string::npos);
  CHECK(said({{"proxy", "airbensh94"}}).find("airbench94") != std::string::npos);
}
