#include "analysis/places/localisation_section.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/places/localisation.h"
#include "analysis/study/depth_axis.h"
#include "analysis/study/picture_maps.h"
#include "analysis/study/verdict.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

constexpr int64_t kLocalisationBatch = 128;
constexpr int64_t kManyPlaces = 64;  // larger grids are measured at the last layer only

struct LayerMaps {
  TapSite site;
  std::vector<double> heatmaps;
  LocalisationSummary summary;
};

bool measurable(const TapSite& site, int64_t side) {
  return site.height > 1 && site.width > 1 && side % site.height == 0 && side % site.width == 0;
}

// Layers of few places, and the last layer of all; its own number of places is found by a pass over
// one picture.
std::vector<std::string> chosen_layers(const Subject& subject, const Dataset& data) {
  std::vector<TapSite> sites;
  const int64_t side = subject.model->options().image_size;
  run_pass(*subject.model, data, {.images = 1}, {"out"}, [&](const TapSite& site, const Tensor&) {
    if (measurable(site, side)) sites.push_back(site);
  });
  std::vector<std::string> paths;
  for (size_t i = 0; i < sites.size(); ++i)
    if (sites[i].height * sites[i].width <= kManyPlaces || i + 1 == sites.size())
      paths.push_back(sites[i].path);
  return paths;
}

std::vector<LayerMaps> measure_maps(const Subject& subject, const Dataset& data, int64_t images,
                                    const Progress& progress) {
  const std::vector<std::string> paths = chosen_layers(subject, data);
  std::vector<Localisation> sums;
  // layers of this batch, until its pictures are known
  std::vector<std::pair<size_t, Tensor>> held;
  run_pass(
      *subject.model, data,
      {.images = images,
       .batch_size = std::min(kLocalisationBatch, images),
       .whole_batches = true,
       .progress = progress},
      {"out"},
      [&](const TapSite& site, const Tensor& buffer) {
        const auto found = std::ranges::find(paths, site.path);
        if (found == paths.end()) return;
        const auto i = static_cast<size_t>(found - paths.begin());
        if (i == sums.size()) sums.emplace_back(site);
        held.emplace_back(i, as_feature_map(site, buffer));
      },
      [&](const std::vector<int64_t>&, const Tensor& pictures, const Tensor&) {
        for (const auto& [i, features] : held) sums[i].add(features, pictures);
        held.clear();
      });
  std::vector<LayerMaps> result;
  for (const Localisation& layer : sums) {
    const std::vector<double> maps = layer.heatmaps();
    result.push_back(
        {layer.site(), maps, summarise(maps, layer.site().height, layer.site().width)});
  }
  return result;
}

std::string uncut(const std::string& label) {
  return label +
         ": no layer has a grid that cuts the picture into equal patches; receptive-field shows "
         "which pixels its places see.";
}

// Against chance, where the own patch stands anywhere among all.
std::string verdict_on(const LocalisationSummary& summary) {
  const Estimate rank = Estimate::within(summary.own_rank, 1.96 * summary.own_rank_error);
  switch (judge(rank, 0.5)) {
    case Verdict::below:
      return rank.value < 0.1    ? "position is kept"
             : rank.value < 0.35 ? "position is kept in part"
                                 : "position is mostly lost";
    case Verdict::above: return "tokens are less like their own patch than like others";
    default: return "nothing of the position is seen, the rank is as by chance";
  }
}

std::string finding(const std::string& label, const LayerMaps& last) {
  return fmt::format(
      "At the last layer of {} ({} × {} places) {:.0f} % of the tokens are most similar to their "
      "own patch, whose relative rank is {:.2f} on average (0 first, 0.5 chance): {}.",
      label, last.site.height, last.site.width, 100 * last.summary.own_first, last.summary.own_rank,
      verdict_on(last.summary));
}

