#include "analysis/reach/entropy_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/reach/attention_reach.h"
#include "analysis/reach/heads.h"
#include "analysis/study/verdict.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

using Spread = Heads<AttentionEntropy>;

// Entropy of a layer's heads on average, as a share of the largest possible.
double evenness(const AttentionEntropy& sums) {
  double total = 0;
  const std::vector<double> entropies = sums.entropy();
  for (const double entropy : entropies) total += entropy;
  return total /
         (static_cast<double>(entropies.size()) * std::log(static_cast<double>(sums.keys())));
}

// Differences below this share of the largest entropy are none.
constexpr double kSmallestDifference = 0.01;

std::string entropy_finding(const std::string& label, const Spread& spread) {
  const std::vector<std::string> names = spread.axis.labels();
  std::vector<Named> layers;
  for (size_t i = 0; i < spread.sums.size(); ++i)
    layers.push_back({names[i], Estimate::exact(evenness(spread.sums[i]))});
  const auto percent = [&](size_t i) {
    return fmt::format("{:.0f} %", 100 * layers[i].estimate.value);
  };
  if (layers.size() == 1)
    return fmt::format("Attention of {} holds {} of the largest entropy in its one layer.", label,
                       percent(0));
  const Ends ends = ends_of(layers, kSmallestDifference);
  return fmt::format(
      "Attention of {} holds {} of the largest entropy in the first layer and {} in the last; {}.",
      label, percent(0), percent(layers.size() - 1),
      ends.differ
          ? fmt::format("it is sharpest in {} ({})", layers[ends.least].name, percent(ends.least))
          : "no layer is sharper than another");
}

void add_values(const Spread& spread, const std::string& subject,
                std::vector<ReportValue>& values) {
  values.push_back({.key = "first_layer_entropy",
                    .label = "Entropy, first layer",
                    .value = evenness(spread.sums.front()),
                    .subject = subject});
  values.push_back({.key = "last_layer_entropy",
                    .label = "Entropy, last layer",
                    .value = evenness(spread.sums.back()),
                    .subject = subject});
}

plot::Panel entropy_panel(const Spread& spread, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "attention layer", .categories = spread.axis.labels()},
                    .y = {.label = "effective tokens", .scale = plot::Scale::log10}};
  plot::Points heads{.name = "heads"}, class_token{.name = "class token's heads", .style = 2};
  plot::Line all{.name = "all tokens alike", .style = 1};
  const auto add = [](plot::Points& points, size_t layer, const std::vector<double>& entropies) {
    for (const double entropy : entropies) {
      points.x.push_back(static_cast<double>(layer));
      points.y.push_back(std::exp(entropy));
    }
  };
  for (size_t i = 0; i < spread.sums.size(); ++i) {
    add(heads, i, spread.sums[i].entropy());
    add(class_token, i, spread.sums[i].class_entropy());
    all.x.push_back(static_cast<double>(i));
    all.y.push_back(static_cast<double>(spread.sums[i].keys()));
  }
  panel.points = {std::move(heads)};
  if (!class_token.x.empty()) panel.points.push_back(std::move(class_token));
  panel.lines = {std::move(all)};
  return panel;
}

}  // namespace

Section entropy_section(const AnalysisInput& input) {
  const int64_t images = input.pictures(256);
  Section section;
  plot::Figure figure{
      .name = "entropy",
      .title = "Effective number of tokens that a query gathers from, exp of the entropy."};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const Progress part = input.part_of(s);
    const Spread spread =
        measure_heads(subject, *input.data, images, part, {"attention"}, AttentionEntropy());
    if (spread.sums.empty()) {
      section.caveats.push_back(why_no_attention(subject.label, *subject.model));
      section.finding += (section.finding.empty() ? "" : " ") + section.caveats.back();
      continue;
    }
    section.finding +=
        (section.finding.empty() ? "" : " ") + entropy_finding(subject.label, spread);
    add_values(spread, subject.label, section.values);
    figure.panels.push_back(entropy_panel(spread, subject.label));
  }
  section.reading =
      "One dot a head. At the line a head weighs all tokens of its window alike, an average (a "
      "low-pass filter); at 1 it copies a "
      "single token. Sharp heads choose by content or position, flat ones blur.";
  section.caveats.push_back(
      fmt::format("{}; entropy in nats over all keys, mean over pictures and queries, then exp.",
                  counted(images, "test picture")));
  figure.alt = section.finding;
  if (!figure.panels.empty()) section.figures.push_back(std::move(figure));
  return section;
}

}  // namespace passband
