// The parts of training: schedules, mixing, optimiser steps, settings, counting.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>

#include "models/run_files.h"
#include "nn/mixing.h"
#include "tensor/core/file.h"
#include "tensor/core/system_calls.h"
#include "tensor/core/version.h"
#include "tensor/ops/training/optimizer.h"
#include "tensor/ops/training/score.h"
#include "tests/message_of.h"
#include "train/config.h"
#include "train/evaluation.h"
#include "train/progress_line.h"
#include "train/run_log.h"
#include "train/schedule.h"

using namespace passband;

TEST_CASE("one-cycle rises linearly to its peak and falls linearly to its end") {
  const Schedule s{.kind = ScheduleKind::onecycle,
                   .lr = 1.0,
                   .min_lr = 0.1,
                   .warmup_steps = 4,
                   .total_steps = 12};
  CHECK(s.at(0) == doctest::Approx(0.25));
  CHECK(s.at(3) == doctest::Approx(1.0));
  CHECK(s.at(4) == doctest::Approx(1.0));
  CHECK(s.at(8) == doctest::Approx(0.55));
  CHECK(s.at(12) == doctest::Approx(0.1));
}

TEST_CASE("cosine is halfway down after half of its steps") {
  const Schedule s{
      .kind = ScheduleKind::cosine, .lr = 2.0, .min_lr = 0, .warmup_steps = 10, .total_steps = 110};
  CHECK(s.at(10) == doctest::Approx(2.0));
  CHECK(s.at(60) == doctest::Approx(1.0));
  CHECK(s.at(35) == doctest::Approx(1 + std::cos(0.25 * 3.14159265358979)));
}

TEST_CASE("a linear schedule is airbench94's: from a share of the peak, and down to another") {
  // 0.2 + 0.8 step / 23 up to step 23 of 100, then 1 - 0.93 (step - 23) / 77
  const Schedule s{.kind = ScheduleKind::linear,
                   .lr = 3,
                   .warmup_steps = 23,
                   .total_steps = 100,
                   .warmup_start = 0.2,
                   .final_fraction = 0.07};
  CHECK(s.at(0) == doctest::Approx(0.6));
  CHECK(s.at(10) == doctest::Approx(3 * (0.2 + 8.0 / 23)));
  CHECK(s.at(23) == doctest::Approx(3));
  CHECK(s.at(99) == doctest::Approx(3 * (1 - 0.93 * 76 / 77)));
  CHECK(s.at(100) == doctest::Approx(0.21));
}

TEST_CASE("a trapezoid rises, stays, and falls over its last steps alone") {
  Schedule s{.kind = ScheduleKind::trapezoid,
             .lr = 2,
             .warmup_steps = 10,
             .total_steps = 100,
             .decay_fraction = 0.4,
             .final_fraction = 0.1};
  CHECK(s.at(0) == doctest::Approx(0.2));
  for (const int64_t step : {10, 59, 60}) CHECK(s.at(step) == 2);
  CHECK(s.at(80) == doctest::Approx(1.1));
  CHECK(s.at(100) == doctest::Approx(0.2));
  s.min_lr = 0.5;
  CHECK(s.at(100) == doctest::Approx(0.5));
  s.decay_fraction = 0;
  CHECK(s.at(99) == 2);
}

