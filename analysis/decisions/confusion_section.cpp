#include "analysis/decisions/confusion_section.h"

#include <fmt/format.h>

#include "analysis/decisions/calibration_pass.h"
#include "analysis/decisions/calibration_section.h"

namespace passband {
namespace {

struct Confusion {
  int64_t truth = 0, answer = 0, count = 0;
};

Confusion worst_of(const CalibrationResult& r, int64_t classes) {
  Confusion worst{0, 0, -1};
  for (int64_t i = 0; i < classes * classes; ++i) {
    const int64_t count = r.confusion[static_cast<size_t>(i)];
    if (i / classes != i % classes && count > worst.count)
      worst = {i / classes, i % classes, count};
  }
  return worst;
}

}  // namespace

Section confusion_section(const AnalysisInput& input) {
  Section section;
  const std::vector<std::string>& classes = input.data->classes;
  const std::vector<CalibrationResult> results = calibrations(input, CalibrationOptions{}.bins);
  for (size_t s = 0; s < results.size(); ++s) {
    const std::string& label = input.subjects[s].label;
    const std::string name = s == 0 ? "confusion" : fmt::format("confusion-{}", s + 1);
    plot::Figure figure = plot::confusion_figure(name, "Confusion matrix, " + label + ".", classes,
                                                 results[s].confusion);
    const Confusion worst = worst_of(results[s], static_cast<int64_t>(classes.size()));
    figure.alt =
        fmt::format("The most frequent error of {}: {} taken for {} ({} of {} pictures).", label,
                    classes[static_cast<size_t>(worst.truth)],
                    classes[static_cast<size_t>(worst.answer)], worst.count, results[s].count);
    section.finding += (s == 0 ? "" : " ") + figure.alt;
    section.figures.push_back(std::move(figure));
  }
  section.reading =
      "Rows are the true classes, columns what the network said; each row sums to 100 %.";
  return section;
}

}  // namespace passband
