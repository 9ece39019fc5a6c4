#include "analysis/reach/distance_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "analysis/reach/heads.h"
#include "analysis/study/claims.h"
#include "analysis/study/picture_maps.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

// What a head that ignores position would show: over the window, or the whole grid.
double uniform_pixels(const TapSite& site) {
  return site.patch * uniform_distance(site.window > 0 ? site.window : site.height);
}

constexpr double kLocal = 0.5;  // of uniform attention's reach: what is less counts as local

using Reach = Heads<AttentionDistance>;

std::vector<double> sorted_distances(const AttentionDistance& sums) {
  std::vector<double> distances = sums.distances();
  std::ranges::sort(distances);
  return distances;
}

std::string reach_finding(const std::string& label, const Reach& reach) {
  size_t local = 0, total = 0;
  double low = 1e30, high = 0;
  for (size_t i = 0; i < reach.sums.size(); ++i)
    for (const double distance : reach.sums[i].distances()) {
      local += distance < kLocal * uniform_pixels(reach.axis[i]);
      low = std::min(low, distance);
      high = std::max(high, distance);
      ++total;
    }
  const auto of_layer = [&](size_t i) {
    const std::vector<double> d = sorted_distances(reach.sums[i]);
    return fmt::format("{:.1f} to {:.1f} px", d.front(), d.back());
  };
  return fmt::format(
      "{}: {} {} from {:.1f} to {:.1f} px, {} of them less than half as far as uniform attention; "
      "in the first layer {}, in the last {} (uniform: {:.1f}).",
      label, total, total == 1 ? "head reaches" : "heads reach", low, high, local, of_layer(0),
      of_layer(reach.sums.size() - 1), uniform_pixels(reach.axis[reach.axis.size() - 1]));
}

double mean_distance(const AttentionDistance& sums) {
  const std::vector<double> distances = sums.distances();
  return std::accumulate(distances.begin(), distances.end(), 0.0) /
         static_cast<double>(distances.size());
}

void add_values(const Reach& reach, const std::string& subject, std::vector<ReportValue>& values) {
  values.push_back({.key = "first_layer_distance",
                    .label = "Mean distance, first layer (px)",
                    .value = mean_distance(reach.sums.front()),
                    .subject = subject});
  values.push_back({.key = "last_layer_distance",
                    .label = "Mean distance, last layer (px)",
                    .value = mean_distance(reach.sums.back()),
                    .subject = subject});
}

// What each picture shows of a layer, as a share of the reach of uniform attention: the mean over
// its heads, or one head.
std::vector<double> shares(const Reach& reach, size_t layer) {
  const std::vector<double>& pixels = reach.sums[layer].of_pictures();
  const size_t heads = reach.sums[layer].distances().size();
  std::vector<double> result(pixels.size() / heads);
  for (size_t i = 0; i < pixels.size(); ++i)
    result[i / heads] +=
        pixels[i] / (static_cast<double>(heads) * uniform_pixels(reach.axis[layer]));
  return result;
}

std::vector<double> shares_of_head(const Reach& reach, size_t layer, size_t head) {
  const std::vector<double>& pixels = reach.sums[layer].of_pictures();
  const size_t heads = reach.sums[layer].distances().size();
  std::vector<double> result;
  for (size_t i = head; i < pixels.size(); i += heads)
    result.push_back(pixels[i] / uniform_pixels(reach.axis[layer]));
  return result;
}

// Dosovitskiy et al. and Raghu et al., 2021: low layers have local heads beside global ones, the
// last layers none. Shares of uniform attention, so that windows and strides of different sizes
// compare.
void add_claims(const std::string& network, const Reach& reach, Section& section) {
  std::vector<Estimate> heads;
  for (size_t h = 0; h < reach.sums[0].distances().size(); ++h)
    heads.push_back(mean_of(shares_of_head(reach, 0, h)));
  add_claim(section,
            {.text = "The first attention layer has a local head",
             .key = "most_local_head",
             .label = "Reach of the most local head of the first layer, of uniform attention's",
             .side = Verdict::below,
             .reference = kLocal,
             .words = percent},
            network, least_of(heads));
  if (reach.sums.size() < 2) return;
  std::vector<double> growth = shares(reach, reach.sums.size() - 1);
  const std::vector<double> first = shares(reach, 0);
  for (size_t n = 0; n < growth.size(); ++n) growth[n] -= first[n];
  add_claim(section,
            {.text = "Attention reaches further in the last layer than in the first",
             .key = "reach_growth",
             .label = "Reach of the last layer less that of the first, of uniform attention's",
             .side = Verdict::above,
             .words = [](double v) { return fmt::format("{:+.1f} %", 100 * v); }},
            network, mean_of(growth));
}

