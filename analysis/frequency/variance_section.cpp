#include "analysis/frequency/variance_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/frequency/feature_maps.h"
#include "analysis/frequency/spectrum.h"
#include "analysis/study/claims.h"
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

void add_variance_claims(const std::string& network, const std::vector<BlockChange>& changes,
                         Section& section) {
  const auto add = [&](BlockKind kind, const char* key, const char* name, Verdict side) {
    const Estimate change = change_of_kind(changes, kind);
    if (!std::isfinite(change.value)) return;
    const char* what =
        side == Verdict::below ? " lower the variance of maps" : " raise the variance of maps";
    add_claim(section,
              {.text = std::string(name) + what,
               .key = key,
               .label = std::string(name) + ": change of the variance, mean over blocks",
               .side = side,
               .words = [](double v) { return fmt::format("{:+.3g}", v); }},
              network, change);
  };
  add(BlockKind::msa, "msa_change", "Attention blocks", Verdict::below);
  add(BlockKind::lambda, "lambda_change", "Lambda blocks", Verdict::below);
  add(BlockKind::conv, "convolution_change", "Convolution blocks", Verdict::above);
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
  std::vector<NetworkEffects> effects;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const auto layers = accumulate<MapVariance>(input, s, images);
    std::vector<double> values;
    for (const MapVariance& sums : layers.sums) values.push_back(sums.value());
    add_peak(layers, values, input.subjects[s].label, section);
    const std::vector<BlockChange> changes = block_changes(layers);
    effects.push_back(effects_of(input.subjects[s].label, changes));
    add_variance_claims(input.subjects[s].label, changes, section);
    figure.panels.push_back(variance_panel(layers, values, input.subjects[s].label));
  }
  section.reading =
      "Attention averages over positions and so lowers the variance of its map; convolutions raise "
      "it. In networks of "
      "stages the variance grows within a stage and falls where the resolution is reduced.";
  section.caveats = {
      fmt::format("{}; unbiased variance over positions, mean over pictures and channels.",
                  counted(images, "test picture"))};
  plot::Figure changes =
      kind_figure("variance-change", "What each block does to the variance of its map.",
                  {.label = "change of the variance"}, effects);
  figure.alt = changes.alt = section.finding;
  if (!changes.panels.empty()) section.figures.push_back(std::move(changes));
  section.figures.push_back(std::move(figure));
  return section;
}

}  // namespace passband
