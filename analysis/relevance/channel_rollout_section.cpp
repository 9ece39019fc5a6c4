#include "analysis/relevance/channel_rollout_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "analysis/relevance/norm_rollout.h"
#include "analysis/relevance/rollout.h"
#include "analysis/study/depth_axis.h"
#include "analysis/study/picture_maps.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

struct ChannelStudy {
  DepthAxis axis;
  std::vector<std::vector<double>> profiles;     // layers x groups, mean over pictures
  std::vector<double> groups_used, places_used;  // layers: effective counts, mean over pictures
  std::vector<RelevanceMaps> volumes;            // one per picture, a map for each group
  std::vector<int64_t> classes;
  double correlation = 0;  // between maps of groups
};

double mean_group_correlation(const RelevanceMaps& volume) {
  const auto cells = static_cast<size_t>(volume.height * volume.width);
  const auto map_of = [&](int64_t group) {
    return std::span(volume.values).subspan(static_cast<size_t>(group) * cells, cells);
  };
  double total = 0, count = 0;
  for (int64_t g = 0; g < volume.count; ++g)
    for (int64_t h = 0; h < g; ++h) {
      const double value = correlation(map_of(g), map_of(h));
      if (!std::isfinite(value)) continue;
      total += value;
      count += 1;
    }
  return count > 0 ? total / count : 1;
}

void add_layers(ChannelStudy& study, const std::vector<BlockTransport>& blocks,
                const std::vector<double>& start, int64_t groups, double weight) {
  const auto layers = relevance_by_layer(blocks, start);
  for (size_t l = 0; l < blocks.size(); ++l) {
    const size_t i = study.axis.index_of(blocks[l].site);
    study.profiles.resize(study.axis.size(), std::vector<double>(static_cast<size_t>(groups)));
    study.groups_used.resize(study.axis.size());
    study.places_used.resize(study.axis.size());
    const std::vector<double> profile = over_places(layers[l], groups),
                              places = over_groups(layers[l], groups);
    for (size_t g = 0; g < profile.size(); ++g) study.profiles[i][g] += weight * profile[g];
    study.groups_used[i] += weight * effective_count(profile) / static_cast<double>(groups);
    study.places_used[i] += weight * effective_count(places) / static_cast<double>(places.size());
  }
}

RelevanceMaps volume_maps(const std::vector<BlockTransport>& blocks,
                          const std::vector<double>& start, int64_t groups) {
  const TapSite& bottom = blocks.front().site;
  const std::vector<double> volume = channel_volume(blocks, start, groups);
  RelevanceMaps maps{groups, bottom.height, bottom.width, {}};
  const int64_t places = bottom.prefix + bottom.height * bottom.width;
  for (int64_t g = 0; g < groups; ++g)
    maps.values.insert(maps.values.end(), volume.begin() + g * places + bottom.prefix,
                       volume.begin() + (g + 1) * places);
  return maps;
}

ChannelStudy measure_channels(const Subject& subject, const Dataset& data,
                              const ChannelRolloutOptions& options,
                              const std::vector<int64_t>& indices, const Progress& progress) {
  ChannelStudy study;
  const int64_t groups = options.groups;
  const auto total = static_cast<int64_t>(indices.size());
  for (int64_t n = 0; n < total; ++n) {
    const Tensor image = network_images(*subject.model, data, {indices[static_cast<size_t>(n)]});
    study.classes.push_back(classes_read(*subject.model, image)[0]);
    const auto blocks = block_transports(*subject.model, image, {.groups = groups});
    const ReadOut read = read_out(*subject.model, image, {study.classes.back()}, groups);
    const std::vector<double> start = start_of(read, options.for_class);
    add_layers(study, blocks, start, groups, 1.0 / static_cast<double>(total));
    study.volumes.push_back(volume_maps(blocks, start, groups));
    study.correlation += mean_group_correlation(study.volumes.back()) / static_cast<double>(total);
    progress(n + 1, total, "pictures");
  }
  return study;
}

std::string channel_finding(const std::string& label, const ChannelStudy& study) {
  return fmt::format(
      "At the last layer of {} relevance is spread over {:.0f} % of the channel groups and {:.0f} "
      "% of "
      "the places, at the "
      "lowest over {:.0f} % and {:.0f} %; maps of different groups correlate by {:.2f}: {}.",
      label, 100 * study.groups_used.back(), 100 * study.places_used.back(),
      100 * study.groups_used.front(), 100 * study.places_used.front(), study.correlation,
      study.correlation > 0.9   ? "all groups gather from the same places"
      : study.correlation > 0.5 ? "groups gather from similar places"
                                : "groups gather from places of their own");
}

