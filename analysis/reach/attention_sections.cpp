// Sections: how far do attention heads look, and on how many tokens?
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/reach/attention_reach.h"
#include "analysis/study/analysis.h"
#include "analysis/study/depth_axis.h"
#include "analysis/study/representation_sections.h"
#include "tensor/ops/pointwise.h"

namespace passband {
namespace {

// One accumulator for each attention layer. A lambda layer stands in by the absolute values of its
// effective weights, where the accumulator can take them.
template <class Accumulator> struct Heads {
  DepthAxis axis;
  std::vector<Accumulator> sums;
};

template <class Accumulator>
Heads<Accumulator> measure_heads(const Subject& subject, const Dataset& data, int64_t images,
                                 const Progress& progress, const std::vector<std::string>& taps,
                                 const Accumulator& fresh) {
  Heads<Accumulator> heads;
  const bool lambda = std::ranges::find(taps, "lambda") != taps.end();
  const PassOptions pass{.images = images, .batch_size = lambda ? 8 : 64, .progress = progress};
  run_pass(*subject.model, data, pass, taps, [&](const TapSite& site, const Tensor& weights) {
    const size_t i = heads.axis.index_of(site);
    heads.sums.resize(heads.axis.size(), fresh);
    heads.sums[i].add(site, site.name == "lambda" ? abs(weights) : weights);
  });
  return heads;
}

// What a head that ignores position would show: over the window, or the whole grid.
double uniform_pixels(const TapSite& site) {
  return site.patch * uniform_distance(site.window > 0 ? site.window : site.height);
}

using Reach = Heads<AttentionDistance>;

std::vector<double> sorted_distances(const AttentionDistance& sums) {
  std::vector<double> distances = sums.distances();
  std::ranges::sort(distances);
  return distances;
}

plot::Panel layer_panel(const Reach& reach, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "attention layer", .categories = reach.axis.labels()},
                    .y = {.label = "mean distance", .unit = "px", .from_zero = true}};
  plot::Points heads{.name = "heads"};
  plot::Line uniform{.name = "uniform attention", .style = 1};
  for (size_t i = 0; i < reach.sums.size(); ++i) {
    const std::vector<double> distances = sorted_distances(reach.sums[i]);
    for (size_t h = 0; h < distances.size(); ++h) {
      heads.x.push_back(static_cast<double>(i));
      heads.y.push_back(distances[h]);
      heads.labels.push_back(fmt::format("head of rank {}", h + 1));
    }
    uniform.x.push_back(static_cast<double>(i));
    uniform.y.push_back(uniform_pixels(reach.axis[i]));
  }
  panel.points = {std::move(heads)};
  panel.lines = {std::move(uniform)};
  return panel;
}

// Heads of every layer in ascending order, one curve a layer, as Raghu et al. show them.
plot::Panel sorted_panel(const Reach& reach, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "sorted head"},
                    .y = {.label = "mean distance", .unit = "px", .from_zero = true}};
  const std::vector<std::string> labels = reach.axis.labels();
  for (size_t i = 0; i < reach.sums.size(); ++i) {
    const double depth = reach.sums.size() > 1
                             ? static_cast<double>(i) / static_cast<double>(reach.sums.size() - 1)
                             : 0;
    plot::Line line{.name = labels[i], .y = sorted_distances(reach.sums[i]), .shade = depth};
    for (size_t h = 0; h < line.y.size(); ++h) line.x.push_back(static_cast<double>(h + 1));
    panel.lines.push_back(std::move(line));
  }
  return panel;
}

// Share of attention that goes to the class token, per head; no panel without one.
void add_class_mass(plot::Figure& figure, const Reach& reach, const std::string& title) {
  if (reach.axis[0].prefix == 0) return;
  plot::Panel panel{.title = title,
                    .x = {.label = "attention layer", .categories = reach.axis.labels()},
                    .y = {.label = "attention to the class token", .unit = "%", .from_zero = true}};
  plot::Points heads{.name = "heads"};
  for (size_t i = 0; i < reach.sums.size(); ++i)
    for (const double mass : reach.sums[i].class_mass()) {
      heads.x.push_back(static_cast<double>(i));
      heads.y.push_back(100 * mass);
    }
  panel.points = {std::move(heads)};
  figure.panels.push_back(std::move(panel));
}

std::string reach_finding(const Reach& reach) {
  size_t local = 0, total = 0;
  double low = 1e30, high = 0;
  for (size_t i = 0; i < reach.sums.size(); ++i)
    for (const double distance : reach.sums[i].distances()) {
      local += distance < 0.5 * uniform_pixels(reach.axis[i]);
      low = std::min(low, distance);
      high = std::max(high, distance);
      ++total;
    }
  const auto of_layer = [&](size_t i) {
    const std::vector<double> d = sorted_distances(reach.sums[i]);
    return fmt::format("{:.1f} to {:.1f} px", d.front(), d.back());
  };
  return fmt::format(
      "{} heads reach from {:.1f} to {:.1f} px, {} of them less than half as far as uniform "
      "attention; in the first layer {}, "
      "in the last {} (uniform: {:.1f}).",
      total, low, high, local, of_layer(0), of_layer(reach.sums.size() - 1),
      uniform_pixels(reach.axis[reach.axis.size() - 1]));
}

double mean_distance(const AttentionDistance& sums) {
  const std::vector<double> distances = sums.distances();
  return std::accumulate(distances.begin(), distances.end(), 0.0) /
         static_cast<double>(distances.size());
}