plot::Panel token_panel(const LayerMaps& last, int64_t y, int64_t x, const std::string& title) {
  const TapSite& site = last.site;
  const auto places = site.height * site.width;
  const auto first = last.heatmaps.begin() + (y * site.width + x) * places;
  plot::Panel panel{.title = title, .x = {.label = "patch column"}, .y = {.label = "patch row"}};
  panel.heatmap = plot::Heatmap{.rows = site.height,
                                .columns = site.width,
                                .values = {first, first + places},
                                .value = "CKA",
                                .map = plot::ColorMap::magma};
  return panel;
}

void add_token_panels(plot::Figure& figure, const LayerMaps& last, const std::string& label) {
  const int64_t h = last.site.height, w = last.site.width;
  figure.panels.push_back(token_panel(last, 0, 0, label + ", corner"));
  figure.panels.push_back(token_panel(last, 0, w / 2, label + ", upper edge"));
  figure.panels.push_back(token_panel(last, h / 2, w / 2, label + ", middle"));
}

plot::Panel depth_panel(const std::vector<LayerMaps>& layers, const std::string& title) {
  DepthAxis axis;
  plot::Line rank{.name = "rank of the own patch"};
  for (const LayerMaps& layer : layers) {
    axis.index_of(layer.site);
    rank.y.push_back(layer.summary.own_rank);
  }
  rank.x = axis.positions();
  plot::Panel panel{.title = title,
                    .x = {.label = "layer", .categories = axis.labels()},
                    .y = {.label = "relative rank", .low = 0.0, .high = 1.0}};
  panel.spans = axis.spans();
  panel.lines = {std::move(rank)};
  panel.references = {{plot::Reference::Along::horizontal, 0.5, "chance"}};
  return panel;
}

}  // namespace

Section localisation_section(const AnalysisInput& input) {
  const int64_t images = input.pictures(1024);
  Section section;
  plot::Figure maps{.name = "localisation",
                    .title = "Similarity of tokens of the last layer to every patch.",
                    .columns = 3,
                    .share_axes = false};
  plot::Figure depth{.name = "localisation-depth",
                     .title = "Rank of a token's own patch against depth."};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const std::vector<LayerMaps> layers =
        measure_maps(subject, *input.data, images, input.part_of(s));
    if (layers.empty()) {
      section.finding += (section.finding.empty() ? "" : " ") + uncut(subject.label);
      continue;
    }
    const LayerMaps& last = layers.back();
    section.values.push_back({.key = "own_rank",
                              .label = "Relative rank of the own patch, last layer",
                              .value = last.summary.own_rank,
                              .subject = subject.label});
    section.values.push_back({.key = "own_first",
                              .label = "Tokens most similar to their own patch",
                              .value = last.summary.own_first,
                              .text = fmt::format("{:.0f} %", 100 * last.summary.own_first),
                              .subject = subject.label});
    const int64_t places = last.site.height * last.site.width;
    section.finding += (section.finding.empty() ? "" : " ") + finding(subject.label, last);
    section.arrays.push_back({.name = figure_name("localisation", s),
                              .shape = {places, places},
                              .values = last.heatmaps});
    add_token_panels(maps, last, subject.label);
    depth.panels.push_back(depth_panel(layers, subject.label));
  }
  section.reading =
      "Each map shows how similar one token's features are, over pictures, to the pixels of every "
      "patch (CKA). A bright "
      "spot at the token's own place means that it still speaks of it; a flat map that its "
      "features come from "
      "everywhere. Transformers with a class token keep position; average pooling and "
      "convolutional strides wash it out "
      "(Raghu et al., 2021).";
  section.caveats.push_back(fmt::format(
      "{} in batches of {}, unbiased linear CKA to raw pixels. Grids of "
      "more than {} places are "
      "measured at the last layer only.",
      counted(images, "test picture"), std::min(kLocalisationBatch, images), kManyPlaces));
  maps.alt = depth.alt = section.finding;
  if (!maps.panels.empty()) section.figures = {std::move(maps), std::move(depth)};
  return section;
}

}  // namespace passband
