#include "analysis/relevance/hydra_maps_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "analysis/relevance/hydra_maps.h"
#include "analysis/relevance/layer_study.h"
#include "analysis/relevance/rollout.h"
#include "analysis/relevance/value_contributions.h"
#include "analysis/study/finite.h"
#include "analysis/study/picture_maps.h"
#include "analysis/study/verdict.h"
#include "analysis/study/wording.h"
#include "tensor/autograd/node.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr int64_t kHydraBatch = 16, kHydraPictures = 6, kShownChannels = 2;

using HydraStudy = LayerStudy<HydraWeights>;

// Maps of places, (pictures, prefix + cells), without the tokens before the grid.
std::vector<double> cells_of(const TapSite& site, const std::vector<double>& places) {
  const int64_t cells = site.height * site.width, all = site.prefix + cells;
  std::vector<double> result;
  for (int64_t first = site.prefix; first < std::ssize(places); first += all)
    result.insert(result.end(), places.begin() + first, places.begin() + first + cells);
  return result;
}

std::vector<double> positive_part(std::vector<double> values, double sign = 1) {
  for (double& value : values) value = std::max(sign * value, 0.0);
  return values;
}

// What is shown of the pictures: maps of one grid each.
struct HydraPictures {
  TapSite last;                       // the last Hydra layer
  Tensor maps;                        // of its channels for one query, (N, places, D)
  RelevanceMaps naive;                // rollout
  std::vector<double> contributions;  // of its cells, signed
  std::vector<int64_t> classes;       // that the network reads
  double agreement = 0;               // correlation of the two, mean over pictures
};

HydraPictures look_at(const Model& model, const Tensor& images) {
  HydraPictures result;
  {
    NoGrad no_grad;
    const ContextGuard mode({.training = false});
    Tensor queries;
    const ProbeGuard probe({"hydra_query", "hydra_key"},
                           [&](const TapSite& site, const Tensor& buffer) {
                             if (site.name == "hydra_query") return queries = buffer;
                             result.last = site;
                             result.maps = channel_maps(site, queries, buffer);
                             return buffer;
                           });
    finite_logits(model, images);
  }
  result.classes = classes_read(model, images);
  result.naive =
      rollouts(model, images, {{.convolution = ConvolutionStep::area}}, result.classes)[0];
  const ValueContributions last =
      value_contributions(model, images, result.classes, "hydra_value").back();
  result.contributions = cells_of(last.site, last.values);
  if (result.naive.height != last.site.height || result.naive.width != last.site.width) {
    result.agreement = std::nan("");
    return result;
  }
  const auto cells = static_cast<size_t>(result.naive.height * result.naive.width);
  double total = 0, count = 0;
  for (size_t first = 0; first < result.contributions.size(); first += cells) {
    const double value = correlation(std::span(result.naive.values).subspan(first, cells),
                                     std::span(result.contributions).subspan(first, cells));
    if (std::isfinite(value)) total += value, count += 1;
  }
  result.agreement = count > 0 ? total / count : std::nan("");
  return result;
}

// Channels whose maps weigh most for the query, over all pictures.
std::vector<int64_t> heaviest_channels(const Tensor& maps) {
  const std::vector<double> weights = sum(abs(maps), {0, 1}).values();
  std::vector<int64_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>{},
                           [&](int64_t d) { return weights[static_cast<size_t>(d)]; });
  order.resize(std::min<size_t>(order.size(), kShownChannels));
  return order;
}