std::vector<ReportValue> reach_values(const Reach& reach) {
  return {{.key = "first_layer_distance",
           .label = "Mean distance, first layer (px)",
           .value = mean_distance(reach.sums.front())},
          {.key = "last_layer_distance",
           .label = "Mean distance, last layer (px)",
           .value = mean_distance(reach.sums.back())}};
}

ReportArray reach_array(const Reach& reach) {
  ReportArray array{.name = "distance", .shape = {}};
  for (const AttentionDistance& sums : reach.sums)
    for (const double value : sums.distances()) array.values.push_back(value);
  array.shape = {static_cast<int64_t>(array.values.size())};
  return array;
}

}  // namespace

Section distance_section(const AnalysisInput& input) {
  const int64_t images = std::min(input.images_or(256), input.data->count);
  const bool drop = input.text("class_token") == "drop";
  Section section{.name = "distance", .title = "Reach of attention heads", .order = 40};
  plot::Figure figure{.name = "distance",
                      .title = "Mean attention distance of every head.",
                      .columns = 2,
                      .shade = {.label = "depth", .low = "first", .high = "last"},
                      .direct_labels = false};
  plot::Figure mass{.name = "distance-class", .title = "Attention of patches to the class token."};
  bool lambdas = false;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const bool lambda = subject.model->pattern().find('L') != std::string::npos;
    const Progress part = input.part_of(s);
    const Reach reach =
        measure_heads(subject, *input.data, lambda ? std::min<int64_t>(images, 64) : images, part,
                      lambda ? std::vector<std::string>{"attention", "lambda"}
                             : std::vector<std::string>{"attention"},
                      AttentionDistance(drop ? ClassToken::drop : ClassToken::renormalise));
    if (reach.sums.empty()) {
      section.caveats.push_back(why_no_attention(subject.label, *subject.model));
      if (section.finding.empty()) section.finding = section.caveats.back();
      continue;
    }
    lambdas = lambdas || lambda;
    figure.panels.push_back(layer_panel(reach, subject.label));
    figure.panels.push_back(sorted_panel(reach, subject.label + ", heads in order"));
    add_class_mass(mass, reach, subject.label);
    if (section.arrays.empty()) {
      section.finding =
          (section.finding.empty() ? "" : section.finding + " ") + reach_finding(reach);
      section.values = reach_values(reach);
      section.arrays.push_back(reach_array(reach));
    }
  }
  figure.alt = mass.alt = section.finding;
  if (!figure.panels.empty()) section.figures.push_back(std::move(figure));
  if (!mass.panels.empty()) section.figures.push_back(std::move(mass));
  section.reading =
      "One dot a head: the distance between a query and what it attends to, weighted by attention, "
      "in input pixels. "
      "The line marks uniform attention over the window or picture: a head on the line ignores "
      "position, it does not look far; "
      "a head far below it is local. Shifted and partitioned windows bound the reach.";
  section.caveats.push_back(fmt::format(
      "{} test pictures. Attention to the class token is left out{}.", images,
      drop ? " without renormalising: it counts as distance 0" : " and the rest renormalised"));
  if (lambdas)
    section.caveats.push_back(
        "Lambda layers have no attention: their signed effective weights stand in by absolute "
        "value, renormalised, on at most 64 pictures.");
  return section;
}

namespace {

using Spread = Heads<AttentionEntropy>;

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

// Entropy of a layer's heads on average, as a share of the largest possible.
double evenness(const AttentionEntropy& sums) {
  double total = 0;
  const std::vector<double> entropies = sums.entropy();
  for (const double entropy : entropies) total += entropy;
  return total /
         (static_cast<double>(entropies.size()) * std::log(static_cast<double>(sums.keys())));
}

std::string entropy_finding(const Spread& spread) {
  size_t sharpest = 0;
  for (size_t i = 1; i < spread.sums.size(); ++i)
    if (evenness(spread.sums[i]) < evenness(spread.sums[sharpest])) sharpest = i;
  return fmt::format(
      "Attention holds {:.0f} % of the largest entropy in the first layer and {:.0f} % in the "
      "last; it is sharpest in {} ({:.0f} %).",
      100 * evenness(spread.sums.front()), 100 * evenness(spread.sums.back()),
      spread.axis.labels()[sharpest], 100 * evenness(spread.sums[sharpest]));
}

}  // namespace

Section entropy_section(const AnalysisInput& input) {
  const int64_t images = std::min(input.images_or(256), input.data->count);
  Section section{.name = "entropy", .title = "Spread of attention heads", .order = 42};
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
      if (section.finding.empty()) section.finding = section.caveats.back();
      continue;
    }
    figure.panels.push_back(entropy_panel(spread, subject.label));
    if (!section.values.empty()) continue;
    section.finding =
        (section.finding.empty() ? "" : section.finding + " ") + entropy_finding(spread);
    section.values = {{.key = "first_layer_entropy",
                       .label = "Entropy, first layer",
                       .value = evenness(spread.sums.front())},
                      {.key = "last_layer_entropy",
                       .label = "Entropy, last layer",
                       .value = evenness(spread.sums.back())}};
  }
  figure.alt = section.finding;
  if (!figure.panels.empty()) section.figures.push_back(std::move(figure));
  section.reading =
      "One dot a head. At the line a head weighs all tokens of its window alike, an average (a "
      "low-pass filter); at 1 it copies a "
      "single token. Sharp heads choose by content or position, flat ones blur.";
  section.caveats.push_back(fmt::format(
      "{} test pictures; entropy in nats over all keys, mean over pictures and queries, then exp.",
      images));
  return section;
}

}  // namespace passband
