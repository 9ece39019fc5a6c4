#include "analysis/similarity/heads_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/study/verdict.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

constexpr double kLeastDifference = 0.05;  // of CKA, before near and far heads count as unlike

struct Comparison {
  std::string other;
  HeadSimilarity measured;
  size_t low = 0;  // layers of the other network's first two stages, those that Raghu et al.
  // show; of a network of one resolution its first half
};

size_t low_layers(const DepthAxis& layers) {
  const auto stages = layers.stages();
  if (stages.size() < 2) return (layers.size() + 1) / 2;
  return static_cast<size_t>(stages[1].end);
}

std::vector<Comparison> measure(const AnalysisInput& input, const HeadSimilarityOptions& options,
                                int64_t images) {
  const size_t of = network_of_heads(input.subjects);
  const auto others = static_cast<int64_t>(input.subjects.size()) - 1;
  std::vector<Comparison> result;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    if (s == of) continue;
    const Progress part = input.progress.part(std::ssize(result), others, input.subjects[s].label);
    Comparison c{input.subjects[s].label,
                 measure_head_similarity(input.subjects[of], input.subjects[s], *input.data, images,
                                         options, part)};
    c.low = low_layers(c.measured.layers);
    result.push_back(std::move(c));
  }
  return result;
}

std::string layer_name(const TapSite& site) {
  DepthAxis axis;
  axis.index_of(site);
  return axis.labels()[0];
}

// Over the low layers that are not dead.
double mean_low(const Comparison& c, const HeadSubset& subset) {
  double total = 0, count = 0;
  for (size_t l = 0; l < c.low; ++l)
    if (std::isfinite(subset.cka[l])) total += subset.cka[l], count += 1;
  return count > 0 ? total / count : std::nan("");
}

std::string finding(const std::string& label, const Comparison& c) {
  const HeadSubset &near = c.measured.subsets.front(), &far = c.measured.subsets.back();
  const double low = mean_low(c, near), high = mean_low(c, far);
  const Verdict verdict = judge(Estimate::exact(low - high), 0, kLeastDifference);
  const auto heads = [](const HeadSubset& subset, const char* where) {
    const auto count = std::ssize(subset.heads);
    return count == 1
               ? fmt::format("head that looks {} ({:.1f} px)", where, subset.distance)
               : fmt::format("{} heads that look {} ({:.1f} px)", count, where, subset.distance);
  };
  return fmt::format(
      "In {} of {}, the {} and the {} agree with the low layers of {} by {:.2f} and {:.2f}: {}.",
      layer_name(c.measured.site), label, heads(near, "nearest"), heads(far, "farthest"), c.other,
      low, high,
      verdict == Verdict::above   ? "near heads are more like them"
      : verdict == Verdict::below ? "far heads are more like them"
      : verdict == Verdict::alike ? "near and far heads are alike in this"
                                  : "that cannot be told");
}

plot::Panel curve_panel(const Comparison& c) {
  plot::Panel panel{.title = "low layers of " + c.other,
                    .x = {.label = "mean distance of the heads", .unit = "px"},
                    .y = {.label = "CKA", .low = 0.0, .high = 1.0}};
  const std::vector<std::string> labels = c.measured.layers.labels();
  for (size_t l = 0; l < c.low; ++l) {
    const double depth = c.low > 1 ? static_cast<double>(l) / static_cast<double>(c.low - 1) : 0;
    plot::Line line{.name = labels[l], .shade = depth};
    for (const HeadSubset& subset : c.measured.subsets) {
      line.x.push_back(subset.distance);
      line.y.push_back(subset.cka[l]);
    }
    panel.lines.push_back(std::move(line));
  }
  return panel;
}

plot::Panel map_of(const Comparison& c) {
  const auto& subsets = c.measured.subsets;
  plot::Panel panel{.title = "all layers of " + c.other,
                    .x = {.label = "heads, the nearest first"},
                    .y = {.label = c.other}};
  plot::Heatmap map{.rows = static_cast<int64_t>(c.measured.layers.size()),
                    .columns = std::ssize(subsets),
                    .value = "CKA",
                    .row_labels = c.measured.layers.labels(),
                    .map = plot::ColorMap::magma,
                    .low = 0.0,
                    .high = 1.0,
                    .row_groups = c.measured.layers.stages(),
                    .origin_bottom = true};
  for (const HeadSubset& subset : subsets)
    map.column_labels.push_back(fmt::format("{:.1f} px", subset.distance));
  for (size_t l = 0; l < c.measured.layers.size(); ++l)
    for (const HeadSubset& subset : subsets) map.values.push_back(subset.cka[l]);
  panel.heatmap = std::move(map);
  return panel;
}

}  // namespace

Section heads_section(const AnalysisInput& input, const HeadSimilarityOptions& options) {
  // A network whose numbers are not finite is taken out.
  if (input.subjects.size() < 2 || network_of_heads(input.subjects) == input.subjects.size())
    return {.finding = "Does not apply. No network is left to compare heads with."};
  const int64_t images = input.pictures(1024);
  const std::string& label = input.subjects[network_of_heads(input.subjects)].label;
  const std::vector<Comparison> comparisons = measure(input, options, images);
  Section section;
  plot::Figure curves{.name = "heads",
                      .title = "Heads in the order of their distance, beside low layers.",
                      .columns = 2,
                      .shade = {.label = "depth", .low = "first", .high = "last"},
                      .direct_labels = false};
  plot::Figure maps{.name = "heads-map", .title = "The same beside all layers.", .columns = 2};
  for (const Comparison& c : comparisons) {
    section.finding += (section.finding.empty() ? "" : " ") + finding(label, c);
    section.values.push_back({.key = "near_heads",
                              .label = "CKA of the nearest heads with low layers",
                              .value = mean_low(c, c.measured.subsets.front()),
                              .subject = c.other});
    section.values.push_back({.key = "far_heads",
                              .label = "CKA of the farthest heads with low layers",
                              .value = mean_low(c, c.measured.subsets.back()),
                              .subject = c.other});
    curves.panels.push_back(curve_panel(c));
    maps.panels.push_back(map_of(c));
  }
  section.reading =
      "A point is a group of neighbouring heads of one attention layer: how far they look on "
      "average, and how much their output agrees with a layer of the other network. Curves that "
      "fall say that local heads compute what low convolutions compute, global heads something "
      "else (Raghu et al., 2021, figure 5).";
  section.caveats = {fmt::format(
      "Attention layer {} of {}, groups of {} in the order of distance, {}; linear kernel, "
      "unbiased. Low layers are those of the first two resolutions of the other network.",
      options.layer, label, counted(std::ssize(comparisons[0].measured.subsets[0].heads), "head"),
      counted(images, "test picture"))};
  curves.alt = maps.alt = section.finding;
  section.figures = {std::move(curves), std::move(maps)};
  return section;
}

}  // namespace passband
