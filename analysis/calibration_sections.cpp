// Sections: is the confidence honest, and what is taken for what?
#include <fmt/format.h>

#include "analysis/analysis.h"
#include "analysis/calibration.h"

namespace passband {
namespace {

CalibrationResult measure(const Subject& subject, const AnalysisInput& input) {
  const Dataset& data = *input.data;
  Calibration sums(data.num_classes());
  run_pass(*subject.model, data, {.images = input.images_or(data.count), .batch_size = 250}, {"logits"},
           [](const TapSite&, const Tensor&) {},
           [&](const std::vector<int64_t>& indices, const Tensor&, const Tensor& logits) {
             std::vector<int32_t> labels;
             for (const int64_t index : indices) labels.push_back(data.labels[static_cast<size_t>(index)]);
             sums.add(logits, labels);
           });
  return sums.result();
}

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

}  // namespace

Section calibration_section(const AnalysisInput& input) {
  Section section{.name = "calibration", .title = "Calibration", .order = 60};
  section.question = "When the network says 80 %, is it right in 80 of 100 cases?";
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const CalibrationResult r = measure(subject, input);
    const std::string name = s == 0 ? "calibration" : fmt::format("calibration-{}", s + 1);
    plot::Figure figure = plot::reliability_figure(name, "Reliability diagram, " + subject.label + ".", r.bins);
    const std::string sentence = fmt::format(
        "{} is right in {} of {} test pictures and {}: expected calibration error {} (a calibrated network of this "
        "many pictures would show {}), negative log-likelihood {:.3f}.",
        subject.label, percent(r.accuracy), r.count,
        std::abs(r.signed_ece) < 0.005 ? "neither over- nor under-confident"
        : r.signed_ece > 0             ? "over-confident"
                                       : "under-confident",
        percent(r.ece), percent(r.ece_floor), r.nll);
    figure.alt = sentence;
    section.figures.push_back(std::move(figure));
    if (s > 0) continue;
    section.finding = sentence;
    const plot::Interval range = plot::wilson(r.accuracy * static_cast<double>(r.count), static_cast<double>(r.count));
    section.values = {
        {.key = "accuracy", .label = "Test accuracy", .value = r.accuracy, .text = percent(r.accuracy),
         .detail = fmt::format("95 % interval {} to {}, n = {}", percent(range.low), percent(range.high), r.count),
         .headline = true},
        {.key = "ece", .label = "Calibration error", .value = r.ece, .text = percent(r.ece),
         .detail = "floor " + percent(r.ece_floor), .headline = true},
        {.key = "nll", .label = "Negative log-likelihood", .value = r.nll, .headline = true},
        {.key = "brier", .label = "Brier score", .value = r.brier},
        {.key = "mce", .label = "Largest gap of a bin", .value = r.mce, .text = percent(r.mce)},
        {.key = "signed_ece", .label = "Confidence minus accuracy", .value = r.signed_ece,
         .text = percent(r.signed_ece)}};
  }
  section.reading =
      "Bars show the accuracy of predictions grouped by their confidence, with 95 % intervals; on the diagonal the "
      "network is honest, below it over-confident, above it under-confident. The lower panel shows how many "
      "predictions fall into each group.";
  section.caveats = {"15 bins of equal width. Label smoothing and strong augmentation make networks under-confident."};
  return section;
}

Section confusion_section(const AnalysisInput& input) {
  Section section{.name = "confusion", .title = "Confusions", .order = 70};
  section.question = "Which classes are taken for which?";
  const std::vector<std::string>& classes = input.data->classes;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const CalibrationResult r = measure(input.subjects[s], input);
    const std::string name = s == 0 ? "confusion" : fmt::format("confusion-{}", s + 1);
    plot::Figure figure = plot::confusion_figure(name, "Confusion matrix, " + input.subjects[s].label + ".", classes,
                                                 r.confusion);
    const auto k = static_cast<int64_t>(classes.size());
    int64_t worst = -1, count = -1;
    for (int64_t i = 0; i < k * k; ++i)
      if (i / k != i % k && r.confusion[static_cast<size_t>(i)] > count) {
        worst = i;
        count = r.confusion[static_cast<size_t>(i)];
      }
    const std::string sentence =
        fmt::format("The most frequent error of {}: {} taken for {} ({} pictures).", input.subjects[s].label,
                    classes[static_cast<size_t>(worst / k)], classes[static_cast<size_t>(worst % k)], count);
    figure.alt = sentence;
    section.figures.push_back(std::move(figure));
    if (s == 0) section.finding = sentence;
  }
  section.reading = "Rows are the true classes, columns what the network said; each row sums to 100 %.";
  return section;
}

}  // namespace passband