// One row a picture: all channels together, then each group's map.
plot::Figure volume_figure(const Dataset& data, const ChannelStudy& study,
                           const std::vector<int64_t>& indices, const std::string& name,
                           const Subject& subject) {
  plot::Figure figure{.name = name,
                      .title = "Where each group of channels gathers from, " + subject.label + "."};
  plot::Pictures& grid = figure.pictures;
  const int64_t groups = study.volumes.front().count;
  grid.columns = static_cast<int>(groups) + 1;
  grid.overlay_value = "share of the group's relevance, relative to the largest";
  grid.column_titles = {"picture"};
  for (int64_t g = 0; g < groups; ++g) grid.column_titles.push_back(fmt::format("group {}", g + 1));
  for (size_t n = 0; n < std::min<size_t>(indices.size(), 4); ++n) {
    const RelevanceMaps& maps = study.volumes[n];
    const int64_t cells = maps.height * maps.width;
    plot::Picture plain = picture_of(data, indices[n], subject.model->options().image_size);
    plain.caption = class_name(data, study.classes[n]);
    plain.alt = fmt::format("test picture {}", indices[n]);
    plain.wrong = is_wrong(data, indices[n], study.classes[n]);
    grid.cells.push_back(plain);
    const double all = std::accumulate(maps.values.begin(), maps.values.end(), 0.0);
    for (int64_t g = 0; g < groups; ++g) {
      const std::span<const double> map(&maps.values[static_cast<size_t>(g * cells)],
                                        static_cast<size_t>(cells));
      const double share = all > 0 ? std::accumulate(map.begin(), map.end(), 0.0) / all : 0;
      grid.cells.push_back(
          overlaid(plain, map, maps.height, maps.width, fmt::format("{:.0f} %", 100 * share)));
    }
  }
  return figure;
}

plot::Panel profile_panel(const ChannelStudy& study, const std::string& title) {
  plot::Panel panel{.title = title, .x = {.label = "channel group"}, .y = {.label = "layer"}};
  const auto groups = static_cast<int64_t>(study.profiles.front().size());
  plot::Heatmap map{.rows = static_cast<int64_t>(study.profiles.size()),
                    .columns = groups,
                    .value = "share of relevance",
                    .row_labels = study.axis.labels(),
                    .low = 0.0,
                    .row_groups = study.axis.stages(),
                    .origin_bottom = true};
  for (int64_t g = 0; g < groups; ++g) map.column_labels.push_back(std::to_string(g + 1));
  for (const auto& profile : study.profiles)
    map.values.insert(map.values.end(), profile.begin(), profile.end());
  panel.heatmap = std::move(map);
  return panel;
}

plot::Panel spread_panel(const ChannelStudy& study, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "layer", .categories = study.axis.labels()},
                    .y = {.label = "effective share in use", .low = 0.0, .high = 1.0}};
  panel.spans = study.axis.spans();
  panel.lines = {{.name = "places", .x = study.axis.positions(), .y = study.places_used},
                 {.name = "channel groups", .x = study.axis.positions(), .y = study.groups_used}};
  return panel;
}

}  // namespace

Section channel_rollout_section(const AnalysisInput& input, const ChannelRolloutOptions& options) {
  const int64_t images = input.pictures(4);
  Section section;
  plot::Figure profiles{.name = "channel-profile",
                        .title = "Relevance by channel group and layer."};
  plot::Figure spread{.name = "channel-spread",
                      .title = "Effective share of places and of channel groups in use."};
  const std::vector<int64_t> indices = spread_indices(input.data->count, images);
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const ChannelStudy study =
        measure_channels(subject, *input.data, options, indices, input.part_of(s));
    section.values.push_back({.key = "group_correlation",
                              .label = "Correlation of the maps of two channel groups",
                              .value = study.correlation,
                              .subject = subject.label});
    section.finding += (s > 0 ? " " : "") + channel_finding(subject.label, study);
    section.figures.push_back(
        volume_figure(*input.data, study, indices, figure_name("channel-rollout", s), subject));
    section.figures.back().alt = channel_finding(subject.label, study);
    profiles.panels.push_back(profile_panel(study, subject.label));
    spread.panels.push_back(spread_panel(study, subject.label));
  }
  section.reading =
      "Rollout by norms with every place split into groups of channels: a share flows from "
      "(source, group) to (target, "
      "group) by the length of what it sends. Each row of pictures shows where the groups of the "
      "last layer gather from, "
      "with their part of the whole. The heat map shows how the relevance is spread over groups at "
      "each depth; the curves "
      "count places and groups in use (exponential of the entropy, as a share of all).";
  section.caveats = {
      fmt::format("{}, {} groups of neighbouring channels. Groups of different layers are "
                  "different channels: only the shortcut keeps their meaning.",
                  counted(images, "test picture"), options.groups)};
  profiles.alt = spread.alt = section.finding;
  section.figures.push_back(std::move(profiles));
  section.figures.push_back(std::move(spread));
  return section;
}

}  // namespace passband
