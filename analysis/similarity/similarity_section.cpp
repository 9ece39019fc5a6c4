#include "analysis/similarity/similarity_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

namespace passband {
namespace {

// Every index of the section, with the maps it gives: by network for self, by further network for
// cross.
struct Index {
  std::string name, label;
  std::vector<LayerMap> self, cross;
};

struct KernelIndex {
  const char* name;
  const char* label;
  bool hsic;
  KernelMeasure measure;
};

std::vector<KernelIndex> kernel_indices(const KernelOptions& options) {
  const KernelMeasure rbf{.kernel = KernelMeasure::Kernel::rbf,
                          .fraction = options.rbf_fraction,
                          .width = options.rbf_width};
  return {{"cka", "CKA", false, {}},
          {"cka_biased", "CKA, biased", false, {.estimator = HsicEstimator::biased}},
          {"rbf", "CKA, radial kernel", false, rbf},
          {"hsic", "HSIC, linear", true, {}}};
}

struct SubspaceIndex {
  const char* name;
  const char* label;
  double SubspaceSimilarity::*value;
};

constexpr SubspaceIndex kSubspaceIndices[] = {
    {"regression", "R² of linear regression", &SubspaceSimilarity::regression},
    {"cca_r2", "CCA, R²", &SubspaceSimilarity::cca_r2},
    {"cca_rho", "CCA, mean ρ", &SubspaceSimilarity::cca_rho},
    {"svcca", "SVCCA, mean ρ", &SubspaceSimilarity::svcca_rho},
    {"pwcca", "PWCCA", &SubspaceSimilarity::pwcca},
};

struct MeasuredSimilarity {
  std::vector<Index> indices;
  std::string dead, refusals;
  int64_t widest = 0;  // features of a layer in the regressions
};

MeasuredSimilarity measure(const AnalysisInput& input, const SimilarityOptions& options,
                           int64_t images, int64_t batch) {
  const std::vector<KernelIndex> kernels = kernel_indices(options);
  std::vector<KernelMeasure> measures;
  for (const KernelIndex& kernel : kernels) measures.push_back(kernel.measure);
  const int64_t used = images / batch * batch;
  SubspaceMaps subspaces(input.subjects.size(), options.regression_features, used);
  const KernelMaps maps = measure_kernels(
      input.subjects, *input.data,
      {.images = images, .batch_size = batch, .progress = input.progress.part(0, 2)}, options,
      measures,
      [&](size_t s, const TapSite& site, const Tensor& buffer) {
        if (site.name == "out") subspaces.visit(s, site, buffer);
      },
      [&] { subspaces.finish_batch(); });

  MeasuredSimilarity result;
  for (size_t m = 0; m < kernels.size(); ++m) {
    Index index{kernels[m].name, kernels[m].label, {}, {}};
    for (const KernelMap& map : maps.self[m])
      index.self.push_back(kernels[m].hsic ? map.hsic : map.cka);
    for (const KernelMap& map : maps.cross[m])
      index.cross.push_back(kernels[m].hsic ? map.hsic : map.cka);
    result.indices.push_back(std::move(index));
  }
  subspaces.finish(options, input.progress.part(1, 2));
  for (const SubspaceIndex& subspace : kSubspaceIndices) {
    Index index{subspace.name, subspace.label, {}, {}};
    for (const SubspaceMap& map : subspaces.self()) index.self.push_back(map.of(subspace.value));
    for (const SubspaceMap& map : subspaces.cross()) index.cross.push_back(map.of(subspace.value));
    result.indices.push_back(std::move(index));
  }
  result.dead = dead_layers(maps, input.subjects);
  result.refusals = subspaces.refusals(input.subjects);
  result.widest = subspaces.widest();
  return result;
}

const Index& index_named(const MeasuredSimilarity& measured, std::string_view name) {
  return *std::ranges::find(measured.indices, name, &Index::name);
}

// "CKA 0.13; R² of linear regression 0.40; ...": the indices that have a value.
std::string list(const MeasuredSimilarity& measured,
                 const std::function<double(const Index&)>& value, int decimals) {
  std::string text;
  for (const char* name : {"cka", "rbf", "regression", "svcca", "pwcca", "cca_rho"}) {
    const Index& index = index_named(measured, name);
    if (const double v = value(index); std::isfinite(v))
      text += fmt::format("{}{} {:.{}f}", text.empty() ? "" : "; ", index.label, v, decimals);
  }
  return text;
}

std::string finding(const MeasuredSimilarity& measured, size_t s, const std::string& label) {
  const std::string values = list(
      measured, [&](const Index& index) { return index.self[s].first_last(); }, 2);
  const double bias = index_named(measured, "cka_biased").self[s].mean_off_diagonal() -
                      index_named(measured, "cka").self[s].mean_off_diagonal();
  return fmt::format(
      "The first and the last layer of {} share, of 1: {}. The biased estimator of CKA reads "
      "{:+.3f} on "
      "average against the unbiased one.",
      label, values.empty() ? "nothing that could be measured" : values, bias);
}

std::string check_finding(const MeasuredSimilarity& measured, size_t cross, const Subject& a,
                          const Subject& b) {
  const std::string shares = list(
      measured, [&](const Index& index) { return 100 * corresponding_share(index.cross[cross]); },
      0);
  if (shares.empty()) return {};
  return fmt::format(
      " Between {} and {}, the layer at the same place is the most "
      "similar one in this many of 100 cases: {}.",
      a.label, b.label, shares);
}

const char* word(FeatureView view) { return view == FeatureView::pooled ? "pooled" : "flat"; }

std::vector<std::string> caveats(const SimilarityOptions& options,
                                 const MeasuredSimilarity& measured, int64_t images,
                                 int64_t batch) {
  std::vector<std::string> list = {
      fmt::format("{} pictures. Kernels: {} features, unbiased unless named, summed over batches "
                  "of {}; radial width {} of "
                  "the median distance. Regressions and correlations: {} features, centred, "
                  "divided by the smaller rank; "
                  "SVCCA keeps {} of the variance. Row explained by column.",
                  images, word(options.features), batch, options.rbf_fraction,
                  word(options.regression_features), options.svcca_share),
      fmt::format("Unrelated layers do not read 0 there: R² up to p / (n - "
                  "1), here {:.2f} for the widest layer.",
                  static_cast<double>(measured.widest) /
                      static_cast<double>(std::max<int64_t>(1, images - 1)))};
  for (const std::string& text : {measured.dead, measured.refusals})
    if (!text.empty()) list.push_back(text);
  return list;
}

plot::Figure maps_figure(const MeasuredSimilarity& measured, const std::string& name,
                         const std::string& title, const std::string& rows,
                         const std::string& columns, size_t cross) {
  plot::Figure figure{.name = name, .title = title, .columns = 3};
  for (const Index& index : measured.indices) {
    const LayerMap& map = cross == 0 ? index.self[0] : index.cross[cross - 1];
    figure.panels.push_back(
        map_panel(map, index.label, rows, columns, index.label, index.name == "hsic" ? 0 : 1));
  }
  return figure;
}

// Kornblith's check as bars; no panel when the networks have different numbers of layers.
std::optional<plot::Panel> check_panel(const MeasuredSimilarity& measured, size_t cross,
                                       const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "index"},
                    .y = {.label = "layers found", .unit = "%", .low = 0, .high = 100}};
  plot::Bars bars{.name = "corresponding layer is the most similar"};
  for (const Index& index : measured.indices) {
    const double share = corresponding_share(index.cross[cross]);
    if (!std::isfinite(share)) return std::nullopt;
    bars.x.push_back(static_cast<double>(bars.x.size()));
    bars.y.push_back(100 * share);
    panel.x.categories.push_back(index.label);
  }
  panel.bars = {std::move(bars)};
  return panel;
}

}  // namespace

