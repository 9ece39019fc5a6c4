#include "analysis/frequency/variance_section.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/frequency/feature_maps.h"
#include "analysis/frequency/spectrum.h"
#include "analysis/study/wording.h"

namespace passband {

Section variance_section(const AnalysisInput& input) {
  const int64_t images = input.images_or(1000);
  Section section;
  plot::Figure figure{.name = "variance",
                      .title = "Spatial variance of feature maps against depth."};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const auto layers = accumulate<MapVariance>(input, s, images);
    std::vector<double> values;
    for (const MapVariance& sums : layers.sums) values.push_back(sums.value());
    plot::Panel panel = against_depth(layers.axis, input.subjects[s].label, "variance");
    panel.y.from_zero = true;
    panel.lines = {{.name = "variance", .x = layers.axis.positions(), .y = values}};
    figure.panels.push_back(std::move(panel));
    if (values.empty()) continue;
    const auto peak = static_cast<size_t>(std::ranges::max_element(values) - values.begin());
    section.finding += fmt::format(
        "{}The variance of {} peaks at {} ({:.3g}); {}.", s > 0 ? " " : "", input.subjects[s].label,
        layers.axis.labels()[peak], values[peak], changes_by_kind(layers.axis, values));
    section.values.push_back({.key = "peak_variance",
                              .label = "Peak variance",
                              .value = values[peak],
                              .detail = layers.axis.labels()[peak],
                              .subject = input.subjects[s].label});
  }
  figure.alt = section.finding;
  section.figures = {std::move(figure)};
  section.reading =
      "Attention averages over positions and so lowers the variance of its map; convolutions raise "
      "it. In networks of "
      "stages the variance grows within a stage and falls where the resolution is reduced.";
  section.caveats = {
      fmt::format("{}; unbiased variance over positions, mean over pictures and channels.",
                  counted(images, "test picture"))};
  return section;
}

}  // namespace passband
