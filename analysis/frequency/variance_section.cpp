#include "analysis/frequency/variance_section.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/frequency/feature_maps.h"
#include "analysis/frequency/spectrum.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

void add_peak(const PerLayer<MapVariance>& layers, const std::vector<double>& values,
              const std::string& subject, Section& section) {
  if (values.empty()) return;
  const auto peak = static_cast<size_t>(std::ranges::max_element(values) - values.begin());
  section.finding += fmt::format(
      "{}The variance of {} peaks at {} ({:.3g}); {}.", section.finding.empty() ? "" : " ", subject,
      layers.axis.labels()[peak], values[peak], changes_by_kind(layers.axis, values));
  section.values.push_back({.key = "peak_variance",
                            .label = "Peak variance",
                            .value = values[peak],
                            .detail = layers.axis.labels()[peak],
                            .subject = subject});
}

plot::Panel variance_panel(const PerLayer<MapVariance>& layers, const std::vector<double>& values,
                           const std::string& title) {
  plot::Panel panel = against_depth(layers.axis, title, "variance");
  panel.y.from_zero = true;
  panel.lines = {{.name = "variance", .x = layers.axis.positions(), .y = values}};
  return panel;
}

}  // namespace

Section variance_section(const AnalysisInput& input) {
  const int64_t images = input.pictures(1000);
  Section section;
  plot::Figure figure{.name = "variance",
                      .title = "Spatial variance of feature maps against depth."};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const auto layers = accumulate<MapVariance>(input, s, images);
    std::vector<double> values;
    for (const MapVariance& sums : layers.sums) values.push_back(sums.value());
    add_peak(layers, values, input.subjects[s].label, section);
    figure.panels.push_back(variance_panel(layers, values, input.subjects[s].label));
  }
  section.reading =
      "Attention averages over positions and so lowers the variance of its map; convolutions raise "
      "it. In networks of "
      "stages the variance grows within a stage and falls where the resolution is reduced.";
  section.caveats = {
      fmt::format("{}; unbiased variance over positions, mean over pictures and channels.",
                  counted(images, "test picture"))};
  figure.alt = section.finding;
  section.figures = {std::move(figure)};
  return section;
}

}  // namespace passband