Section similarity_section(const AnalysisInput& input, const SimilarityOptions& options) {
  const std::vector<Subject>& subjects = input.subjects;
  const int64_t wanted = input.pictures(2048);
  const auto measures = std::ssize(kernel_indices(options));
  const int64_t most = batch_within_memory(input.subjects, options.layers, measures, options.batch);
  const int64_t batch = std::min(wanted, most), images = wanted / batch * batch;
  const MeasuredSimilarity measured = measure(input, options, images, batch);

  Section section;
  for (size_t s = 0; s < subjects.size(); ++s)
    section.finding += (s > 0 ? " " : "") + finding(measured, s, subjects[s].label);
  for (size_t s = 1; s < subjects.size(); ++s)
    section.finding += check_finding(measured, s - 1, subjects[0], subjects[s]);
  section.reading =
      "CKA compares how the pictures lie to one another and weighs strong directions most. "
      "Regression asks how much of one "
      "layer a linear map of the other predicts. Canonical correlation ignores how strong a "
      "direction is, so that noise "
      "counts like signal; SVCCA drops the weak directions first, PWCCA weighs them by what they "
      "explain. An index that "
      "is to be trusted finds, between two trainings of one network, the layer at the same place.";
  section.caveats = caveats(options, measured, images, batch);
  if (options.layers == LayerChoice::all)
    section.caveats.push_back(
        "Regressions and correlations compare the outputs of blocks alone: over all layers their "
        "factorisation would have to hold every channel of the network at once.");
  if (const std::string text = batch_caveat(most, options.batch); !text.empty())
    section.caveats.push_back(text);
  for (const Index& index : measured.indices) {
    const LayerMap& map = index.self[0];
    section.values.push_back({.key = "mean_" + index.name,
                              .label = "Mean " + index.label,
                              .value = map.mean_off_diagonal()});
    section.arrays.push_back(
        {.name = "similarity-" + index.name,
         .shape = {static_cast<int64_t>(map.rows.size()), static_cast<int64_t>(map.columns.size())},
         .values = map.values});
  }
  section.figures.push_back(maps_figure(
      measured, "similarity",
      "Nine indices between all pairs of layers, " + subjects[0].label + ".", "layer", "layer", 0));
  plot::Figure check{
      .name = "similarity-check",
      .title = "How often an index finds the layer at the same place in the other network."};
  for (size_t s = 1; s < subjects.size(); ++s) {
    section.figures.push_back(maps_figure(
        measured, fmt::format("similarity-{}", s + 1),
        fmt::format("The same between {} and {}.", subjects[0].label, subjects[s].label),
        subjects[0].label, subjects[s].label, s));
    if (auto panel = check_panel(measured, s - 1, subjects[0].label + " × " + subjects[s].label))
      check.panels.push_back(std::move(*panel));
  }
  if (!check.panels.empty()) section.figures.push_back(std::move(check));
  for (plot::Figure& figure : section.figures) figure.alt = section.finding;
  return section;
}

}  // namespace passband
