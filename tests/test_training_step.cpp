// Steps of training as the papers take them: SAM against its recurrence, gradients added up against
// the batch that they are parts of, the binary loss against its definition, momentum that warms up.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/loss/augmented.h"
#include "analysis/loss/curves.h"
#include "data/loader.h"
#include "models/update_rule.h"
#include "models/whitening.h"
#include "nn/sharpness.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/interpolate.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tests/message_of.h"
#include "tests/numeric.h"
#include "train/recipes.h"
#include "train/run_list.h"
#include "train/schedule.h"
#include "train/training_step.h"

using namespace passband;
using numeric::max_difference;

namespace {

constexpr int64_t kSide = 8, kClasses = 5;

Batch noise_batch(int64_t step, int64_t size) {
  Batch batch;
  batch.size = size;
  RandomSequence random({9, static_cast<uint64_t>(step), 3});
  std::vector<float> pixels;
  for (int64_t i = 0; i < size; ++i)
    batch.labels.push_back(static_cast<int32_t>(random.below(kClasses)));
  for (int64_t i = 0; i < size * kSide * kSide * 3; ++i) pixels.push_back(random.normal());
  batch.images = Tensor::from(pixels, {size, kSide, kSide, 3});
  return batch;
}

struct Outcome {
  std::vector<double> losses, values, buffers;
};

// `count` steps from `first` on batches of 8, of a model that may have been trained before.
struct Training {
  explicit Training(const RunSettings& settings)
      : config(settings),
        model(make_model(
            config.model,
            {.classes = kClasses, .image_size = kSide, .dropout = config.dropout, .seed = 3})),
        optimizer(model->store(), update_rule(config), optimizer_options(config, *model, nullptr)) {
  }

  Outcome run(int64_t first, int64_t count) {
    TrainingStep step(config, *model, optimizer, {});
    Outcome outcome;
    for (int64_t i = first; i < first + count; ++i) step.run(noise_batch(i, 8), i, config.lr);
    while (const auto result = step.next_result(true)) outcome.losses.push_back(result->loss);
    outcome.values = model->store().values().values();
    if (model->store().buffer_values().defined())
      outcome.buffers = model->store().buffer_values().values();
    return outcome;
  }

  RunSettings config;
  std::unique_ptr<Model> model;
  Optimizer optimizer;
};

RunSettings settings_of(const Values& values) {
  RunSettings settings;
  settings.precision = "f32";
  settings.lr = 0.02;
  for (const auto& [key, text] : values) set_value(settings, key, text);
  return settings;
}

// Sums of waves and some noise: pictures whose neighbouring pixels are alike.
Dataset smooth_pictures(int64_t count, int64_t side) {
  Dataset data{.name = "waves", .split = "train", .count = count, .height = side, .width = side};
  data.mean = {0.5f, 0.5f, 0.5f};
  data.std = {0.2f, 0.2f, 0.2f};
  RandomSequence random({3, 1, 4});
  for (int64_t i = 0; i < count; ++i) {
    const float a = random.uniform(0, 0.5f), b = random.uniform(0, 0.5f), at = random.uniform(0, 6);
    for (int64_t p = 0; p < side * side * 3; ++p) {
      const auto y = static_cast<float>(p / 3 / side), x = static_cast<float>(p / 3 % side);
      const float wave = std::sin(a * y + b * x + at + 0.3f * static_cast<float>(p % 3));
      data.images.push_back(static_cast<uint8_t>(127 + 50 * wave + random.uniform(-20, 20)));
    }
    data.labels.push_back(0);
  }
  return data;
}

// Mean products of the values of all patches, normalised, written out.
std::vector<double> naive_covariance(const Dataset& data, int64_t kernel) {
  const int64_t side = data.height, n = 3 * kernel * kernel, places = side - kernel + 1;
  std::vector<double> sums(static_cast<size_t>(n * n)), patch(static_cast<size_t>(n));
  for (int64_t at = 0; at < data.count * places * places; ++at) {
    const int64_t picture = at / (places * places), top = at / places % places, left = at % places;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t y = top + i / 3 / kernel, x = left + i / 3 % kernel;
      const double pixel = data.images[((picture * side + y) * side + x) * 3 + i % 3];
      patch[i] = (pixel / 255 - 0.5) / 0.2;
    }
    for (int64_t i = 0; i < n * n; ++i) sums[i] += patch[i / n] * patch[i % n];
  }
  for (double& sum : sums) sum /= static_cast<double>(data.count * places * places);
  return sums;
}

}  // namespace