ReportArray reach_array(const Reach& reach, size_t subject) {
  ReportArray array{.name = figure_name("distance", subject), .shape = {}};
  for (const AttentionDistance& sums : reach.sums)
    for (const double value : sums.distances()) array.values.push_back(value);
  array.shape = {static_cast<int64_t>(array.values.size())};
  return array;
}

plot::Panel layer_panel(const Reach& reach, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "attention layer", .categories = reach.axis.labels()},
                    .y = {.label = "mean distance", .unit = "px", .from_zero = true}};
  plot::Points heads{.name = "heads"};
  plot::Line uniform{.name = "uniform attention", .style = 1};
  for (size_t i = 0; i < reach.sums.size(); ++i) {
    const std::vector<double> distances = reach.sums[i].distances();
    for (size_t h = 0; h < distances.size(); ++h) {
      heads.x.push_back(static_cast<double>(i));
      heads.y.push_back(distances[h]);
      heads.labels.push_back(fmt::format("head {}", h + 1));
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

}  // namespace

Section distance_section(const AnalysisInput& input, const DistanceOptions& options) {
  const int64_t images = input.pictures(256);
  Section section;
  plot::Figure figure{.name = "distance",
                      .title = "Mean attention distance of every head.",
                      .columns = 2,
                      .shade = {.label = "depth", .low = "first", .high = "last"},
                      .direct_labels = false};
  plot::Figure mass{.name = "distance-class", .title = "Attention of patches to the class token."};
  bool lambdas = false;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const bool lambda = subject.model->has(BlockKind::lambda);
    const Progress part = input.part_of(s);
    const Reach reach =
        measure_heads(subject, *input.data, lambda ? std::min<int64_t>(images, 64) : images, part,
                      lambda ? std::vector<std::string>{"attention", "lambda"}
                             : std::vector<std::string>{"attention"},
                      AttentionDistance(options.class_token));
    if (reach.sums.empty()) {
      section.caveats.push_back(why_no_attention(subject.label, *subject.model));
      section.finding += (section.finding.empty() ? "" : " ") + section.caveats.back();
      continue;
    }
    lambdas = lambdas || lambda;
    section.finding += (section.finding.empty() ? "" : " ") + reach_finding(subject.label, reach);
    add_values(reach, subject.label, section.values);
    add_claims(subject.label, reach, section);
    section.arrays.push_back(reach_array(reach, s));
    figure.panels.push_back(layer_panel(reach, subject.label));
    figure.panels.push_back(sorted_panel(reach, subject.label + ", heads in order"));
    add_class_mass(mass, reach, subject.label);
  }
  section.reading =
      "One dot a head: the distance between a query and what it attends to, weighted by attention, "
      "in input pixels. "
      "The line marks uniform attention over the window or picture: a head on the line ignores "
      "position, it does not look far; "
      "a head far below it is local. Shifted and partitioned windows bound the reach.";
  section.caveats.push_back(fmt::format(
      "{}. Attention to the class token is left out{}.", counted(images, "test picture"),
      options.class_token == ClassToken::drop ? " without renormalising: it counts as distance 0"
                                              : " and the rest renormalised"));
  if (lambdas)
    section.caveats.push_back(
        "Lambda layers have no attention: their signed effective weights stand in by absolute "
        "value, renormalised, on at most 64 pictures.");
  figure.alt = mass.alt = section.finding;
  if (!figure.panels.empty()) section.figures.push_back(std::move(figure));
  if (!mass.panels.empty()) section.figures.push_back(std::move(mass));
  return section;
}

}  // namespace passband
