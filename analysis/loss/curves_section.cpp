#include "analysis/loss/curves_section.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/loss/curves.h"
#include "analysis/study/wording.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

std::string epochs_text(double epochs) {
  return fmt::format("{:.4g} {}", epochs, epochs == 1 ? "epoch" : "epochs");
}

// What is said of training pictures whose labels are mixed.
bool mixes(const RunSettings& s) { return s.mixup > 0 || s.cutmix > 0; }

std::string finding(const std::string& label, const RunDescription& run,
                    const TrainingCurves& curves) {
  if (curves.epochs.empty()) return fmt::format("The log of {} holds no step yet.", label);
  std::string text =
      fmt::format("{} was trained for {:.4g} of {} ({}), to a training loss of {:.3g}", label,
                  curves.epochs.back(), epochs_text(run.settings.epochs),
                  counted(curves.steps, "step"), curves.losses.back());
  if (curves.judged_accuracies.empty()) return text + "; it was not evaluated yet.";
  const auto best = std::ranges::max_element(curves.judged_accuracies);
  const size_t at = static_cast<size_t>(best - curves.judged_accuracies.begin());
  text += fmt::format("; the best of its {} on the {} pictures gave {}, after {}",
                      counted(std::ssize(curves.judged_accuracies), "evaluation"), curves.judged,
                      percent(*best), epochs_text(curves.judged_epochs[at]));
  if (at + 1 < curves.judged_accuracies.size())
    text += fmt::format(", the last one {}", percent(curves.judged_accuracies.back()));
  return text + ".";
}

void add_values(const std::string& label, const TrainingCurves& curves, Section& section) {
  const auto add = [&](const char* key, const char* name, double value, const std::string& text) {
    section.values.push_back(
        {.key = key, .label = name, .value = value, .text = text, .subject = label});
  };
  if (!curves.losses.empty())
    add("training_loss", "Training loss at the end", curves.losses.back(),
        fmt::format("{:.3g}", curves.losses.back()));
  if (curves.judged_accuracies.empty()) return;
  const double best = *std::ranges::max_element(curves.judged_accuracies);
  add("best_accuracy", "Accuracy of the best evaluation", best, percent(best));
}

// A line of training and one of evaluations.
void add_lines(const std::string& label, const TrainingCurves& curves, plot::Panel& loss,
               plot::Panel& accuracy) {
  const std::string judged = label + ", " + curves.judged;
  loss.lines.push_back({.name = label + ", training", .x = curves.epochs, .y = curves.losses});
  loss.lines.push_back({.name = judged, .x = curves.judged_epochs, .y = curves.judged_losses});
  accuracy.lines.push_back(
      {.name = label + ", training", .x = curves.epochs, .y = curves.accuracies});
  accuracy.lines.push_back(
      {.name = judged, .x = curves.judged_epochs, .y = curves.judged_accuracies});
}

}  // namespace

Section curves_section(const AnalysisInput& input) {
  Section section;
  plot::Panel loss{.title = "Loss", .x = {.label = "epoch"}, .y = {.label = "loss"}};
  plot::Panel accuracy{.title = "Accuracy",
                       .x = {.label = "epoch"},
                       .y = {.label = "top-1", .low = 0.0, .high = 1.0}};
  for (const Subject& subject : input.subjects) {
    const TrainingCurves curves = training_curves(*subject.run);
    section.finding +=
        (section.finding.empty() ? "" : " ") + finding(subject.label, *subject.run, curves);
    add_values(subject.label, curves, section);
    add_lines(subject.label, curves, loss, accuracy);
    if (mixes(subject.run->settings))
      section.caveats.push_back(
          subject.label +
          ": its training accuracy counts a mixed picture as right where the label of the picture "
          "itself is named, and its training loss is that of mixed labels.");
    if (subject.run->settings.bce_loss)
      section.caveats.push_back(
          subject.label +
          ": its training loss is the binary cross-entropy, that of "
          "evaluations the softmax one; the two curves have no scale in common.");
    if (curves.left_out > 0)
      section.caveats.push_back(fmt::format("{}: {} had no finite loss.", subject.label,
                                            counted(curves.left_out, "step")));
  }
  section.reading =
      "Training numbers are means over stretches of steps, on pictures as they were augmented, "
      "with the weights of the moment and dropped parts; evaluations show whole networks plain "
      "pictures, with averaged weights where the run keeps them. So the training loss may well lie "
      "above the other.";
  section.caveats.push_back("As the run logged it; nothing is measured here.");
  plot::Figure figure{.name = "curves",
                      .title = "Loss and accuracy over training.",
                      .panels = {std::move(loss), std::move(accuracy)},
                      .columns = 2,
                      .share_axes = false};
  figure.alt = section.finding;
  section.figures = {std::move(figure)};
  return section;
}

}  // namespace passband