TEST_CASE("SAM's steps follow equations 2 and 3 of Foret et al., with momentum") {
  // loss = (3 x^2 + y^2) / 2 + x y
  ParameterStore store;
  const Scope root(store);
  const ParameterRef x = root.parameter("x", {1}, Init::constant(0.7));
  const ParameterRef y = root.parameter("y", {1}, Init::constant(-1.1));
  store.build(0, DType::f64);
  Optimizer optimizer(store, Sgd{.lr = 0.1, .momentum = 0.9});
  SharpnessAscent sam(store, 0.05);
  const auto loss = [&] {
    return sum(mul(square(x->value), 1.5) + mul(square(y->value), 0.5) + x->value * y->value);
  };
  double a = 0.7, b = -1.1, ma = 0, mb = 0;
  for (int step = 0; step < 5; ++step) {
    backward(loss());
    sam.climb();
    backward(loss());
    sam.climb_back();
    optimizer.step();
    const double ga = 3 * a + b, gb = b + a, norm = std::sqrt(ga * ga + gb * gb);
    const double ua = a + 0.05 * ga / norm, ub = b + 0.05 * gb / norm;
    ma = 0.9 * ma + 3 * ua + ub;
    mb = 0.9 * mb + ub + ua;
    a -= 0.1 * ma;
    b -= 0.1 * mb;
    CHECK(x->value.item() == doctest::Approx(a).epsilon(1e-9));
    CHECK(y->value.item() == doctest::Approx(b).epsilon(1e-9));
  }
}

TEST_CASE("SAM takes its gradients uphill, and statistics from the first pass alone") {
  const Values common = {{"model", "C.C:width=8,stride=1"}, {"momentum", "0"}};
  Values with = common;
  with.insert(with.end(), {{"opt", "sam"}, {"sam_rho", "0.1"}});
  const Outcome plain = Training(settings_of(common)).run(0, 1);
  const Outcome sam = Training(settings_of(with)).run(0, 1);
  CHECK(sam.losses == plain.losses);
  CHECK(sam.buffers == plain.buffers);
  CHECK(max_difference(sam.values, plain.values) > 1e-5);
  with.back().second = "0";
  CHECK(max_difference(Training(settings_of(with)).run(0, 1).values, plain.values) < 1e-7);
}

TEST_CASE("training by SAM or Muon in two goes has the bits of one") {
  for (const auto& [opt, base] : {std::pair{"sam", "sgd"}, std::pair{"sam", "adamw"},
                                  std::pair{"muon", "sgd"}, std::pair{"muon", "adamw"}}) {
    const RunSettings config = settings_of({{"model", "C.C:width=8,stride=1"},
                                            {"opt", opt},
                                            {"sam_base", base},
                                            {"muon_rest", base},
                                            {"bias_lr_scale", "4"},
                                            {"dropout", "0.2"}});
    Training whole(config), first(config);
    const Outcome at_once = whole.run(0, 4);
    first.run(0, 2);
    Training second(config);
    copy_(second.model->store().values(), first.model->store().values());
    copy_(second.model->store().buffer_values(), first.model->store().buffer_values());
    second.optimizer.restore(first.optimizer.state(), 2);
    CHECK(second.run(2, 2).values == at_once.values);
  }
}

TEST_CASE("Muon in bf16 stays near Muon in f32") {
  Values values = {{"model", "C.C:width=8,stride=1"}, {"opt", "muon"}, {"muon_rescale", "true"}};
  const Outcome f32 = Training(settings_of(values)).run(0, 6);
  values.emplace_back("precision", "bf16");
  const Outcome bf16 = Training(settings_of(values)).run(0, 6);
  CHECK(max_difference(f32.losses, bf16.losses) < 0.03);
  CHECK(max_difference(f32.values, bf16.values) < 0.03);
  CHECK(f32.values != bf16.values);
}

