#include "analysis/similarity/growth_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "analysis/similarity/cka.h"
#include "analysis/similarity/growth.h"
#include "analysis/study/depth_axis.h"
#include "analysis/study/lockstep.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr int64_t kGrowthBatch = 256;

double fraction_of(const Subject& subject) {
  return subject.run ? subject.run->settings.data_fraction : 0;
}

// The reference, then its siblings by share of the data.
std::vector<Subject> family_of(const AnalysisInput& input) {
  std::vector<Subject> family = {input.subjects[0]};
  for (const Subject& subject : input.subjects)
    if (is_sibling(subject, input.subjects[0])) family.push_back(subject);
  std::ranges::stable_sort(family.begin() + 1, family.end(), {}, fraction_of);
  return family;
}

struct MeasuredGrowth {
  DepthAxis axis;
  std::vector<std::vector<double>> cka;  // [sibling][layer]
};

MeasuredGrowth measure(const std::vector<Subject>& family, const AnalysisInput& input,
                       LayerChoice layers, int64_t batch) {
  MeasuredGrowth result;
  std::vector<std::vector<Tensor>> kernels(family.size());
  std::vector<std::vector<bool>> dead(family.size());
  std::optional<CorrespondingCka> sums;
  const auto visit = [&](size_t s, const TapSite& site, const Tensor& buffer) {
    if (s == 0) result.axis.index_of(site);
    bool constant = false;
    kernels[s].push_back(u_centred_gram(cast(buffer, DType::f32), constant));
    dead[s].resize(std::max(dead[s].size(), kernels[s].size()));
    if (constant) dead[s][kernels[s].size() - 1] = true;
  };
  const auto after_batch = [&](int64_t, const std::vector<int64_t>&) {
    if (!sums)
      sums.emplace(static_cast<int64_t>(family.size()) - 1,
                   static_cast<int64_t>(kernels[0].size()));
    sums->add(kernels);
    for (std::vector<Tensor>& of_network : kernels) of_network.clear();
  };
  run_lockstep(family, *input.data,
               {.images = input.pictures(1024), .batch_size = batch, .progress = input.progress},
               taps_of(layers), visit, after_batch);
  result.cka = sums->values();
  for (size_t s = 0; s < result.cka.size(); ++s)
    for (size_t layer = 0; layer < result.cka[s].size(); ++layer)
      if (dead[0][layer] || dead[s + 1][layer]) result.cka[s][layer] = std::nan("");
  return result;
}

// Trained on as much as the reference, from another seed: as alike as training makes two networks.
bool is_ceiling(const Subject& subject, const Subject& reference) {
  return subject.run && fraction_of(subject) == fraction_of(reference);
}

std::string name_of(const Subject& subject, const Subject& reference) {
  if (!subject.run) return "untrained";
  const std::string share = fmt::format("{:g} % of the data", 100 * fraction_of(subject));
  return is_ceiling(subject, reference)
             ? fmt::format("{}, seed {} (ceiling)", share, subject.run->settings.seed)
             : fmt::format("{}, seed {}", share, subject.run->settings.seed);
}

double mean(const std::vector<double>& values) {
  double total = 0, count = 0;
  for (const double value : values)
    if (std::isfinite(value)) total += value, count += 1;
  return count > 0 ? total / count : std::nan("");
}

// NaN when no sibling shares the reference's amount of data.
double ceiling_of(const std::vector<Subject>& family, const MeasuredGrowth& measured) {
  std::vector<double> values;
  for (size_t s = 1; s < family.size(); ++s)
    if (is_ceiling(family[s], family[0])) values.push_back(mean(measured.cka[s - 1]));
  return mean(values);
}

std::string finding_of(const std::vector<Subject>& family, const MeasuredGrowth& measured) {
  std::string text = fmt::format("Mean CKA with {}: ", family[0].label);
  for (size_t s = 1; s < family.size(); ++s)
    text += fmt::format("{}{} {:.2f}", s == 1 ? "" : "; ", name_of(family[s], family[0]),
                        mean(measured.cka[s - 1]));
  const double ceiling = ceiling_of(family, measured);
  if (!std::isfinite(ceiling))
    return text + ". No run of another seed on as much data is there to give the ceiling.";
  // The layer that falls furthest behind the ceiling on the smallest share.
  const std::vector<double>& least = measured.cka[0];
  size_t worst = 0;
  for (size_t layer = 0; layer < least.size(); ++layer)
    if (std::isfinite(least[layer]) && !(least[layer] >= least[worst])) worst = layer;
  return text + fmt::format(". With {}, {} differs most ({:.2f}).", name_of(family[1], family[0]),
                            measured.axis.labels()[worst], least[worst]);
}

