#include "analysis/loss/augmented_section.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/loss/augmented.h"
#include "analysis/loss/training_loss.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

constexpr int64_t kBatch = 128, kImages = 2000;
constexpr uint64_t kAugmentationSeed = 1;

struct AugmentedStudy {
  std::string label;
  AugmentedLoss training;
  double test_error = 0;
};

AugmentedStudy study_of(const AnalysisInput& input, const Subject& subject,
                        const Progress& progress) {
  AugmentedStudy study{.label = subject.label};
  const LossBatches batches = loss_batches(input, subject, input.images_or(kImages), kBatch,
                                           /*augmented=*/true, kAugmentationSeed);
  study.training = augmented_loss(*subject.model, batches, progress);
  study.test_error = test_error(*subject.model, *input.data, input.pictures(kImages));
  return study;
}

std::string finding(const std::vector<AugmentedStudy>& studies) {
  std::string text;
  for (const AugmentedStudy& s : studies)
    text += fmt::format(
        "{}{}: {:.3f} nats and {} error on augmented training pictures, {} error on "
        "test pictures.",
        text.empty() ? "" : " ", s.label, s.training.loss, percent(s.training.error),
        percent(s.test_error));
  const auto by_loss = [](const AugmentedStudy& s) { return s.training.loss; };
  const auto by_error = [](const AugmentedStudy& s) { return s.test_error; };
  const auto fits = std::ranges::min_element(studies, {}, by_loss);
  const auto generalises = std::ranges::min_element(studies, {}, by_error);
  if (studies.size() < 2) return text;
  if (fits == generalises)
    return text + fmt::format(" {} fits the training pictures best and is best on test pictures.",
                              fits->label);
  return text + fmt::format(" {} fits the training pictures best, {} is best on test pictures.",
                            fits->label, generalises->label);
}

void add_values(const AugmentedStudy& s, Section& section) {
  const auto add = [&](const char* key, const char* name, double value, const std::string& text) {
    section.values.push_back(
        {.key = key, .label = name, .value = value, .text = text, .subject = s.label});
  };
  add("training_nll", "Loss on augmented training pictures", s.training.loss,
      fmt::format("{:.3f}", s.training.loss));
  add("training_error", "Error on them", s.training.error, percent(s.training.error));
  add("test_error", "Error on test pictures", s.test_error, percent(s.test_error));
}

plot::Panel panel_of(const std::vector<AugmentedStudy>& studies, const char* title,
                     const char* axis, auto&& value) {
  plot::Panel panel{
      .title = title, .x = {.label = axis}, .y = {.label = "test error", .from_zero = true}};
  for (const AugmentedStudy& s : studies)
    panel.points.push_back({.name = s.label, .x = {value(s.training)}, .y = {s.test_error}});
  return panel;
}

}  // namespace

Section augmented_section(const AnalysisInput& input) {
  std::vector<AugmentedStudy> studies;
  for (size_t s = 0; s < input.subjects.size(); ++s)
    studies.push_back(study_of(input, input.subjects[s], input.part_of(s)));
  Section section;
  section.finding = finding(studies);
  for (const AugmentedStudy& study : studies) add_values(study, section);
  section.reading =
      "Each network is shown training pictures made as its own run made them, in evaluation mode. "
      "Park and Kim (2022, figure 1) find that vision transformers are not held back by fitting "
      "too "
      "closely: with weaker inductive biases both the training loss and the test error are larger.";
  section.caveats = {fmt::format(
      "{} training and as many test pictures at most; the loss is of mixed and smoothed "
      "labels where the run trained so, and then compares only with runs that did alike.",
      input.images_or(kImages))};
  plot::Figure figure{.name = "augmented",
                      .title = "Augmented training pictures against test pictures.",
                      .panels = {panel_of(studies, "Loss", "training loss, nats",
                                          [](const AugmentedLoss& l) { return l.loss; }),
                                 panel_of(studies, "Error", "training error",
                                          [](const AugmentedLoss& l) { return l.error; })},
                      .columns = 2,
                      .share_axes = false};
  figure.alt = section.finding;
  section.figures = {std::move(figure)};
  return section;
}

}  // namespace passband