TEST_CASE("gradients of parts add up to those of the batch where no layer mixes pictures") {
  for (const Values& more :
       {Values{}, Values{{"mixup", "0.8"}}, Values{{"bce_loss", "true"}, {"smoothing", "0.1"}},
        Values{{"opt", "sam"}}}) {
    Values one = {{"model", "vit"}};
    one.insert(one.end(), more.begin(), more.end());
    Values parts = one;
    parts.emplace_back("grad_accum_steps", "4");
    const Outcome whole = Training(settings_of(one)).run(0, 3);
    const Outcome summed = Training(settings_of(parts)).run(0, 3);
    CHECK(max_difference(whole.losses, summed.losses) < 2e-6);
    CHECK(max_difference(whole.values, summed.values) < 2e-6);
  }
}

TEST_CASE("every part of a step drops other activations") {
  const RunSettings config =
      settings_of({{"model", "vit"}, {"dropout", "0.5"}, {"grad_accum_steps", "2"}});
  Training training(config);
  TrainingStep step(config, *training.model, training.optimizer, {});
  Batch batch = noise_batch(0, 4);
  Batch twice = batch;
  twice.size = 8;
  twice.images = Tensor::empty({8, kSide, kSide, 3});
  for (int64_t half = 0; half < 2; ++half)
    twice.images.view(half * batch.images.numel(), batch.images.shape()).copy_from(batch.images);
  twice.labels.insert(twice.labels.end(), batch.labels.begin(), batch.labels.end());
  step.run(twice, 0, 0);
  const double both = step.next_result(true)->loss;
  RunSettings single = config;
  single.grad_accum_steps = 1;
  TrainingStep half(single, *training.model, training.optimizer, {});
  half.run(batch, 0, 0);
  CHECK(std::abs(half.next_result(true)->loss - both) > 1e-6);
}

TEST_CASE("the bias of a whitened layer learns at a rate of its own, and decays as the others") {
  const RunSettings config = settings_of({{"model", "vit"},
                                          {"whiten", "true"},
                                          {"whiten_bias_lr", "8"},
                                          {"opt", "momentum"},
                                          {"momentum", "0"}});
  const auto moved = [&](double epochs) {
    Training training(config);
    const ParameterRef bias = bias_of_first_convolution(*training.model);
    std::vector<double> change = bias->value.values();
    TrainingStep step(config, *training.model, training.optimizer, {});
    step.settle_whitening(epochs);
    step.run(noise_batch(0, 8), 0, config.lr);
    const std::vector<double> after = bias->value.values();
    for (size_t i = 0; i < after.size(); ++i) change[i] = after[i] - change[i];
    return std::pair(change, training.model->store().values().values());
  };
  const auto [once, other_once] = moved(2.25);  // of 3: a quarter of the rate
  const auto [twice, other_twice] = moved(1.5);
  double largest = 0;
  size_t differ = 0;
  for (size_t i = 0; i < once.size(); ++i) {
    largest = std::max(largest, std::abs(once[i]));
    CHECK(twice[i] == doctest::Approx(2 * once[i]).epsilon(1e-4));
  }
  CHECK(largest > 1e-4);
  for (size_t i = 0; i < other_once.size(); ++i) differ += other_once[i] != other_twice[i];
  CHECK(differ == once.size());

  const auto model = make_model(config.model, {.classes = kClasses, .image_size = kSide});
  const OptimizerOptions options = optimizer_options(config, *model, nullptr);
  CHECK(options.apart == &*bias_of_first_convolution(*model));
  for (size_t i = 0; i < options.decay_scales.size(); ++i)
    CHECK(options.decay_scales[i] ==
          (&*model->store().parameters()[i] == options.apart ? 0.02 / 8 : 1));
}

