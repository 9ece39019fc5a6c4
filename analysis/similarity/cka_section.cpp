#include "analysis/similarity/cka_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/study/claims.h"

namespace passband {
namespace {

constexpr double kBlocks = 0.2;   // what layers of a stage agree more before stages show as blocks
constexpr double kUniform = 0.6;  // what all layers agree by before a map is nearly uniform

std::string finding(const std::string& label, const LayerMap& map) {
  if (!std::isfinite(map.first_last()))
    return fmt::format("Fewer than two layers of {} are alive: there is nothing to compare.",
                       label);
  std::string text = fmt::format("The first and the last of {} layers of {} share {:.2f} of 1",
                                 map.rows.size(), label, map.first_last());
  const auto [within, across] = stage_contrast(map);
  if (std::isfinite(across) && std::isfinite(within))
    text += fmt::format(
        "; layers of one stage agree by {:.2f} on average, of different stages by {:.2f}: {}",
        within, across,
        judge(Estimate::exact(within - across), 0, kBlocks) == Verdict::above
            ? "the stages show as blocks"
            : "no clear stage blocks");
  else
    text += fmt::format("; all layers agree by {:.2f} on average: {}", map.mean_off_diagonal(),
                        map.mean_off_diagonal() > kUniform ? "a nearly uniform map"
                                                           : "similarity fades with distance");
  return text + ".";
}

// "Between alternet and vit, layers agree by 0.31 on average, at most by 0.55 (stages.1.blocks.0
// with
// ...)."
std::string cross_finding(const LayerMap& map, const std::string& a, const std::string& b) {
  size_t best = 0;
  for (size_t i = 0; i < map.values.size(); ++i)
    if (!(map.values[best] >= map.values[i])) best = i;
  double total = 0, count = 0;
  for (const double value : map.values)
    if (std::isfinite(value)) {
      total += value;
      count += 1;
    }
  if (count == 0) return {};
  return fmt::format(
      " Between {} and {}, layers agree by {:.2f} on average, at most by {:.2f} ({} with {}).", a,
      b, total / count, map.values[best], map.rows.labels()[best / map.columns.size()],
      map.columns.labels()[best % map.columns.size()]);
}

std::string method(const KernelMeasure& measure, int64_t batch, int64_t images, int64_t passes) {
  const bool biased = measure.estimator == HsicEstimator::biased;
  std::string text =
      measure.kernel == KernelMeasure::Kernel::rbf
          ? fmt::format("Radial kernel, width {} of the median distance", measure.fraction)
          : "Linear kernel";
  text += fmt::format(", {} estimator summed over batches of {}, {} pictures",
                      biased ? "biased" : "unbiased", batch, images);
  if (passes > 1) text += fmt::format(", mean of {} shuffled passes", passes);
  if (biased) return text + "; unrelated layers of p features read about p / (n + p), not 0.";
  return text + fmt::format("; under independence a cell scatters by about {:.3f} around 0.",
                            std::sqrt(2.0) / static_cast<double>(batch));
}

void add_values(const LayerMap& map, const std::string& subject, std::vector<ReportValue>& values) {
  if (!std::isfinite(map.first_last())) return;
  values.push_back({.key = "mean_cka",
                    .label = "Mean CKA of two layers",
                    .value = map.mean_off_diagonal(),
                    .subject = subject});
  values.push_back({.key = "first_last_cka",
                    .label = "First and last layer",
                    .value = map.first_last(),
                    .subject = subject});
}

// What a number of the map is, as the jackknife over batches knows it.
template <class Number> Estimate estimate_of(const KernelMap& map, Number&& number) {
  std::vector<double> without;
  for (const LayerMap& less : map.without_batch) without.push_back(number(less));
  const Estimate first = jackknife(number(map.first_pass), without);
  const double value = number(map.cka);  // over all passes, which show the same pictures
  return {value, value - (first.value - first.low), value + (first.high - first.value)};
}

// Raghu et al., 2021: residual networks show their stages, plain transformers a uniform map. Of the
// two each network is asked what its form allows.
void add_claims(const std::string& network, const KernelMap& map, Section& section) {
  if (!std::isfinite(map.cka.first_last())) return;
  const auto contrast = [](const LayerMap& m) {
    const auto [within, across] = stage_contrast(m);
    return within - across;
  };
  const auto text = [](double v) { return fmt::format("{:+.2f}", v); };
  if (std::isfinite(contrast(map.cka))) {
    add_claim(section,
              {.text = "Stages show as blocks of like layers",
               .key = "stage_contrast",
               .label = "CKA of layers of one stage less that of layers of different stages",
               .side = Verdict::above,
               .floor = kBlocks,
               .words = text},
              network, estimate_of(map, contrast));
    return;
  }
  add_claim(section,
            {.text = "All layers are alike, without stages",
             .key = "mean_cka",
             .label = "Mean CKA of two layers",
             .side = Verdict::above,
             .reference = kUniform,
             .words = [](double v) { return fmt::format("{:.2f}", v); }},
            network, estimate_of(map, [](const LayerMap& m) { return m.mean_off_diagonal(); }));
}

}  // namespace

Section cka_section(const AnalysisInput& input, const CkaOptions& options) {
  const std::vector<Subject>& subjects = input.subjects;
  const int64_t images = input.pictures(1024);
  const int64_t batch = batch_within_memory(subjects, options.layers, 1, options.batch);
  const LockstepOptions pass{.images = images,
                             .batch_size = std::min(images, batch),
                             .passes = options.passes,
                             .progress = input.progress};
  const KernelMeasure measure{.kernel = options.kernel,
                              .estimator = options.estimator,
                              .fraction = options.rbf_fraction,
                              .width = options.rbf_width};
  const KernelMaps maps = measure_kernels(subjects, *input.data, pass, options, {measure});

  Section section;
  for (size_t s = 0; s < subjects.size(); ++s) {
    const LayerMap& own = maps.self[0][s].cka;
    section.finding += (s > 0 ? " " : "") + finding(subjects[s].label, own);
    add_values(own, subjects[s].label, section.values);
    add_claims(subjects[s].label, maps.self[0][s], section);
  }
  for (size_t s = 1; s < subjects.size(); ++s) {
    const LayerMap& cross = maps.cross[0][s - 1].cka;
    section.finding += cross_finding(cross, subjects[0].label, subjects[s].label);
  }
  section.reading =
      "Each cell compares two layers: 1 (bright) means that the pictures lie in the same "
      "arrangement up to rotation and scale, 0 that the arrangements are unrelated. Depth runs "
      "from the lower left to the upper right. Bright squares are groups of layers that change "
      "little; a network of stages shows one square a stage, a plain transformer one large square.";
  section.caveats = {method(measure, pass.batch_size, images, pass.passes) +
                     " Intervals are a jackknife over the batches; fewer than three tell none."};
  for (const std::string& text : {batch_caveat(batch, options.batch), dead_layers(maps, subjects)})
    if (!text.empty()) section.caveats.push_back(text);
  const KernelMap& first = maps.self[0][0];
  const auto layers = static_cast<int64_t>(first.cka.rows.size());
  section.arrays = {{.name = "cka", .shape = {layers, layers}, .values = first.cka.values}};
  if (pass.passes > 1)
    section.arrays.push_back(
        {.name = "cka-deviation", .shape = {layers, layers}, .values = first.deviation});
  plot::Figure figure{
      .name = "cka", .title = "Minibatch CKA between all pairs of layers.", .columns = 2};
  for (size_t s = 0; s < subjects.size(); ++s)
    figure.panels.push_back(
        map_panel(maps.self[0][s].cka, subjects[s].label, "layer", "layer", "CKA"));
  for (size_t s = 1; s < subjects.size(); ++s)
    figure.panels.push_back(map_panel(maps.cross[0][s - 1].cka,
                                      subjects[0].label + " × " + subjects[s].label,
                                      subjects[0].label, subjects[s].label, "CKA"));
  if (figure.panels.size() == 1) figure.columns = 1;
  figure.alt = section.finding;
  section.figures.push_back(std::move(figure));
  return section;
}

}  // namespace passband
