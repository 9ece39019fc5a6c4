#include "analysis/relevance/rollout_section.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/study/picture_maps.h"
#include "analysis/study/verdict.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

std::vector<NamedRollout> fusion_rows(const RolloutOptions& options) {
  const RolloutSettings base = plain_settings(options);
  std::vector<NamedRollout> rows = {{"mean", base}, {"max", base}, {"min", base}, {"", base}};
  rows[1].settings.attention.fusion = rows[3].settings.attention.fusion = Fusion::max;
  rows[2].settings.attention.fusion = Fusion::min;
  rows[3].settings.attention.discard = options.discard;
  rows[3].title = fmt::format("max, discard {:g}", options.discard);
  return rows;
}

// Concentration of each kind of map over many pictures, in batches.
std::vector<double> concentrations(const Subject& subject, const Dataset& data, int64_t images,
                                   const std::vector<NamedRollout>& named,
                                   const Progress& progress) {
  const std::vector<int64_t> indices = spread_indices(data.count, images);
  const auto total = static_cast<int64_t>(indices.size());
  std::vector<double> sums(named.size());
  for (int64_t first = 0; first < total; first += kRolloutBatch) {
    const auto begin = indices.begin() + first;
    const std::vector<int64_t> chosen(begin, begin + std::min(kRolloutBatch, total - first));
    const Tensor batch = network_images(*subject.model, data, chosen);
    const auto maps =
        rollouts(*subject.model, batch, settings_of(named), classes_read(*subject.model, batch));
    for (size_t i = 0; i < maps.size(); ++i)
      sums[i] += concentration(maps[i]) * static_cast<double>(maps[i].count);
    progress(first + static_cast<int64_t>(chosen.size()), total, "pictures");
  }
  for (double& sum : sums) sum /= static_cast<double>(total);
  return sums;
}

constexpr double kFlat = 0.25, kSmallestStep = 0.01;  // share of a quarter; what counts as more

std::string finding(const std::string& label, const std::vector<double>& share) {
  const bool flat = judge(Estimate::exact(share[0]), kFlat, kSmallestStep) != Verdict::above;
  return fmt::format(
      "The brightest quarter of a rollout map of {} holds {:.0f} % of the relevance on average "
      "({}); "
      "taking the largest head instead of the mean gives {:.0f} %, the smallest {:.0f} %, the "
      "largest without its weakest entries {:.0f} %.",
      label, 100 * share[0], flat ? "the map is flat" : "a flat map: 25 %", 100 * share[1],
      100 * share[2], 100 * share[3]);
}

// Rows of maps for the first class of each picture.
plot::Figure maps_figure(const AnalysisInput& input, int64_t pictures, size_t s,
                         const std::vector<NamedRollout>& rows) {
  const Subject& subject = input.subjects[s];
  const std::vector<int64_t> indices = spread_indices(input.data->count, pictures);
  const Tensor images = network_images(*subject.model, *input.data, indices);
  const std::vector<int64_t> classes = classes_read(*subject.model, images);
  plot::Figure figure = picture_figure(
      *input.data, indices, subject.model->options().image_size, figure_name("rollout", s),
      "Attention rollout over test pictures, " + subject.label + ".",
      "share of relevance, relative to the largest");
  const auto maps = rollouts(*subject.model, images, settings_of(rows), classes);
  for (size_t i = 0; i < rows.size(); ++i)
    add_map_row(figure, rows[i].title, maps[i].values, maps[i].height, maps[i].width,
                i == 0 ? read_as(*input.data, classes, "read as ") : std::vector<std::string>{});
  mark_wrong(figure, *input.data, indices, classes);
  return figure;
}

}  // namespace

Section rollout_section(const AnalysisInput& input, const RolloutOptions& options) {
  const int64_t images = input.pictures(32);
  const std::vector<NamedRollout> rows = fusion_rows(options);
  Section section;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const std::vector<double> share =
        concentrations(subject, *input.data, images, rows, input.part_of(s));
    section.values.push_back({.key = "concentration",
                              .label = "Rollout in the brightest quarter",
                              .value = share[0],
                              .text = fmt::format("{:.0f} %", 100 * share[0]),
                              .subject = subject.label});
    section.finding += (s > 0 ? " " : "") + finding(subject.label, share);
    section.figures.push_back(maps_figure(input, options.pictures, s, rows));
    section.figures.back().alt =
        fmt::format("The brightest quarter of each map holds {:.0f} % of it.", 100 * share[0]);
  }
  section.reading =
      "Attention of all layers multiplied from the output to the input, half of each step kept by "
      "the shortcut (Abnar "
      "and Zuidema, 2020). Bright places are where the final representation gathers from. Rows "
      "differ in how the heads "
      "of a layer become one matrix; 'discard' drops the weakest entries of each layer first.";
  section.caveats = {
      convolution_caveat(options),
      fmt::format("Shares over {}. Rollout does not know the class; with average pooling "
                  "it tends to be flat.",
                  counted(images, "test picture"))};
  return section;
}

}  // namespace passband