TEST_CASE("what a whitened layer makes of the training pictures has the identity for covariance") {
  const Dataset data = smooth_pictures(40, 16);
  // 12 directions and 12 negatives; 27, 27, and 10 mixtures; 16 of 27; 48, 48 and 32 mixtures
  for (const char* name : {"airbench_8_8_8", "C:width=64", "C:width=16", "vit"}) {
    CAPTURE(std::string(name));
    const auto model = make_model(name, {.image_size = 16, .seed = 2});
    whiten_first_convolution(*model, data, 7);
    const Tensor w = first_convolution(*model)->value.detach();
    const int64_t channels = w.size(0), kernel = w.size(1), n = 3 * kernel * kernel;
    const std::vector<double> c = naive_covariance(data, kernel), f = w.values();
    const auto covariance = [&](int64_t i, int64_t j) {
      double sum = 0;
      for (int64_t a = 0; a < n; ++a)
        for (int64_t b = 0; b < n; ++b) sum += f[i * n + a] * c[a * n + b] * f[j * n + b];
      return sum;
    };
    double worst = 0, mixed = 0;
    for (int64_t i = 0; i < std::min(channels, n); ++i)
      for (int64_t j = 0; j <= i; ++j)
        worst = std::max(worst, std::abs(covariance(i, j) - (i == j)));
    for (int64_t i = 2 * n; i < channels; ++i)
      mixed = std::max(mixed, std::abs(covariance(i, i) - 1));
    CHECK(worst < 0.05);  // 5e-4 stands beside the smallest eigenvalue, 0.01 and more here
    CHECK(mixed < 0.05);
    for (int64_t i = n * n; i < std::min(channels, 2 * n) * n; ++i) CHECK(f[i] == -f[i - n * n]);
    if (const ParameterRef bias = bias_of_first_convolution(*model))
      CHECK(std::ranges::all_of(bias->value.values(), [](double x) { return x == 0; }));
  }
}

TEST_CASE("a parameter that is frozen under way stays, whatever moved it before") {
  for (const char* opt : {"sgd", "adamw", "sam"}) {
    CAPTURE(std::string(opt));
    Training training(settings_of({{"model", "vit"}, {"opt", opt}, {"decay_all", "true"}}));
    training.run(0, 2);
    const ParameterRef bias = bias_of_first_convolution(*training.model);
    const ParameterRef other = training.model->store().parameters().back();
    TrainingStep step(training.config, *training.model, training.optimizer, {});
    step.freeze(*bias);
    const std::vector<double> before = bias->value.values(), moving = other->value.values();
    for (int64_t i = 2; i < 5; ++i) step.run(noise_batch(i, 8), i, training.config.lr);
    CHECK(bias->value.values() == before);
    CHECK(other->value.values() != moving);
  }
}

TEST_CASE("the binary loss and its gradient are their definition, at 0 and far out") {
  const std::vector<double> z = {0, 0.5, -3, 40, -60, 2}, t = {0.3, 1, 0, 0.9, 0.1, 0.02};
  const Tensor logits = Tensor::from(z, {2, 3}, DType::f64).leaf();
  const Tensor loss = binary_cross_entropy(logits, Tensor::from(t, {2, 3}, DType::f64));
  const std::vector<double> gradient = grad(loss, {logits})[0].values();
  double expected = 0;
  for (size_t i = 0; i < z.size(); ++i) {
    // log sigmoid(z) = -log(1 + e^-z), in a form that neither end overflows
    const double log_y =
        z[i] > 0 ? -std::log1p(std::exp(-z[i])) : z[i] - std::log1p(std::exp(z[i]));
    expected -= (t[i] * log_y + (1 - t[i]) * (log_y - z[i])) / 6;
    CHECK(gradient[i] == doctest::Approx((1 / (1 + std::exp(-z[i])) - t[i]) / 6).epsilon(1e-12));
  }
  CHECK(loss.item() == doctest::Approx(expected).epsilon(1e-12));
}

TEST_CASE("with a threshold, the binary loss has targets of 0 and 1") {
  // One label in five classes, smoothed by 0.4: 0.68 and 0.08. Above 0.5 they are 1 and 0.
  Values values = {{"model", "vit"}, {"bce_loss", "true"}};
  const double plain = Training(settings_of(values)).run(0, 1).losses[0];
  values.emplace_back("smoothing", "0.4");
  CHECK(std::abs(Training(settings_of(values)).run(0, 1).losses[0] - plain) > 1e-4);
  values.emplace_back("bce_target_thresh", "0.5");
  CHECK(Training(settings_of(values)).run(0, 1).losses[0] == doctest::Approx(plain).epsilon(1e-6));
}