TEST_CASE("a warm-up may be given as a share of the epochs, and the last word on it counts") {
  const Values share = {{"epochs", "8"}, {"warmup_fraction", "0.25"}};
  CHECK(resolve(share).warmup_epochs == 2);
  Values both = share;
  both.emplace_back("warmup_epochs", "1");
  CHECK(resolve(both).warmup_epochs == 2);
  CHECK(resolve({{"recipe", "quick"}, {"epochs", "8"}, {"warmup_epochs", "1"}}).warmup_epochs == 1);
  // Of a budget of minutes the share is that of what fits, and stays what it came to.
  const RunSettings planned = with_length(resolve({{"minutes", "1"}, {"warmup_fraction", "0.25"}}),
                                          390, 390, {{"minutes", "1"}});
  CHECK(planned.warmup_epochs == 0.25);
  CHECK(planned.warmup_fraction == 0);
  RunConfig run;
  run.settings = resolve(share);
  CHECK(resumed_settings(run, {{"epochs", "16"}}).warmup_epochs == 2);
  CHECK(resumed_settings(run, {{"epochs", "16"}, {"warmup_fraction", "0.5"}}).warmup_epochs == 8);
  CHECK(message_of<UsageError>([&] {
          resolve({{"sched", "trapezoid"},
                   {"epochs", "4"},
                   {"warmup_epochs", "3"},
                   {"decay_fraction", "0.5"}});
        }).find("decay_fraction: 0.5 of 4 epochs") == 0);
}

namespace {

Tensor vector_of(const std::vector<double>& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}

void check_values(const Tensor& tensor, const std::vector<double>& expected) {
  const std::vector<double> values = tensor.values();
  REQUIRE(values.size() == expected.size());
  for (size_t i = 0; i < values.size(); ++i)
    CHECK(values[i] == doctest::Approx(expected[i]).epsilon(1e-6));
}

}  // namespace

TEST_CASE("two Nesterov steps follow the recurrence of torch.optim.SGD") {
  // By hand, w = 1, g = 0.5 then 0.25, lr 0.1, momentum 0.9, weight decay 0.1:
  // g1 = 0.6, m1 = 0.6, w1 = 1 - 0.1 (0.6 + 0.54) = 0.886
  // g2 = 0.25 + 0.0886 = 0.3386, m2 = 0.8786, w2 = 0.886 - 0.1 (0.3386 + 0.79074) = 0.773066
  const Tensor w = vector_of({1, 1}), m = vector_of({0, 0}), mask = vector_of({1, 0});
  const SgdOptions options{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true};
  sgd_step(w, m, vector_of({0.5, 0.5}), mask, options);
  CHECK(w.values()[0] == doctest::Approx(0.886));
  sgd_step(w, m, vector_of({0.25, 0.25}), mask, options);
  // Without decay: m1 = 0.5, w1 = 1 - 0.1 * 0.95 = 0.905; m2 = 0.7, w2 = 0.905 - 0.1 * (0.25 +
  // 0.63) = 0.817.
  check_values(w, {0.773066, 0.817});
}

TEST_CASE("plain momentum steps follow the recurrence of torch.optim.SGD") {
  const Tensor w = vector_of({1}), m = vector_of({0}), mask = vector_of({1});
  const SgdOptions options{.lr = 0.1, .momentum = 0.5, .nesterov = false};
  sgd_step(w, m, vector_of({1}), mask, options);
  sgd_step(w, m, vector_of({1}), mask, options);
  check_values(w, {1 - 0.1 - 0.15});
}

TEST_CASE(
    "the first AdamW step moves by lr against the sign of the gradient, after decoupled decay") {
  const Tensor w = vector_of({1, -2}), first = vector_of({0, 0}), second = vector_of({0, 0}),
               mask = vector_of({1, 0});
  adamw_step(w, first, second, vector_of({3, -0.01}), mask,
             {.lr = 0.1, .weight_decay = 0.5, .step = 1});
  check_values(w, {1 - 0.05 - 0.1, -2 + 0.1 * 0.01 / (0.01 + 1e-8)});
}

TEST_CASE("the second AdamW step matches the formula of Loshchilov and Hutter") {
  const Tensor w = vector_of({1}), first = vector_of({0}), second = vector_of({0}),
               mask = vector_of({0});
  adamw_step(w, first, second, vector_of({1}), mask, {.lr = 0.1, .step = 1});
  adamw_step(w, first, second, vector_of({-0.5}), mask, {.lr = 0.1, .step = 2});
  const double m = 0.9 * 0.1 - 0.1 * 0.5, v = 0.999 * 0.001 + 0.001 * 0.25;
  const double mhat = m / (1 - 0.81), vhat = v / (1 - 0.999 * 0.999);
  check_values(w, {0.9 - 0.1 * mhat / (std::sqrt(vhat) + 1e-8)});
}

