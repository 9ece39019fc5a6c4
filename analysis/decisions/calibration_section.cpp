#include "analysis/decisions/calibration_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/decisions/calibration_pass.h"
#include "analysis/report/text.h"
#include "analysis/study/claims.h"
#include "analysis/study/compare.h"
#include "analysis/study/wording.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

constexpr double kSmallestBias = 0.005;  // of the confidence that is worth a word

Estimate bias_of(const CalibrationResult& r) {
  return Estimate::within(r.signed_ece, 1.96 * r.signed_error);
}

double smallest_bias(const CalibrationResult& r) { return std::max(kSmallestBias, r.ece_floor); }

std::string_view manner(const CalibrationResult& r) {
  switch (judge(bias_of(r), 0, smallest_bias(r))) {
    case Verdict::above: return "over-confident";
    case Verdict::below: return "under-confident";
    default: return "neither over- nor under-confident";
  }
}

std::string error_text(const CalibrationResult& r) {
  const std::string error = fine_percent(r.ece), floor = fine_percent(r.ece_floor);
  if (judge(Estimate::exact(r.ece), 0, r.ece_floor) == Verdict::above)
    return error + " (a calibrated network of this many pictures would show " + floor + ")";
  return error + ", no more than a calibrated network of this many pictures shows (" + floor + ")";
}

// What the fitted temperature does on the pictures that it was not fitted to.
std::string temperature_text(const CalibrationResult& r) {
  if (r.held_out == 0) return {};
  if (!std::isfinite(r.temperature))
    return "; no temperature fits, the likelihood rises to the end of the range that was searched";
  const std::string before = fine_percent(r.before.ece), after = fine_percent(r.after.ece);
  switch (judge(Estimate::exact(r.after.ece - r.before.ece), 0,
                std::max(r.before.ece_floor, r.after.ece_floor))) {
    case Verdict::below:
      return fmt::format(
          "; a temperature of {:.2f} takes the error from {} to {} on held-out "
          "pictures",
          r.temperature, before, after);
    case Verdict::above:
      return fmt::format(
          "; a temperature of {:.2f} raises the error from {} to {} on held-out "
          "pictures",
          r.temperature, before, after);
    default:
      return fmt::format(
          "; the fitted temperature, {:.2f}, makes no difference to it on held-out "
          "pictures ({} before, {} after)",
          r.temperature, before, after);
  }
}

// What it is right among, where the pictures are of some of its classes.
std::string among_text(const CalibrationResult& r, int64_t classes) {
  if (r.shown_classes == 0) return {};
  return fmt::format(
      " (answering by any of {} classes; by the {} that the pictures are of alone, {})", classes,
      r.shown_classes, fine_percent(r.accuracy_among_shown));
}

std::string sentence(const std::string& label, const CalibrationResult& r, int64_t classes) {
  return fmt::format(
      "{} is right in {} of {} test {}{} and {}: expected calibration error {}, negative "
      "log-likelihood {:.3f}{}.",
      label, fine_percent(r.accuracy), r.count, r.count == 1 ? "picture" : "pictures",
      among_text(r, classes), manner(r), error_text(r), r.nll, temperature_text(r));
}

std::vector<ReportValue> values_of(const std::string& label, const CalibrationResult& r) {
  const auto n = static_cast<double>(r.count);
  const plot::Interval range = plot::wilson(r.accuracy * n, n);
  std::vector<ReportValue> values = {
      {.key = "accuracy",
       .label = "Test accuracy",
       .value = r.accuracy,
       .text = fine_percent(r.accuracy),
       .detail = fmt::format("95 % interval {} to {}, n = {}", fine_percent(range.low),
                             fine_percent(range.high), r.count),
       .headline = true},
      {.key = "ece",
       .label = "Calibration error",
       .value = r.ece,
       .text = fine_percent(r.ece),
       .detail = "floor " + fine_percent(r.ece_floor),
       .headline = true},
      {.key = "nll", .label = "Negative log-likelihood", .value = r.nll, .headline = true},
      {.key = "brier", .label = "Brier score", .value = r.brier},
      {.key = "mce", .label = "Largest gap of a bin", .value = r.mce, .text = fine_percent(r.mce)},
      {.key = "signed_ece",
       .label = "Confidence minus accuracy",
       .value = r.signed_ece,
       .text = fine_percent(r.signed_ece)},
      {.key = "adaptive_ece",
       .label = "Calibration error, bins of equal count",
       .value = r.adaptive_ece,
       .text = fine_percent(r.adaptive_ece),
       .detail = "floor " + fine_percent(r.adaptive_floor)},
      {.key = "classwise_ece",
       .label = "Calibration error, mean over classes",
       .value = r.classwise_ece,
       .text = fine_percent(r.classwise_ece),
       .detail = "floor " + fine_percent(r.classwise_floor)}};
  if (r.held_out > 0 && std::isfinite(r.temperature)) {
    values.push_back({.key = "temperature",
                      .label = "Fitted temperature",
                      .value = r.temperature,
                      .detail = fmt::format("judged on {} other pictures", r.held_out)});
    values.push_back({.key = "ece_scaled",
                      .label = "Calibration error at that temperature",
                      .value = r.after.ece,
                      .text = fine_percent(r.after.ece),
                      .detail = "before " + fine_percent(r.before.ece)});
    values.push_back({.key = "nll_scaled",
                      .label = "Negative log-likelihood at that temperature",
                      .value = r.after.nll,
                      .detail = fmt::format("before {:.4g}", r.before.nll)});
  }
  if (r.shown_classes > 0)
    values.push_back({.key = "accuracy_among_shown",
                      .label = fmt::format("Test accuracy among {} classes", r.shown_classes),
                      .value = r.accuracy_among_shown,
                      .text = fine_percent(r.accuracy_among_shown),
                      .detail = "the network may answer by the classes of the pictures alone",
                      .headline = true});
  for (ReportValue& value : values) value.subject = label;
  return values;
}

