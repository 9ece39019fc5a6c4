#include "analysis/decisions/calibration_pass.h"

#include <fmt/format.h>

namespace passband {
namespace {

CalibrationResult measure(const Subject& subject, const AnalysisInput& input, int64_t bins,
                          const Progress& progress) {
  const Dataset& data = *input.data;
  Calibration sums(data.num_classes(), bins);
  run_pass(
      *subject.model, data,
      {.images = input.images_or(data.count), .batch_size = 250, .progress = progress}, {"logits"},
      [](const TapSite&, const Tensor&) {},
      [&](const std::vector<int64_t>& indices, const Tensor&, const Tensor& logits) {
        std::vector<int32_t> labels;
        for (const int64_t index : indices)
          labels.push_back(data.labels[static_cast<size_t>(index)]);
        sums.add(logits, labels);
      });
  return sums.result();
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
