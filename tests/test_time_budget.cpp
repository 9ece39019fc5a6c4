// Budgets of training time: lengths of a run, the time left, and what to expect.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/model.h"
#include "tests/message_of.h"
#include "train/config.h"
#include "train/expectation.h"
#include "train/schedule.h"
#include "train/time_left.h"
#include "train/training_pace.h"

using namespace passband;

TEST_CASE("one length of a training is in force, the one that was given") {
  const RunSettings quick = resolve({{"model", "alternet"}});
  CHECK(quick.minutes == 5);
  for (const Values& given : {Values{{"epochs", "3"}}, Values{{"steps", "20"}},
                              Values{{"minutes", "0"}}, Values{{"minutes", "0"}, {"steps", "20"}}})
    CHECK(resolve(given).minutes == 0);
  CHECK(resolve({{"steps", "0"}}).minutes == 5);
  CHECK(resolve({{"minutes", "30"}, {"warmup_epochs", "7"}}).minutes == 30);
  for (const char* other : {"epochs", "steps"})
    CHECK(message_of<UsageError>([&] {
            resolve({{"minutes", "1"}, {other, "2"}});
          }) ==
          std::string("minutes and ") + other + ": both say how long to train; give one of them");
  RunConfig run;
  run.settings = with_length(quick, 100, 390, {});
  CHECK(message_of<UsageError>([&] {
          resumed_settings(run, {{"minutes", "1"}});
        }).find("--epochs") != std::string::npos);
}

TEST_CASE("epochs of any number of steps survive config.toml, and the warm-up keeps its share") {
  RunSettings quick = resolve({{"model", "alternet"}});
  quick.epochs = 6, quick.warmup_epochs = 1;
  for (const int64_t per_epoch : {1, 7, 78, 390, 10009, 1281167})
    for (const int64_t steps : {int64_t{1}, per_epoch - 1, per_epoch, per_epoch + 1,
                                6 * per_epoch - 1, 1000003 * per_epoch / 7}) {
      if (steps < 1) continue;
      const RunSettings s = with_length(quick, steps, per_epoch, {});
      CHECK(s.minutes == 0);
      RunSettings back;
      set_value(back, "epochs", fmt::format("{}", s.epochs));
      set_value(back, "warmup_epochs", fmt::format("{}", s.warmup_epochs));
      const Schedule schedule = schedule_of(back, per_epoch);
      CHECK(schedule.total_steps == steps);
      const int64_t share =
          std::min<int64_t>(per_epoch, std::llround(static_cast<double>(steps) / 6));
      CHECK(std::abs(schedule.warmup_steps - share) <= 1);
    }
  const Values given = {{"warmup_epochs", "1"}};
  CHECK(with_length(quick, 780, 390, given).warmup_epochs == 1);
  CHECK(message_of<UsageError>([&] {
          with_length(quick, 100, 390, given);
        }).find("warmup_epochs: 1") == 0);
}

TEST_CASE("steps end nearest to the time, and there is one at least") {
  CHECK(steps_within(60, 0.8) == 75);
  CHECK(steps_within(60, 0.79) == 76);
  CHECK(steps_within(1, 7) == 1);
  CHECK(steps_within(-3, 0.5) == 1);
}

TEST_CASE("the time left counts evaluations, and is right within a tenth after half a minute") {
  // A clock of its own: 0.8 s for a step of 128 pictures, the first one five times that, jitter of
  // a fifth, and an evaluation of 10,000 pictures at a quarter of a training's time for each.
  constexpr double kStep = 0.8, kEvaluation = 10000 * kStep / 128 / 4;
  constexpr int kSteps = 780, kBetween = 390;
  const auto seconds_of = [](int step) {
    return step == 1 ? 5 * kStep : kStep * (1 + 0.2 * std::sin(step * step));
  };
  double total = 2 * kEvaluation, passed = 0, worst = 0;
  for (int step = 1; step <= kSteps; ++step) total += seconds_of(step);
  TimeLeft left;
  for (int step = 1; step <= kSteps; ++step) {
    passed += seconds_of(step);
    left.trained(128, seconds_of(step));
    const int evaluations = kSteps / kBetween - (step - 1) / kBetween;
    const double said = left.seconds(128.0 * (kSteps - step), 10000.0 * evaluations);
    if (passed > 30 && total - passed > 2 * kEvaluation)
      worst = std::max(worst, std::abs(said / (total - passed) - 1));
    if (step % kBetween != 0) continue;
    passed += kEvaluation;
    left.evaluated(10000, kEvaluation);
  }
  CHECK(worst < 0.1);
  CHECK(left.seconds(0, 10000) == doctest::Approx(kEvaluation));
}

TEST_CASE("the time left follows a machine whose rate changes") {
  TimeLeft left;
  for (int step = 0; step < 300; ++step) left.trained(100, 1);
  CHECK(left.seconds(1000, 0) == doctest::Approx(10));
  for (int step = 0; step < 90; ++step) left.trained(100, 2);  // three minutes at half the rate
  CHECK(left.seconds(1000, 0) == doctest::Approx(20).epsilon(0.05));
  left.trained(100, 200);  // one step that stalls does not make an hour of the rest
  CHECK(left.seconds(1000, 0) < 150);
}

TEST_CASE("expected accuracies are those that were measured, and lie between them") {
  for (const MeasuredTraining& known : measured_trainings()) {
    const RunConfig run{.settings = resolve({{"model", known.model}}),
                        .data = {.classes = std::vector<std::string>(10, "class")}};
    const auto model = make_model(known.model, run.model_options());
    CHECK(known.pflop ==
          doctest::Approx(pflop_of(static_cast<double>(model->macs()), known.epochs * 50000))
              .epsilon(0.01));
    CHECK(*expected_accuracy(known.model, known.pflop) == doctest::Approx(known.accuracy));
    CHECK(!expected_accuracy(known.model, 1.3 * 1000));
    CHECK(!expected_accuracy(known.model, known.pflop / 1e6));
  }
}

TEST_CASE("what to expect is said for the network that was measured, and only for it") {
  const Prospect prospect{.macs = 1e6, .pictures_per_second = 1060.4, .minutes = 1, .epochs = 0.25};
  CHECK(describe(prospect) == "1060 pictures/s: 1 minute holds 0.25 epochs, 0.000382 PFLOP");
  const MeasuredTraining known = measured_trainings().front();  // 1e9 MACs at 1 picture a second
  CHECK(describe({.model = known.model,
                  .macs = 1e9,
                  .pictures_per_second = 1,
                  .minutes = known.pflop * 1e6 / 6 / 60,
                  .epochs = 2})
            .find(fmt::format("PFLOP: about {:.0f} % by experiments/quick.md", known.accuracy)) !=
        std::string::npos);
  const RunSettings quick = resolve({{"model", "resnet"}});
  CHECK(is_measured_recipe(quick));
  CHECK(is_measured_recipe(resolve({{"model", "resnet"}, {"seed", "7"}})));
  for (const Values& given : {Values{{"lr", "0.1"}}, Values{{"data", "shapes"}},
                              Values{{"warmup_epochs", "1"}}, Values{{"data_fraction", "0.5"}}}) {
    Values all = given;
    all.emplace_back("model", "resnet");
    CHECK_FALSE(is_measured_recipe(resolve(all)));
  }
}