TEST_CASE("the norm of a long vector of ones is the root of its length") {
  CHECK(norm_of(Tensor::full({1000003}, 1)) == doctest::Approx(std::sqrt(1000003.0)).epsilon(1e-9));
}

TEST_CASE("optimiser steps bump the version that guards saved tensors") {
  const Tensor w = vector_of({1}), m = vector_of({0});
  const uint64_t before = w.version();
  sgd_step(w, m, vector_of({1}), vector_of({1}), {});
  CHECK(w.version() > before);
}

namespace {

double mixed(const Tensor& images, const MixingOptions& options, const RandomKey& key) {
  const Mixing mixing = draw_mixing(images.size(1), images.size(2), options, key);
  mix(images, mixing);
  return mixing.label_weight;
}

}  // namespace

TEST_CASE("mixup blends each picture with its partner by one weight") {
  Tensor images = Tensor::empty({4, 2, 2, 3});
  for (int64_t i = 0; i < 4; ++i)
    std::fill_n(images.data<float>() + i * 12, 12, static_cast<float>(i));
  const double weight = mixed(images, {.mixup = 1.0}, {1, 2, 3});
  CHECK(weight >= 0);
  CHECK(weight <= 1);
  for (int64_t i = 0; i < 4; ++i)
    CHECK(
        images.data<float>()[i * 12 + 5] ==
        doctest::Approx(weight * static_cast<double>(i) + (1 - weight) * static_cast<double>(3 - i))
            .epsilon(1e-5));
}

TEST_CASE("cutmix pastes a box and the weight is the share that was kept") {
  for (uint64_t step = 0; step < 20; ++step) {
    Tensor images = Tensor::empty({2, 8, 8, 3});
    std::fill_n(images.data<float>(), 192, 0.0f);
    std::fill_n(images.data<float>() + 192, 192, 1.0f);
    const double weight = mixed(images, {.cutmix = 1.0}, {7, step, 3});
    double foreign = 0;
    for (int64_t i = 0; i < 192; ++i) foreign += static_cast<double>(images.data<float>()[i]);
    CHECK(1 - foreign / 192 == doctest::Approx(weight));
  }
}

TEST_CASE("the weight of mixup with alpha 1 is uniform") {
  double mean = 0, square = 0;
  const int n = 4000;
  for (int i = 0; i < n; ++i) {
    Tensor images = Tensor::zeros({2, 1, 1, 3});
    const double weight = mixed(images, {.mixup = 1.0}, {11, static_cast<uint64_t>(i), 5});
    mean += weight / n;
    square += weight * weight / n;
  }
  CHECK(std::abs(mean - 0.5) < 4 * 0.289 / std::sqrt(n));
  CHECK(std::abs(square - mean * mean - 1.0 / 12) < 0.005);
}

TEST_CASE("mixed targets sum to one and carry smoothing and weight") {
  const Tensor labels = Tensor::from({2, 0}, {2}, DType::i32);
  Tensor targets = Tensor::empty({2, 4});
  mix_targets(targets, labels, 0.75, 0.1);
  const std::vector<double> t = targets.values();
  CHECK(t[2] == doctest::Approx(0.025 + 0.9 * 0.75));
  CHECK(t[0] == doctest::Approx(0.025 + 0.9 * 0.25));
  CHECK(t[0] + t[1] + t[2] + t[3] == doctest::Approx(1));
}

