#include "analysis/decisions/confusion_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <span>
#include <utility>

#include "analysis/decisions/calibration_pass.h"
#include "analysis/decisions/calibration_section.h"
#include "analysis/study/verdict.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

struct Confusion {
  int64_t truth = 0, answer = 0, count = 0;
};

// The two most frequent errors, the first of equal ones first.
std::array<Confusion, 2> worst_of(const CalibrationResult& r, int64_t classes) {
  std::array<Confusion, 2> worst;
  for (int64_t i = 0; i < classes * classes; ++i) {
    const Confusion here{i / classes, i % classes, r.confusion[static_cast<size_t>(i)]};
    if (here.truth == here.answer || here.count <= worst[1].count) continue;
    worst[1] = here;
    if (worst[1].count > worst[0].count) std::swap(worst[0], worst[1]);
  }
  return worst;
}

std::string accuracy_of(const std::string& label, const CalibrationResult& r) {
  return fmt::format("{} is right on {:.2f} % of {}", label, 100 * r.accuracy,
                     counted(r.count, "picture"));
}

std::string sentence(const std::string& label, const CalibrationResult& r,
                     const std::vector<std::string>& classes) {
  const auto [worst, next] = worst_of(r, static_cast<int64_t>(classes.size()));
  if (worst.count == 0) return accuracy_of(label, r) + ".";
  const std::string error =
      fmt::format("{} taken for {}", classes[static_cast<size_t>(worst.truth)],
                  classes[static_cast<size_t>(worst.answer)]);
  const auto n = static_cast<double>(r.count);
  const Estimate lead = difference(share_of(static_cast<double>(worst.count), n),
                                   share_of(static_cast<double>(next.count), n));
  if (judge(lead) == Verdict::above)
    return fmt::format("{}; its most frequent error: {} ({}).", accuracy_of(label, r), error,
                       counted(worst.count, "time"));
  return fmt::format("{}; no error stands out: the most frequent, {}, is made {}, the next {}.",
                     accuracy_of(label, r), error, counted(worst.count, "time"),
                     counted(next.count, "time"));
}

// Rows and columns of the classes that pictures are of; all other answers are one column.
plot::Figure shown_figure(const std::string& name, const std::string& title, const Dataset& data,
                          const std::vector<int64_t>& counts) {
  const std::vector<int32_t> shown = data.shown_classes();
  plot::Heatmap map{.rows = std::ssize(shown),
                    .columns = std::ssize(shown) + 1,
                    .value = "% of the true class",
                    .map = plot::ColorMap::tint,
                    .low = 0,
                    .high = 100,
                    .show_values = true,
                    .decimals = 1};
  for (const int32_t truth : shown) {
    const auto row = std::span(counts).subspan(static_cast<size_t>(truth) * data.classes.size(),
                                               data.classes.size());
    const double total = std::max(1.0, std::accumulate(row.begin(), row.end(), 0.0));
    double rest = 100;
    for (const int32_t answer : shown) {
      map.values.push_back(100 * static_cast<double>(row[static_cast<size_t>(answer)]) / total);
      rest -= map.values.back();
    }
    map.values.push_back(std::max(0.0, rest));
    map.row_labels.push_back(data.classes[static_cast<size_t>(truth)]);
  }
  map.column_labels = map.row_labels;
  map.column_labels.emplace_back("any other");
  plot::Panel panel{
      .x = {.label = "Predicted class"}, .y = {.label = "True class"}, .heatmap = std::move(map)};
  return {.name = name, .title = title, .panels = {std::move(panel)}};
}

}  // namespace

Section confusion_section(const AnalysisInput& input) {
  Section section;
  const std::vector<std::string>& classes = input.data->classes;
  const std::vector<CalibrationResult> results = calibrations(input, CalibrationOptions{}.bins);
  for (size_t s = 0; s < results.size(); ++s) {
    const std::string& label = input.subjects[s].label;
    const std::string text = sentence(label, results[s], classes);
    section.finding += (s == 0 ? "" : " ") + text;
    const std::string name = s == 0 ? "confusion" : fmt::format("confusion-{}", s + 1);
    const std::string title = "Confusion matrix, " + label + ".";
    section.figures.push_back(
        results[s].shown_classes > 0
            ? shown_figure(name, title, *input.data, results[s].confusion)
            : plot::confusion_figure(name, title, classes, results[s].confusion));
    section.figures.back().alt = text;
    section.values.push_back({.key = "accuracy",
                              .label = "Test accuracy",
                              .value = results[s].accuracy,
                              .text = fmt::format("{:.2f} %", 100 * results[s].accuracy),
                              .subject = label});
  }
  section.reading =
      "Rows are the true classes, columns what the network said; each row sums to 100 %.";
  return section;
}

}  // namespace passband
