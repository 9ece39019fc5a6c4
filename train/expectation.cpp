#include "train/expectation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/core/text.h"

namespace passband {
namespace {

// experiments/quick.md, the mean of its seeds; of each network, the shortest training first.
const std::vector<MeasuredTraining> kMeasured = {
    {"alternet", 4, 0.0388, 87.12},           {"alternet", 10.344, 0.1002, 89.45},
    {"alternet", 14.451, 0.1400, 89.20},      {"resnet", 4, 0.0592, 89.01},
    {"resnet", 8.2615, 0.1222, 90.45},        {"lambda_resnet", 3, 0.0284, 87.03},
    {"lambda_resnet", 9.2154, 0.0871, 89.05}, {"vit", 2.1, 0.0240, 71.69},
    {"vit", 4.5564, 0.0521, 77.99},
};

std::vector<MeasuredTraining> trainings_of(const std::string& model) {
  std::vector<MeasuredTraining> found;
  for (const MeasuredTraining& training : kMeasured)
    if (training.model == model) found.push_back(training);
  return found;
}

// The least one of a few lengths that people choose.
double round_minutes(double minutes) {
  constexpr std::array kLengths = {1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480};
  for (const int length : kLengths)
    if (length >= minutes) return length;
  return 60 * std::ceil(minutes / 60);
}

// Three figures, none of them after an exponent.
std::string in_figures(double value) {
  return value < 100 ? fmt::format("{:.3g}", value) : fmt::format("{:.0f}", value);
}

std::string in_words(double count, const char* noun) {
  const std::string figures = in_figures(count);
  return fmt::format("{} {}{}", figures, noun, figures == "1" ? "" : "s");
}

}  // namespace

const std::vector<MeasuredTraining>& measured_trainings() { return kMeasured; }

double pflop_of(double macs, double pictures) { return 6 * macs * pictures / 1e15; }

std::optional<double> expected_accuracy(const std::string& model, double pflop) {
  constexpr double kAbove = 1.25;
  const std::vector<MeasuredTraining> known = trainings_of(model);
  if (known.empty() || pflop > kAbove * known.back().pflop) return {};
  if (pflop >= known.back().pflop) return known.back().accuracy;
  for (size_t i = 0; i + 1 < known.size(); ++i) {
    const MeasuredTraining &low = known[i], &high = known[i + 1];
    if (pflop < low.pflop || pflop > high.pflop) continue;
    const double share = std::log(pflop / low.pflop) / std::log(high.pflop / low.pflop);
    return low.accuracy + share * (high.accuracy - low.accuracy);
  }
  return {};
}

bool is_measured_recipe(const RunSettings& settings) {
  constexpr std::array kNeutral = {"data_dir",      "minutes",
                                   "eval_interval", "eval_batch_size",
                                   "eval_pictures", "tta",
                                   "save_minutes",  "precision",
                                   "seed",          "checkpoint_interval",
                                   "threads",       "device",
                                   "graph",         "conv",
                                   "matmul"};
  const RunSettings plain = resolve({{"model", settings.model}});
  return std::ranges::all_of(passband::settings(), [&](const Setting& s) {
    return std::ranges::find(kNeutral, std::string(s.key)) != kNeutral.end() ||
           value_text(settings, s) == value_text(plain, s);
  });
}

std::string describe(const Prospect& p) {
  const auto accuracy_after = [&](double minutes) {
    return expected_accuracy(p.model, pflop_of(p.macs, 60 * minutes * p.pictures_per_second));
  };
  const auto percent = [](double accuracy) { return fmt::format("about {:.0f} %", accuracy); };
  const std::string length = in_words(p.minutes, "minute");
  std::string text =
      fmt::format("{} pictures/s: {} {} {}, {:.3g} PFLOP", in_figures(p.pictures_per_second),
                  length, length == "1 minute" ? "holds" : "hold", in_words(p.epochs, "epoch"),
                  pflop_of(p.macs, 60 * p.minutes * p.pictures_per_second));
  if (const auto accuracy = accuracy_after(p.minutes))
    text += fmt::format(": {} by experiments/quick.md", percent(*accuracy));
  const std::vector<MeasuredTraining> known = trainings_of(p.model);
  if (known.empty()) return text;
  const double per_minute = pflop_of(p.macs, 60 * p.pictures_per_second);
  const double longest = round_minutes(known.back().pflop / per_minute);
  if (longest > p.minutes)
    text += fmt::format("; {} {}", in_words(longest, "minute"), percent(known.back().accuracy));
  return text;
}

}  // namespace passband
