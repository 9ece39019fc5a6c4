#include "analysis/loss/curves.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/run_files.h"
#include "tensor/core/split_text.h"

namespace passband {
namespace {

using nlohmann::json;

constexpr const char* kMetrics = "metrics.jsonl";

struct LoggedStep {
  double epoch = 0, loss = 0, accuracy = 0;
};

double number(const json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number() ? found->get<double>() : std::nan("");
}

void add_stretches(const std::vector<LoggedStep>& steps, int64_t points, TrainingCurves& curves) {
  const auto count = std::ssize(steps), stretches = std::min(points, count);
  for (int64_t i = 0; i < stretches; ++i) {
    const int64_t begin = i * count / stretches, end = (i + 1) * count / stretches;
    double loss = 0, accuracy = 0;
    for (int64_t k = begin; k < end; ++k) loss += steps[k].loss, accuracy += steps[k].accuracy;
    const auto length = static_cast<double>(end - begin);
    curves.epochs.push_back(steps[end - 1].epoch);
    curves.losses.push_back(loss / length);
    curves.accuracies.push_back(accuracy / length);
  }
}

// Of a run whose best weights are chosen on held-out pictures, these: the test pictures come once.
void add_evaluation(const json& line, double epoch, TrainingCurves& curves) {
  const std::string split = line.value("split", "");
  if (split == "val" && curves.judged != "val") {
    curves.judged = "val";
    curves.judged_epochs.clear(), curves.judged_losses.clear(), curves.judged_accuracies.clear();
  }
  if (split != curves.judged) return;
  curves.judged_epochs.push_back(epoch);
  curves.judged_losses.push_back(number(line, "loss"));
  curves.judged_accuracies.push_back(number(line, "top1"));
}

}  // namespace

TrainingCurves training_curves_from(const std::string& text, double steps_per_epoch,
                                    int64_t points) {
  TrainingCurves curves;
  std::vector<LoggedStep> steps;
  for (const std::string& row : split_text(text, '\n')) {
    const json line = json::parse(row, nullptr, false);
    if (!line.is_object()) continue;
    const double epoch = number(line, "step") / steps_per_epoch;
    if (line.value("split", "") != "train") {
      add_evaluation(line, epoch, curves);
      continue;
    }
    ++curves.steps;
    const LoggedStep step{epoch, number(line, "loss"), number(line, "accuracy")};
    if (std::isfinite(step.loss)) steps.push_back(step);
    else ++curves.left_out;
  }
  add_stretches(steps, points, curves);
  return curves;
}

double steps_per_epoch(const RunDescription& run) {
  const RunSettings& s = run.settings;
  const double pictures = static_cast<double>(run.data.train.count) * s.data_fraction;
  const auto batch = static_cast<double>(s.batch_size * s.grad_accum_steps);
  return std::max(1.0, std::floor(pictures / batch));
}

TrainingCurves training_curves(const RunDescription& run, int64_t points) {
  if (!std::filesystem::exists(run.directory / kMetrics)) return {};
  return training_curves_from(read_run_file(run.directory, kMetrics), steps_per_epoch(run), points);
}

}  // namespace passband