TEST_CASE("momentum rises linearly over the warm-up, and falls never") {
  RunSettings settings;
  settings.warmup_epochs = 1;
  settings.epochs = 3;
  CHECK(schedule_of(settings, 10).momentum_at(0) == 0.9);
  settings.warmup_momentum = 0.5;
  const Schedule schedule = schedule_of(settings, 10);
  CHECK(schedule.momentum_at(0) == doctest::Approx(0.5));
  CHECK(schedule.momentum_at(5) == doctest::Approx(0.7));
  CHECK(schedule.momentum_at(10) == doctest::Approx(0.9));
  CHECK(schedule.momentum_at(29) == doctest::Approx(0.9));
}

TEST_CASE("pictures grow in equal parts of the training, 4 pixels at a time") {
  std::vector<int64_t> sides;
  for (int64_t step = 0; step < 10; ++step) sides.push_back(side_at(step, 10, 24, 32));
  CHECK(sides == std::vector<int64_t>{24, 24, 24, 24, 28, 28, 28, 32, 32, 32});
  CHECK(side_at(0, 9, 26, 32) == 26);
  CHECK(side_at(8, 9, 26, 32) == 32);
  CHECK(side_at(0, 9, 0, 32) == 32);
  CHECK(mean_area(3, 9, 24, 32) == doctest::Approx(24.0 * 24 / 1024));
  CHECK(mean_area(9, 9, 24, 32) == doctest::Approx((24.0 * 24 + 28 * 28 + 1024) / 3072));
  CHECK(mean_area(7, 9, 0, 32) == 1);
}

TEST_CASE("a step on pictures that are scaled is one of a network for the smaller pictures") {
  const RunSettings config = settings_of({{"model", "C.C:width=8"}});
  RandomSequence random({9, 0, 3});
  std::vector<float> pixels;
  for (int64_t i = 0; i < 8 * 16 * 16 * 3; ++i) pixels.push_back(random.normal());
  const Tensor images = Tensor::from(pixels, {8, 16, 16, 3});
  const auto run = [&](int64_t side, const Tensor& shown) {
    const auto model = make_model(config.model, {.image_size = side, .seed = 3});
    Optimizer optimizer(model->store(), update_rule(config));
    TrainingStep step(config, *model, optimizer, {});
    step.set_side(12);
    step.run({.images = shown, .labels = {0, 1, 2, 3, 4, 5, 6, 7}, .size = 8}, 0, 0.1);
    return model->store().values().values();
  };
  CHECK(run(16, images) == run(12, interpolate(images, 12, {.antialias = true})));
}

TEST_CASE("a multistep schedule falls at its milestones") {
  RunSettings settings;
  set_value(settings, "sched", "multistep");
  set_value(settings, "decay_milestones", "2, 4");
  settings.decay_rate = 0.2;
  settings.warmup_epochs = 1;
  settings.lr = 0.1;
  const Schedule schedule = schedule_of(settings, 10);
  CHECK(schedule.at(4) == doctest::Approx(0.05));
  CHECK(schedule.at(19) == doctest::Approx(0.1));
  CHECK(schedule.at(20) == doctest::Approx(0.02));
  CHECK(schedule.at(40) == doctest::Approx(0.004));
  settings.decay_milestones = "4 2";
  CHECK(message_of<UsageError>([&] { milestones_of(settings); }).find("not rising") !=
        std::string::npos);
}

TEST_CASE("a recipe's milestones keep their share of another length") {
  const auto milestones = [](Values given) {
    given.insert(given.begin(), {"recipe", "resnet-200"});
    return milestones_of(resolve(given));
  };
  CHECK(milestones({}) == std::vector<double>{60, 120, 160});
  CHECK(milestones({{"epochs", "20"}}) == std::vector<double>{6, 12, 16});
  CHECK(milestones({{"epochs", "20"}, {"decay_milestones", "5 10"}}) == std::vector<double>{5, 10});
}

