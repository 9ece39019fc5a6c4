#include "analysis/decisions/calibration_pass.h"

#include <fmt/format.h>

#include <algorithm>

namespace passband {
namespace {

// Pictures that are read right when only the classes `shown` may be answered.
int64_t right_among(const std::vector<int32_t>& shown, const Tensor& logits,
                    const std::vector<int32_t>& labels) {
  const std::vector<double> values = logits.values();
  const auto classes = static_cast<size_t>(logits.size(1));
  int64_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto logit = [&](int32_t c) { return values[i * classes + static_cast<size_t>(c)]; };
    right += *std::ranges::max_element(shown, {}, logit) == labels[i];
  }
  return right;
}

CalibrationResult measure(const Subject& subject, const AnalysisInput& input, int64_t bins,
                          const Progress& progress) {
  const Dataset& data = *input.data;
  Calibration sums(data.num_classes(), bins);
  const std::vector<int32_t> shown = data.shown_classes();
  const bool all = std::ssize(shown) == data.num_classes();
  int64_t right = 0;
  run_logits(*subject.model, data,
             {.images = input.images_or(data.count), .batch_size = 250, .progress = progress},
             [&](const std::vector<int64_t>& indices, const Tensor& logits) {
               std::vector<int32_t> labels;
               for (const int64_t index : indices)
                 labels.push_back(data.labels[static_cast<size_t>(index)]);
               sums.add(logits, labels);
               if (!all) right += right_among(shown, logits, labels);
             });
  CalibrationResult result = sums.result();
  if (all) return result;
  result.shown_classes = std::ssize(shown);
  result.accuracy_among_shown = static_cast<double>(right) / static_cast<double>(result.count);
  return result;
}

}  // namespace

std::vector<CalibrationResult> calibrations(const AnalysisInput& input, int64_t bins) {
  std::vector<CalibrationResult> results;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const std::string key =
        fmt::format("calibration {} {} {} {}", subject.fingerprint,
                    static_cast<const void*>(subject.model.get()), input.images, bins);
    const Progress part = input.part_of(s);
    results.push_back(input.memo->get<CalibrationResult>(
        key, [&] { return measure(subject, input, bins, part); }));
  }
  return results;
}

}  // namespace passband
