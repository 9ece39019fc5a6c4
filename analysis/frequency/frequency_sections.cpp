// Sections: which frequencies do layers pass, and how much do feature maps vary?
#include <fmt/format.h>

#include <cmath>

#include "analysis/frequency/spectrum.h"
#include "analysis/study/analysis.h"
#include "analysis/study/depth_axis.h"

namespace passband {
namespace {

// One accumulator per layer with feature maps of at least 2 x 2.
template <class Accumulator> struct PerLayer {
  DepthAxis axis;
  std::vector<Accumulator> sums;
};

template <class Accumulator>
PerLayer<Accumulator> accumulate(const AnalysisInput& input, size_t s, int64_t images) {
  PerLayer<Accumulator> result;
  const Subject& subject = input.subjects[s];
  const Progress part = input.part_of(s);
  const PassOptions pass{.images = images, .progress = part};
  run_pass(*subject.model, *input.data, pass, {"out"},
           [&](const TapSite& site, const Tensor& buffer) {
             if (site.height < 2 || site.width < 2) return;
             const size_t i = result.axis.index_of(site);
             result.sums.resize(result.axis.size());
             result.sums[i].add(as_feature_map(site, buffer));
           });
  return result;
}

double depth_of(size_t i, size_t count) {
  return count > 1 ? static_cast<double>(i) / static_cast<double>(count - 1) : 0;
}

plot::Reference white_noise_line(bool subtracted) {
  return {plot::Reference::Along::horizontal, subtracted ? 0 : kWhiteNoiseLogAmplitude,
          "white noise"};
}

// Curves of one layer; where asked, less what white noise would read.
std::vector<double> diagonal_of(const LogAmplitude& sums, bool subtract) {
  std::vector<double> values = sums.diagonal();
  const std::vector<double> noise = sums.white_noise_diagonal();
  for (size_t i = 0; subtract && i < values.size(); ++i) values[i] -= noise[i];
  return values;
}

std::vector<double> radial_of(const LogAmplitude& sums, bool subtract) {
  std::vector<double> values = sums.radial();
  const std::vector<double> noise = sums.white_noise_radial();
  for (size_t i = 0; subtract && i < values.size(); ++i) values[i] -= noise[i];
  return values;
}

// How curves are drawn: along the diagonal or over rings, as they are or less white noise.
struct CurveView {
  bool radial = false, subtract = false;
  bool stretch = false;  // the published axis, whose last point reads 1.0 pi
};

plot::Panel curves_by_depth(const PerLayer<LogAmplitude>& layers, const std::string& title,
                            const CurveView& view) {
  plot::Panel panel{.title = title + (view.radial ? ", radial" : ", diagonal"),
                    .x = {.label = "frequency", .unit = "π"},
                    .y = {.label = "Δ log amplitude"}};
  const std::vector<std::string> labels = layers.axis.labels();
  for (size_t i = 0; i < layers.sums.size(); ++i) {
    const LogAmplitude& sums = layers.sums[i];
    plot::Line line{
        .name = labels[i],
        .y = view.radial ? radial_of(sums, view.subtract) : diagonal_of(sums, view.subtract),
        .shade = depth_of(i, layers.sums.size())};
    const size_t last = line.y.size() - 1;
    for (size_t k = 0; k <= last; ++k)
      line.x.push_back(view.stretch ? depth_of(k, last + 1) : sums.frequency(k));
    panel.lines.push_back(std::move(line));
  }
  panel.references = {white_noise_line(view.subtract)};
  return panel;
}

// The last entry of each layer's curve; none for maps of side 2, whose diagonal is zero frequency
// alone.
std::vector<double> high_frequency(const PerLayer<LogAmplitude>& layers, bool radial,
                                   bool subtract) {
  std::vector<double> result;
  for (const LogAmplitude& sums : layers.sums) {
    const std::vector<double> curve =
        radial ? radial_of(sums, subtract) : diagonal_of(sums, subtract);
    result.push_back(curve.size() > 1 ? curve.back() : std::nan(""));
  }
  return result;
}

// Mean change of `values` across blocks of a kind (value after minus value before).
double mean_change(const DepthAxis& axis, const std::vector<double>& values, plot::Kind kind,
                   int64_t& count) {
  double total = 0;
  count = 0;
  for (size_t i = 1; i < axis.size(); ++i) {
    if (figure_kind(axis[i]) != kind || axis[i].height != axis[i - 1].height) continue;
    if (!std::isfinite(values[i] - values[i - 1])) continue;
    total += values[i] - values[i - 1];
    ++count;
  }
  return count > 0 ? total / static_cast<double>(count) : 0;
}

// "MSA blocks lower it by 0.12 on average (3 blocks), convolution blocks raise it by 0.08 (6
// blocks)"
std::string changes(const DepthAxis& axis, const std::vector<double>& values) {
  const std::pair<plot::Kind, const char*> kinds[] = {
      {plot::Kind::attention, "MSA blocks"},
      {plot::Kind::convolution, "convolution blocks"},
      {plot::Kind::mlp, "MLP blocks"},
      {plot::Kind::lambda, "lambda blocks"}};
  std::string text;
  for (const auto& [kind, name] : kinds) {
    int64_t count = 0;
    const double change = mean_change(axis, values, kind, count);
    if (count == 0) continue;
    text +=
        fmt::format("{}{} {} it by {:.3f} on average ({} within a stage)", text.empty() ? "" : ", ",
                    name, change < 0 ? "lower" : "raise", std::abs(change), count);
  }
  return text.empty() ? "no two layers share a resolution" : text;
}

plot::Panel against_depth(const DepthAxis& axis, const std::string& title, const std::string& y) {
  plot::Panel panel{
      .title = title, .x = {.label = "layer", .categories = axis.labels()}, .y = {.label = y}};
  panel.spans = axis.spans();
  return panel;
}

}  // namespace

Section fourier_section(const AnalysisInput& input) {
  const int64_t images = input.images_or(512);
  Section section{.name = "fourier", .title = "Frequencies in feature maps", .order = 20};
  plot::Figure curves{.name = "fourier",
                      .title = "Relative log amplitude of feature maps, one curve a layer.",
                      .columns = 2,
                      .shade = {.label = "depth", .low = "first", .high = "last"},
                      .direct_labels = false};
  plot::Figure depth{.name = "fourier-depth",
                     .title = "Log amplitude at the highest frequency against depth."};
  const bool subtract = input.text("bias") == "subtract",
             stretch = input.text("axis") == "published";
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const auto layers = accumulate<LogAmplitude>(input, s, images);
    for (const bool radial : {false, true})
      curves.panels.push_back(curves_by_depth(layers, subject.label, {radial, subtract, stretch}));
    plot::Panel panel = against_depth(layers.axis, subject.label, "Δ log amplitude");
    const std::vector<double> diagonal = high_frequency(layers, false, subtract);
    panel.lines = {{.name = "diagonal (published)", .x = layers.axis.positions(), .y = diagonal},
                   {.name = "radial",
                    .x = layers.axis.positions(),
                    .y = high_frequency(layers, true, subtract)}};
    panel.references = {white_noise_line(subtract)};
    depth.panels.push_back(std::move(panel));
    if (s > 0) continue;
    section.finding = "At the highest frequency, " + changes(layers.axis, diagonal) + ".";
    section.values = {
        {.key = "first_layer_high_frequency", .label = "First layer", .value = diagonal.front()},
        {.key = "last_layer_high_frequency", .label = "Last layer", .value = diagonal.back()}};
  }
  curves.alt = depth.alt = section.finding;
  section.figures = {std::move(curves), std::move(depth)};
  section.reading =
      "The amplitude of each frequency relative to the mean (frequency 0), on a natural log scale: "
      "lower means that the map is smoother. A curve that lies below the one before it belongs to "
      "a low-pass block. Levels of different resolutions are not "
      "comparable; steps within a stage are.";
  section.caveats = {fmt::format("{} test pictures; mean over pictures and channels of the "
                                 "logarithm, along the diagonal from the centre "
                                 "to the corner of the spectrum (Park and Kim, 2022). For maps of "
                                 "even side the last point lies just "
                                 "below the Nyquist frequency.",
                                 images),
                     subtract ? "What white noise reads (+0.35 at generic frequencies, 0 at the "
                                "Nyquist bins) is subtracted."
                              : "The mean of a logarithm is biased: white noise reads +0.35 at "
                                "generic frequencies (the dashed line), not 0."};
  return section;
}

Section variance_section(const AnalysisInput& input) {
  const int64_t images = input.images_or(1000);
  Section section{.name = "variance", .title = "Variance of feature maps", .order = 30};
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
    if (s > 0) continue;
    const auto peak = static_cast<size_t>(std::ranges::max_element(values) - values.begin());
    section.finding =
        fmt::format("The variance peaks at {} ({:.3g}); {}.", layers.axis.labels()[peak],
                    values[peak], changes(layers.axis, values));
    section.values = {{.key = "peak_variance",
                       .label = "Peak variance",
                       .value = values[peak],
                       .detail = layers.axis.labels()[peak]}};
  }
  figure.alt = section.finding;
  section.figures = {std::move(figure)};
  section.reading =
      "Attention averages over positions and so lowers the variance of its map; convolutions raise "
      "it. In networks of "
      "stages the variance grows within a stage and falls where the resolution is reduced.";
  section.caveats = {fmt::format(
      "{} test pictures; unbiased variance over positions, mean over pictures and channels.",
      images)};
  return section;
}

}  // namespace passband