std::string comparison(const std::vector<Subject>& subjects,
                       const std::vector<CalibrationResult>& results) {
  std::vector<Estimate> accuracy, ece;
  for (const CalibrationResult& r : results) {
    const auto n = static_cast<double>(r.count);
    accuracy.push_back(share_of(r.accuracy * n, n));
    ece.push_back(Estimate::within(r.ece, r.ece_floor));
  }
  return "Accuracy: " + side_by_side(subjects, accuracy, fine_percent) +
         ". Calibration error: " + side_by_side(subjects, ece, fine_percent) + ".";
}

// Accuracy against confidence of all networks in one panel.
plot::Figure together(const std::vector<Subject>& subjects,
                      const std::vector<CalibrationResult>& results) {
  plot::Panel panel{.x = {.label = "confidence", .low = 0.0, .high = 1.0},
                    .y = {.label = "accuracy", .low = 0.0, .high = 1.0}};
  panel.references = {{.along = plot::Reference::Along::diagonal, .label = "honest"}};
  for (size_t s = 0; s < subjects.size(); ++s) {
    plot::Line line{.name = subjects[s].label};
    for (const plot::ReliabilityBin& bin : results[s].bins) {
      if (bin.n == 0) continue;
      const auto n = static_cast<double>(bin.n), correct = static_cast<double>(bin.correct);
      const plot::Interval range = plot::wilson(correct, n);
      line.x.push_back(bin.confidence);
      line.y.push_back(correct / n);
      line.low.push_back(range.low);
      line.high.push_back(range.high);
    }
    panel.lines.push_back(std::move(line));
  }
  plot::Figure figure{.name = "calibration-together",
                      .title = "Accuracy against confidence of all networks."};
  figure.panels.push_back(std::move(panel));
  return figure;
}

}  // namespace

Section calibration_section(const AnalysisInput& input, const CalibrationOptions& options) {
  Section section;
  const int64_t bins = options.bins;
  if (bins < 2 || bins > 1000)
    throw UsageError(fmt::format("--set calibration.bins: {} is outside 2 to 1000", bins));
  const std::vector<CalibrationResult> results = calibrations(input, bins);
  for (size_t s = 0; s < results.size(); ++s) {
    const std::string& label = input.subjects[s].label;
    section.finding += (s > 0 ? " " : "") + sentence(label, results[s], input.data->num_classes());
    for (ReportValue& value : values_of(label, results[s]))
      section.values.push_back(std::move(value));
    add_claim(section,
              {.text = "It is over-confident",
               .key = "signed_ece",
               .side = Verdict::above,
               .floor = smallest_bias(results[s]),
               .words = [](double v) { return fmt::format("{:+.2f} %", 100 * v); }},
              label, bias_of(results[s]));
  }
  if (results.size() > 1) section.finding += " " + comparison(input.subjects, results);
  section.reading =
      "Bars show the accuracy of predictions grouped by their confidence, with 95 % intervals; on "
      "the diagonal the network is honest, below it over-confident, above it under-confident. The "
      "lower panel shows how many predictions fall into each group. Dividing the logits by a "
      "temperature above 1 lowers every confidence and changes no answer.";
  section.caveats = {
      fmt::format("{} bins of equal width, (low, high]. Label smoothing and strong augmentation "
                  "make networks under-confident. The largest gap often "
                  "belongs to a bin of few pictures.",
                  bins),
      "The temperature is fitted on every second test picture and judged on the others."};
  for (size_t s = 0; s < results.size(); ++s) {
    const std::string& label = input.subjects[s].label;
    const std::string name = s == 0 ? "calibration" : fmt::format("calibration-{}", s + 1);
    section.figures.push_back(
        plot::reliability_figure(name, "Reliability diagram, " + label + ".", results[s].bins));
    section.figures.back().alt = sentence(label, results[s], input.data->num_classes());
  }
  if (results.size() > 1) {
    section.figures.push_back(together(input.subjects, results));
    section.figures.back().alt = comparison(input.subjects, results);
  }
  return section;
}

}  // namespace passband
