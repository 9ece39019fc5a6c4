#include "analysis/relevance/rollout_gradient_section.h"

#include <fmt/format.h>

namespace passband {

Section rollout_gradient_section(const AnalysisInput& input, const RolloutClassOptions& options) {
  Section section;
  const NamedRollout row = class_row(options, RolloutRule::gradient);
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    plot::Figure figure =
        class_figure(input, options, s, "rollout-gradient", "Gradient rollout for two classes");
    const double agreement = add_two_classes(input, options, subject, row, figure);
    const std::string text = fmt::format(
        "In {} the maps of the class read and of its runner-up correlate by {:.2f} (1: the same "
        "map){}.",
        subject.label, agreement,
        agreement > 0.8 ? ": most of what they show does not depend on the class" : "");
    section.values.push_back({.key = "class_correlation",
                              .label = "Correlation of the maps of two classes",
                              .value = agreement,
                              .subject = subject.label});
    section.finding += (s > 0 ? " " : "") + text;
    figure.alt = text;
    section.figures.push_back(std::move(figure));
  }
  section.reading =
      "As rollout, but each head's attention is multiplied by the gradient of one class's logit; "
      "what lowers the logit is "
      "dropped (the mean over heads is clamped, as in vit-explain). The upper maps are for the "
      "class the network reads, "
      "the lower for its second choice: where they agree, the map does not depend on the class.";
  section.caveats = {convolution_caveat(options), start_caveat(options)};
  return section;
}

}  // namespace passband
