// Sections: how far do attention heads look, and what do they gather for the decision?
#include <fmt/format.h>

#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/attention_reach.h"
#include "analysis/depth_axis.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// Why a network without attention probabilities has no such section, in a sentence.
std::string why_not(const Subject& subject) {
  const bool lambda = subject.model->pattern().find('L') != std::string::npos;
  if (lambda)
    return fmt::format(
        "{} mixes positions by lambda layers: their effective weights are signed and do not sum to 1, so "
        "there is no attention to follow.",
        subject.label);
  return fmt::format("{} has no attention layer: nothing to show here.", subject.label);
}

struct Reach {
  DepthAxis axis;
  std::vector<AttentionDistance> sums;
};

Reach measure_reach(const Subject& subject, const Dataset& data, int64_t images) {
  Reach reach;
  run_pass(*subject.model, data, {.images = images, .batch_size = 64}, {"attention"},
           [&](const TapSite& site, const Tensor& probabilities) {
             const size_t i = reach.axis.index_of(site);
             reach.sums.resize(reach.axis.size());
             reach.sums[i].add(site, probabilities);
           });
  return reach;
}

// What a head that ignores position would show: over the window, or the whole grid.
double uniform_pixels(const TapSite& site) {
  return site.patch * uniform_distance(site.window > 0 ? site.window : site.height);
}

plot::Panel reach_panel(const Reach& reach, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "attention layer", .categories = reach.axis.labels()},
                    .y = {.label = "mean distance", .unit = "px", .from_zero = true}};
  plot::Points heads{.name = "heads"};
  plot::Line uniform{.name = "uniform attention", .style = 1};
  for (size_t i = 0; i < reach.sums.size(); ++i) {
    std::vector<double> distances = reach.sums[i].distances();
    std::ranges::sort(distances);
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
  return fmt::format("{} heads reach from {:.1f} to {:.1f} px; {} of them look less than half as far as uniform "
                     "attention would.",
                     total, low, high, local);
}

}  // namespace

Section distance_section(const AnalysisInput& input) {
  const int64_t images = input.images_or(256);
  Section section{.name = "distance", .title = "Reach of attention heads", .order = 40};
  section.question = "Do heads look at their neighbourhood or across the picture?";
  plot::Figure figure{.name = "distance", .title = "Mean attention distance of every head.", .columns = 1};
  for (const Subject& subject : input.subjects) {
    const Reach reach = measure_reach(subject, *input.data, images);
    if (reach.sums.empty()) {
      section.caveats.push_back(why_not(subject));
      if (section.finding.empty()) section.finding = why_not(subject);
      continue;
    }
    figure.panels.push_back(reach_panel(reach, subject.label));
    if (&subject != &input.subjects[0]) continue;
    section.finding = reach_finding(reach);
    ReportArray array{.name = "distance", .shape = {}};
    for (const AttentionDistance& sums : reach.sums)
      for (const double value : sums.distances()) array.values.push_back(value);
    array.shape = {static_cast<int64_t>(array.values.size())};
    section.arrays.push_back(std::move(array));
  }
  figure.alt = section.finding;
  if (!figure.panels.empty()) section.figures.push_back(std::move(figure));
  section.reading =
      "One dot a head: the distance between a query and what it attends to, weighted by attention, in input pixels. "
      "The line marks uniform attention over the window or picture: a head on the line ignores position, a head far "
      "below it is local. Shifted and partitioned windows bound the reach.";
  section.caveats.push_back(fmt::format("{} test pictures. Attention to the class token is left out and the rest "
                                        "renormalised.",
                                        images));
  return section;
}