plot::Figure depth_figure(const std::vector<Subject>& family, const MeasuredGrowth& measured) {
  plot::Panel panel{.x = {.label = "layer", .categories = measured.axis.labels()},
                    .y = {.label = "CKA", .low = 0.0, .high = 1.0},
                    .spans = measured.axis.spans()};
  for (size_t s = 1; s < family.size(); ++s)
    panel.lines.push_back({.name = name_of(family[s], family[0]),
                           .x = measured.axis.positions(),
                           .y = measured.cka[s - 1],
                           .faint = is_ceiling(family[s], family[0])});
  plot::Figure figure{.name = "growth"};
  figure.title = fmt::format("CKA of each layer with that of {} ({:g} % of the data).",
                             family[0].label, 100 * fraction_of(family[0]));
  figure.panels.push_back(std::move(panel));
  return figure;
}

plot::Figure share_figure(const std::vector<Subject>& family, const MeasuredGrowth& measured) {
  plot::Panel panel{.x = {.label = "share of the training pictures", .scale = plot::Scale::log10},
                    .y = {.label = "mean CKA", .low = 0.0, .high = 1.0}};
  plot::Points points{.name = "networks"};
  for (size_t s = 1; s < family.size(); ++s) {
    if (!family[s].run || is_ceiling(family[s], family[0])) continue;
    points.x.push_back(fraction_of(family[s]));
    points.y.push_back(mean(measured.cka[s - 1]));
    points.labels.push_back(name_of(family[s], family[0]));
  }
  const double ceiling = ceiling_of(family, measured);
  if (std::isfinite(ceiling))
    panel.references.push_back({.at = ceiling, .label = "another seed, same data"});
  for (size_t s = 1; s < family.size(); ++s)
    if (!family[s].run)
      panel.references.push_back({.at = mean(measured.cka[s - 1]), .label = "untrained"});
  plot::Figure figure{.name = "growth-share",
                      .title = "Mean CKA over the layers against the share of the data."};
  if (points.x.empty()) return figure;
  panel.points.push_back(std::move(points));
  figure.panels.push_back(std::move(panel));
  return figure;
}

}  // namespace

bool is_sibling(const Subject& subject, const Subject& reference) {
  return subject.model->name() == reference.model->name() &&
         subject.fingerprint != reference.fingerprint;
}

Section growth_section(const AnalysisInput& input, const GrowthOptions& options) {
  Section section;
  const std::vector<Subject> family = family_of(input);
  const int64_t batch = batch_within_memory(family, options.layers, 1, kGrowthBatch);
  const MeasuredGrowth measured = measure(family, input, options.layers, batch);
  section.finding = finding_of(family, measured);
  for (size_t s = 1; s < family.size(); ++s)
    section.values.push_back({.key = fmt::format("mean_cka_{}", s),
                              .label = "Mean CKA with " + name_of(family[s], family[0]),
                              .value = mean(measured.cka[s - 1])});
  const double ceiling = ceiling_of(family, measured);
  if (std::isfinite(ceiling))
    section.values.push_back({.key = "ceiling",
                              .label = "Mean CKA with another seed on the same data",
                              .value = ceiling});
  section.reading =
      "Each line compares the layers of one network with the same layers of the first. Two "
      "trainings that differ only "
      "in their seed are not identical: their line is the ceiling. A layer whose line reaches it "
      "has learned what it "
      "would from all the data; one that lies below needs more of it.";
  section.caveats = {fmt::format(
      "Linear kernel, unbiased, {} test pictures in batches of {}. The runs on less data "
      "take fewer steps unless they were given more epochs.",
      input.pictures(1024), batch)};
  section.figures.push_back(depth_figure(family, measured));
  plot::Figure share = share_figure(family, measured);
  if (!share.panels.empty()) section.figures.push_back(std::move(share));
  for (plot::Figure& figure : section.figures) figure.alt = section.finding;
  return section;
}

}  // namespace passband