TEST_CASE("settings of two numbers are read, checked and written") {
  RunSettings settings;
  set_value(settings, "scale", "0.2,0.9");
  CHECK(settings.scale.low == 0.2);
  CHECK(settings.scale.high == 0.9);
  const RunConfig back = [&] {
    RunConfig config{.settings = settings};
    config.data.classes = {"a", "b"};
    config.sessions.push_back({.date = "2026-11-27T03:15:40Z", .version = "x"});
    return run_config_from(to_toml(config), "test");
  }();
  CHECK(back.settings.scale.low == 0.2);
  CHECK(back.settings.ratio.high == settings.ratio.high);
  for (const char* wrong : {"0.9 0.2", "0.5", "0.1 0.2 0.3", "0.1 2", "a b"})
    CHECK(
        message_of<UsageError>([&] { set_value(settings, "scale", wrong); }).starts_with("scale"));
}

TEST_CASE("curves are means over stretches of a log, whatever state the run is in") {
  std::string log;
  for (int step = 1; step <= 10; ++step)
    log += fmt::format(R"({{"step":{},"epoch":1,"split":"train","loss":{},"accuracy":0.5}})"
                       "\n",
                       step, 11 - step);
  log += R"({"step":10,"epoch":2,"split":"test","loss":1.5,"top1":0.75})"
         "\n";
  log += R"({"step":11,"split":"train","loss":null,"nonfinite":true,"accuracy":0})"
         "\n";
  log += R"({"step":12,"split":"train","lo)";  // cut by a crash
  const TrainingCurves curves = training_curves_from(log, 5, 5);
  CHECK(curves.epochs == std::vector<double>{0.4, 0.8, 1.2, 1.6, 2});
  CHECK(curves.losses == std::vector<double>{9.5, 7.5, 5.5, 3.5, 1.5});
  CHECK(curves.judged_epochs == std::vector<double>{2});
  CHECK(curves.judged_accuracies == std::vector<double>{0.75});
  CHECK(curves.steps == 11);
  CHECK(curves.left_out == 1);
  CHECK(training_curves_from("", 5, 5).epochs.empty());
  // Held-out pictures choose: the test pictures that come once at the end are another thing.
  const std::string held = log.substr(0, log.find(R"({"step":11)")) +
                           R"({"step":10,"split":"val","loss":2,"top1":0.5})"
                           "\n";
  CHECK(training_curves_from(held, 5, 5).judged_losses == std::vector<double>{2});
}

TEST_CASE("the loss on augmented pictures is the cross-entropy of what the network was shown") {
  const DataSplits data = make_shapes({.train_count = 12, .test_count = 6});
  const std::unique_ptr<Model> model =
      make_model("C.C:width=4", {.classes = 10, .image_size = data.train.height, .seed = 2});
  LossBatches batches{.data = &data.train, .batch_size = 5, .image_size = data.train.height};
  batches.augmented = true;
  batches.smoothing = 0.1;
  batches.augment = {.pad = 4, .auto_augment = "rand-m9-mstd0.5"};
  batches.indices = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  for (const double mixup : {0.0, 0.8}) {
    batches.mixing.mixup = mixup;
    const AugmentedLoss measured = augmented_loss(*model, batches);
    double loss = 0, right = 0;
    const ContextGuard mode({.training = false});
    for (int64_t b = 0; b < 3; ++b) {
      const LossBatch batch = batches.batch(b);
      const std::vector<double> z = (*model)(batch.images).values();
      for (int64_t i = 0; i < batch.images.size(0); ++i) {
        double sum = 0;
        int64_t best = 0;
        for (int64_t k = 0; k < 10; ++k) {
          sum += std::exp(z[i * 10 + k]);
          if (z[i * 10 + k] > z[i * 10 + best]) best = k;
        }
        for (int64_t k = 0; k < 10; ++k) {
          const double own = batch.labels.values()[i] == k;
          const double target = mixup > 0 ? batch.targets.values()[i * 10 + k] : 0.9 * own + 0.01;
          loss += target * (std::log(sum) - z[i * 10 + k]);
          if (k == best) right += (target - 0.01) / 0.9;
        }
      }
    }
    CHECK(measured.pictures == 12);
    CHECK(measured.loss == doctest::Approx(loss / 12).epsilon(1e-5));
    CHECK(measured.error == doctest::Approx(1 - right / 12).epsilon(1e-5));
  }
}