namespace {

constexpr int64_t kRolloutPictures = 8;

struct RolloutInput {
  std::vector<RolloutLayer> layers;
  std::vector<int64_t> indices;
  std::vector<int64_t> predicted;
};

RolloutInput collect_layers(const Subject& subject, const Dataset& data, int64_t pictures) {
  RolloutInput result;
  run_pass(*subject.model, data, {.images = pictures, .batch_size = pictures}, {"attention"},
           [&](const TapSite& site, const Tensor& probabilities) {
             result.layers.push_back({site, cast(probabilities.detach(), DType::f32)});
           },
           [&](const std::vector<int64_t>& indices, const Tensor&, const Tensor& logits) {
             result.indices = indices;
             const std::vector<double> values = logits.values();
             const auto classes = static_cast<size_t>(logits.size(1));
             for (size_t i = 0; i < indices.size(); ++i) {
               const auto row = values.begin() + static_cast<int64_t>(i * classes);
               result.predicted.push_back(std::max_element(row, row + static_cast<int64_t>(classes)) - row);
             }
           });
  return result;
}

plot::Picture picture_of(const Dataset& data, int64_t index) {
  plot::Picture picture{.width = data.width, .height = data.height};
  picture.rgb.assign(data.image(index), data.image(index) + data.image_bytes());
  return picture;
}

// Pictures above, the same with the rollout laid over them below.
plot::Figure rollout_figure(const RolloutInput& input, const RolloutMaps& maps, const Dataset& data,
                            const std::string& name, const std::string& label) {
  plot::Figure figure{.name = name, .title = "Attention rollout over test pictures, " + label + "."};
  plot::Pictures& grid = figure.pictures;
  grid.columns = static_cast<int>(input.indices.size());
  grid.fixed_columns = true;
  grid.overlay_value = "share of attention, relative to the largest";
  const auto cells = static_cast<size_t>(maps.height * maps.width);
  for (const int64_t index : input.indices) {
    plot::Picture plain = picture_of(data, index);
    plain.caption = data.classes[static_cast<size_t>(data.labels[static_cast<size_t>(index)])];
    plain.alt = "test picture " + std::to_string(index);
    grid.cells.push_back(std::move(plain));
  }
  for (size_t i = 0; i < input.indices.size(); ++i) {
    plot::Picture covered = picture_of(data, input.indices[i]);
    covered.overlay_width = maps.width;
    covered.overlay_height = maps.height;
    covered.overlay.assign(maps.values.begin() + static_cast<int64_t>(i * cells),
                           maps.values.begin() + static_cast<int64_t>((i + 1) * cells));
    const auto [low, high] = std::ranges::minmax(covered.overlay);
    const double range = high - low;
    for (double& value : covered.overlay) value = range > 0 ? (value - low) / range : 0;
    covered.caption = "read as " + data.classes[static_cast<size_t>(input.predicted[i])];
    covered.alt = "the same with its rollout";
    grid.cells.push_back(std::move(covered));
  }
  return figure;
}

// Share of the map's mass in the brightest quarter of its cells: 0.25 for a flat map.
double concentration(const RolloutMaps& maps) {
  const auto cells = static_cast<int64_t>(maps.height * maps.width);
  double total = 0;
  for (int64_t i = 0; i < maps.count; ++i) {
    std::vector<double> map(maps.values.begin() + i * cells, maps.values.begin() + (i + 1) * cells);
    std::ranges::sort(map, std::greater<>{});
    double top = 0, all = 0;
    for (int64_t c = 0; c < cells; ++c) {
      all += map[static_cast<size_t>(c)];
      if (c < (cells + 3) / 4) top += map[static_cast<size_t>(c)];
    }
    total += all > 0 ? top / all : 0;
  }
  return total / static_cast<double>(maps.count);
}

}  // namespace

Section rollout_section(const AnalysisInput& input) {
  Section section{.name = "rollout", .title = "Attention rollout", .order = 50};
  section.question = "Which parts of a picture does attention carry to the decision?";
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const RolloutInput layers = collect_layers(subject, *input.data, kRolloutPictures);
    if (layers.layers.empty()) {
      section.caveats.push_back(why_not(subject));
      if (section.finding.empty()) section.finding = why_not(subject);
      continue;
    }
    const bool class_token = layers.layers.back().site.prefix > 0 && !subject.model->name().ends_with("_gap");
    const RolloutMaps maps = rollout(layers.layers, class_token);
    const std::string name = s == 0 ? "rollout" : fmt::format("rollout-{}", s + 1);
    section.figures.push_back(rollout_figure(layers, maps, *input.data, name, subject.label));
    const double share = concentration(maps);
    section.figures.back().alt = fmt::format("{} pictures; the brightest quarter of each map holds {:.0f} % of it.",
                                             maps.count, 100 * share);
    if (s > 0) continue;
    section.finding = fmt::format(
        "The brightest quarter of a rollout map holds {:.0f} % of the attention on average (a "
        "flat map: 25 %), over {} attention layers.",
        100 * share, layers.layers.size());
    section.values = {{.key = "concentration", .label = "Rollout in the brightest quarter", .value = share,
                       .text = fmt::format("{:.0f} %", 100 * share)}};
  }
  section.reading =
      "Attention of all layers multiplied from the output to the input, half of each step kept by the shortcut "
      "(Abnar and Zuidema, 2020). Bright places are where the final representation gathers from.";
  section.caveats.push_back(
      "Convolution blocks are taken to keep positions and a coarser grid to spread its share evenly over the finer one "
      "below: an approximation. Rollout does not know the class; with average pooling it tends to be flat.");
  return section;
}

}  // namespace passband