TEST_CASE("a label counts among the k largest, ties in favour of the smaller class") {
  const Tensor logits = Tensor::from({2, 2, 0, 0, 0, 0,  //
                                      2, 2, 0, 0, 0, 0,  //
                                      9, 8, 7, 6, 1, 1,  //
                                      9, 8, 7, 6, 1, 1},
                                     {4, 6});
  const Tensor labels = Tensor::from({1, 0, 5, 4}, {4}, DType::i32), score = empty_score({});
  add_to_score(score, Tensor::full({}, 0.5), logits, labels);
  CHECK(score.values() == std::vector<double>{2, 1, 3, 4});
  add_to_score(score, Tensor::full({}, 0.25), logits, labels);
  CHECK(score.values() == std::vector<double>{3, 2, 6, 8});
}

TEST_CASE("rates set beside an optimiser count in place of those of its options") {
  const auto run = [](bool beside) {
    const Tensor w = vector_of({1, -2}), m = vector_of({1, 2}), average = vector_of({5, 6});
    const Tensor first = vector_of({0.1, 0.2}), second = vector_of({0.3, 0.4});
    const Tensor mask = vector_of({1, 0}), gradient = vector_of({0.5, 3}), rates = empty_rates({});
    const AdamwOptions adamw{.lr = 0.1, .weight_decay = 0.5, .step = 3};
    const SgdOptions sgd{.lr = 0.2, .weight_decay = 0.1, .nesterov = true};
    if (beside) set_rates(rates, adamw, 0.75);
    adamw_step(w, first, second, gradient, mask, beside ? AdamwOptions{.weight_decay = 0.5} : adamw,
               {.average = average,
                .average_decay = beside ? 0 : 0.75,
                .rates = beside ? rates : Tensor{}});
    if (beside) set_rates(rates, sgd, 0.25);
    sgd_step(w, m, gradient, mask, beside ? SgdOptions{.weight_decay = 0.1, .nesterov = true} : sgd,
             {.rates = beside ? rates : Tensor{}});
    average_step(average, w, beside ? 0 : 0.25, beside ? rates : Tensor{});
    std::vector<double> all = w.values();
    for (const Tensor& tensor : {first, second, m, average}) {
      const std::vector<double> values = tensor.values();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("settings survive the way through TOML, bit for bit") {
  RunConfig config;
  RunSettings& s = config.settings;
  s.model = "CC.CM.CM.CM";
  s.data = "a \"quoted\" folder";
  s.lr = 0.1 + 0.2;
  s.weight_decay = 1e-8;
  s.clip_grad = 3;
  s.epochs = 7;
  s.model_ema = true;
  s.opt = OptimizerKind::adamw;
  s.sched = ScheduleKind::cosine;
  s.crop_mode = CropMode::reflect;
  config.sessions.push_back({.date = "2026-01-01T10:10:10Z", .version = version()});
  const RunSettings back = run_config_from(to_toml(config), "config.toml").settings;
  for (const Setting& row : settings()) CHECK(value_text(back, row) == value_text(s, row));
  CHECK(back.lr == s.lr);
  CHECK(back.weight_decay == s.weight_decay);
  CHECK(back.opt == OptimizerKind::adamw);
}

namespace {

std::string set_message(const std::string& key, const std::string& value) {
  return message_of<UsageError>([&] {
    RunSettings config;
    set_value(config, key, value);
  });
}

}  // namespace

TEST_CASE("a wrong setting is named in one line with the way out") {
  CHECK(set_message("epoch", "3").find("unknown setting 'epoch'") == 0);
  CHECK(set_message("epoch", "3").find("epochs") != std::string::npos);
  CHECK(set_message("epochs", "many") == "epochs: 'many' is not a number");
  CHECK(set_message("epochs", "0") == "epochs: 0 is too small, the least is 1e-09");
  CHECK(set_message("steps", "1.5") == "steps: '1.5' is not a whole number");
  CHECK(set_message("threads", "-1") == "threads: -1 is too small, the least is 0");
  CHECK(set_message("hflip", "1.5") == "hflip: 1.5 is too large, the most is 1");
  CHECK(set_message("lr", "nan") == "lr: 'nan' is not a number");
  CHECK(set_message("lr", "fast") == "lr: 'fast' is not a number");
  CHECK(set_message("opt", "adamx").find("opt: 'adamx' is not one of sgd, adamw") == 0);
  CHECK(set_message("model_ema", "perhaps") == "model_ema: 'perhaps' is neither true nor false");
}

TEST_CASE("a recipe file is read by family, and its mistakes name file and key") {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / "passband-recipe.toml";
  write_file_atomically(file, "[train]\nlr = 0.5\nepochs = 3\n[family.vit.train]\nlr = 0.25\n");
  CHECK(resolve({{"recipe", file.string()}, {"model", "vit"}}).lr == 0.25);
  const RunSettings resnet =
      resolve({{"recipe", file.string()}, {"model", "resnet"}, {"epochs", "4"}});
  CHECK(resnet.lr == 0.5);
  CHECK(resnet.epochs == 4);
  write_file_atomically(file, "[train]\nlearning_rate = 0.5\n");
  CHECK(message_of<UsageError>([&] {
          resolve({{"recipe", file.string()}});
        }).find("unknown setting 'learning_rate'") != std::string::npos);
  write_file_atomically(file, "[trian]\nlr = 0.5\n");
  CHECK(message_of<UsageError>([&] {
          resolve({{"recipe", file.string()}});
        }).find("unknown section [trian]") != std::string::npos);
  write_file_atomically(file, "[train\nlr = 0.5\n");
  CHECK(message_of<UsageError>([&] {
          resolve({{"recipe", file.string()}});
        }).find(file.string() + ":1:") == 0);
  std::filesystem::remove(file);
}

TEST_CASE("settings that contradict each other are refused") {
  CHECK(message_of<UsageError>([] {
          resolve({{"epochs", "2"}, {"warmup_epochs", "5"}});
        }).find("warmup_epochs: 5") == 0);
  CHECK(message_of<UsageError>([] {
          resolve({{"model", "resnet5o"}});
        }).find("resnet50") != std::string::npos);
}

TEST_CASE("a recipe's own warm-up shrinks with the epochs, and only a given one is refused") {
  for (const char* model : {"resnet", "alternet", "lambda_resnet", "vit"})
    for (const char* epochs : {"1", "2", "3", "50"}) {
      const RunSettings whole = resolve({{"model", model}});
      const RunSettings s = resolve({{"model", model}, {"epochs", epochs}});
      CHECK(s.warmup_epochs > 0);
      CHECK(s.warmup_epochs <= static_cast<double>(s.epochs) / 2);
      if (s.epochs > whole.epochs) CHECK(s.warmup_epochs == whole.warmup_epochs);
    }
  // of two epochs of nine, in the recipe of the rest
  CHECK(resolve({{"model", "airbench94"}, {"epochs", "1"}}).warmup_epochs ==
        doctest::Approx(2.0 / 9));
}

TEST_CASE("what a run that goes on may change, and what its schedule makes of it") {
  RunConfig run;
  run.settings = resolve({{"model", "vit"}, {"data", "shapes"}, {"epochs", "2"}, {"lr", "0.5"}});
  CHECK(resumed_settings(run, {{"epochs", "6"}, {"threads", "1"}}).epochs == 6);
  CHECK(resumed_settings(run, {{"model", "vit"}}).model == "vit");
  CHECK(message_of<UsageError>([&] {
          resumed_settings(run, {{"batch_size", "3"}});
        }).find("--resume: batch_size belongs to the run") == 0);
  RunSettings longer = run.settings;
  CHECK(change_of_schedule(run.settings, longer, 10, 10).empty());
  longer.epochs = 4;
  longer.warmup_epochs = run.settings.warmup_epochs = 1;
  // Half of the one epoch that was left after the warm-up, against a sixth of three.
  CHECK(change_of_schedule(run.settings, longer, 15, 10) ==
        "epochs 2 -> 4: from step 16 on, of 40, the learning rate follows the changed schedule, "
        "from 0.417 (before: 0.25)");
}

TEST_CASE("a progress line is never wider than the terminal, and keeps the time left longest") {
  const ProgressState state{.epoch = 3,
                            .epochs = 200,
                            .step = 1234,
                            .steps = 78200,
                            .loss = 1.5,
                            .lr = 0.05,
                            .images_per_second = 1000,
                            .seconds_left = 7697};
  for (int64_t columns = 0; columns < 200; ++columns)
    CHECK(std::ssize(progress_text(state, columns)) <= columns);
  CHECK(progress_text(state, 200).find("lr 0.05  1000 images/s  2:08:17 left") !=
        std::string::npos);
  CHECK(progress_text(state, 42) == "epoch 3/200  step 1234/78200  2:08:17 left");
  CHECK(progress_text(state, 30) == "epoch 3/200  2:08:17 left");
}

TEST_CASE("a row of logits that is not finite is wrong, whatever its label") {
  const double nan = std::nan(""), inf = HUGE_VAL;
  const Tensor logits = Tensor::from({nan, nan,  nan, nan, nan, nan,  //
                                      9,   1,    1,   1,   1,   nan,  //
                                      inf, 0,    0,   0,   0,   0,    //
                                      9,   -inf, 0,   0,   0,   0,    //
                                      9,   0,    0,   0,   0,   0},
                                     {5, 6});
  const Tensor labels = Tensor::from({0, 0, 0, 0, 0}, {5}, DType::i32), score = empty_score({});
  add_to_score(score, Tensor::full({}, 0), logits, labels);
  CHECK(score.values() == std::vector<double>{0, 1, 1, 5});
}

TEST_CASE("a name that is offered is near, and beside one slip no others are") {
  CHECK(did_you_mean("cifar11", {"cifar10", "cifar100"}) == "; did you mean \"cifar10\"?");
  CHECK(did_you_mean("--bach-size", {"--batch-size", "--eval-batch-size"}) ==
        "; did you mean \"--batch-size\"?");
  CHECK(did_you_mean("sdg", {"sgd", "adamw"}) == "; did you mean \"sgd\"?");
  CHECK(did_you_mean("x", {"lr", "a", "resnet"}).empty());
  CHECK(did_you_mean("foo", {"opt", "lr", "conv"}).empty());
  CHECK(did_you_mean("vit_t", {"vit_tiny", "resnet18"}) == "; did you mean \"vit_tiny\"?");
}

TEST_CASE("durations read as people write them") {
  CHECK(format_duration(42.4) == "42 s");
  CHECK(format_duration(127) == "2:07");
  CHECK(format_duration(3753) == "1:02:33");
}

namespace {

// A disk on which half of each write succeeds while it is full.
class FullDisk final : public SystemCalls {
 public:
  bool full = false;
  ssize_t write(int file, const void* bytes, size_t count) override {
    if (!full) return SystemCalls::write(file, bytes, count);
    SystemCalls::write(file, bytes, count / 2);
    errno = ENOSPC;
    return -1;
  }
};

}  // namespace

TEST_CASE("lines of a run that a full disk did not take follow once, whole and in order") {
  const std::filesystem::path run =
      std::filesystem::temp_directory_path() / ("passband-log-" + std::to_string(::getpid()));
  std::filesystem::create_directories(run);
  {
    FullDisk disk;
    const ReplacedSystemCalls replaced(disk);
    RunLog log(run);
    for (int64_t step = 1; step <= 4; ++step) {
      disk.full = step == 2 || step == 3;
      log.step(step, 1, 0.5, 0.25, 0.1);
    }
    log.record();
  }
  const std::string text = read_run_file(run, "metrics.jsonl");
  CHECK(std::count(text.begin(), text.end(), '\n') == 4);
  size_t at = 0;
  for (int step = 1; step <= 4; ++step) {
    at = text.find("\"step\":" + std::to_string(step), at);
    CHECK(at != std::string::npos);
  }
  std::filesystem::remove_all(run);
}