std::string finding_of(const std::string& label, const HydraStudy& study,
                       const HydraPictures& shown) {
  std::vector<double> negative, sums, spread;
  for (const HydraWeights& layer : study.sums) {
    negative.push_back(100 * layer.negative_share());
    sums.push_back(layer.row_sum());
    spread.push_back(layer.row_deviation());
  }
  const auto number = [](double value) { return fmt::format("{:.2f}", value); };
  std::string text = fmt::format(
      "In {} of {}, {} of the weight in the channels' maps is negative, and their rows sum to {} "
      "on average (deviation {}), not to 1: they are no shares, and products of their mean are no "
      "rollout.",
      counted(std::ssize(study.sums), "Hydra layer"), label,
      together(negative, [](double share) { return fmt::format("{:.0f} %", share); }),
      together(sums, number), together(spread, number));
  if (std::isfinite(shown.agreement))
    text += fmt::format(
        " The naive rollout correlates by {:.2f} with what places of the last layer send to the "
        "class.",
        shown.agreement);
  return text;
}

plot::Figure maps_figure(const AnalysisInput& input, size_t s, const std::vector<int64_t>& indices,
                         const HydraPictures& shown) {
  const Subject& subject = input.subjects[s];
  const TapSite& last = shown.last;
  plot::Figure figure = picture_figure(
      *input.data, indices, subject.model->options().image_size, figure_name("hydra-maps", s),
      "Contributions and single channels of the last Hydra layer, beside a naive rollout, " +
          subject.label + ".",
      "relative to the largest");
  const auto row = [&](const std::string& title, const std::vector<double>& values) {
    add_map_row(figure, title, values, last.height, last.width);
  };
  row("for the class", positive_part(shown.contributions));
  row("against it", positive_part(shown.contributions, -1));
  for (const int64_t d : heaviest_channels(shown.maps)) {
    const std::vector<double> map = cells_of(last, slice(shown.maps, 2, d, 1).values());
    row(fmt::format("channel {}, positive", d), positive_part(map));
    row(fmt::format("channel {}, negative", d), positive_part(map, -1));
  }
  add_map_row(figure, "naive rollout", shown.naive.values, shown.naive.height, shown.naive.width);
  mark_wrong(figure, *input.data, indices, shown.classes);
  return figure;
}

plot::Panel share_panel(const HydraStudy& study, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "Hydra layer", .categories = study.axis.labels()},
                    .y = {.label = "negative share of |A|", .low = 0.0, .high = 1.0}};
  plot::Line negative{.name = "negative", .x = study.axis.positions()};
  for (const HydraWeights& layer : study.sums) negative.y.push_back(layer.negative_share());
  panel.lines = {std::move(negative)};
  return panel;
}

}  // namespace

Section hydra_maps_section(const AnalysisInput& input) {
  const int64_t images = input.pictures(64);
  Section section;
  plot::Figure depth{.name = "hydra-shares", .title = "Signs in the maps of channels."};
  const std::vector<int64_t> indices = spread_indices(input.data->count, kHydraPictures);
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const HydraStudy study = study_layers<HydraWeights>(
        subject, *input.data,
        {.images = images, .batch_size = kHydraBatch, .progress = input.part_of(s)}, "hydra_query",
        "hydra_key");
    const HydraPictures shown =
        look_at(*subject.model, network_images(*subject.model, *input.data, indices));
    const std::string finding = finding_of(subject.label, study, shown);
    section.values.push_back({.key = "negative_share",
                              .label = "Negative share in the first Hydra layer",
                              .value = study.sums.front().negative_share(),
                              .subject = subject.label});
    section.finding += (s > 0 ? " " : "") + finding;
    section.figures.push_back(maps_figure(input, s, indices, shown));
    section.figures.back().alt = finding;
    depth.panels.push_back(share_panel(study, subject.label));
  }
  section.reading =
      "Hydra attention has a map for every channel, the product of a query's and a key's entry: "
      "signed, of rank 1, with rows that do not sum to 1. Shown are the channels that weigh most "
      "for the class token, or for the place in the middle where there is none, and each place's "
      "contribution to the class: its message times the gradient, which adds up exactly over "
      "places. The last row is what a rollout draws that averages over channels, cuts what is "
      "negative and multiplies: it is no map of this network.";
  section.caveats = {fmt::format("Signs over {}.", counted(images, "test picture"))};
  depth.alt = section.finding;
  section.figures.push_back(std::move(depth));
  return section;
}

}  // namespace passband
