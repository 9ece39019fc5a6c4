#include "analysis/frequency/fourier_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "analysis/frequency/feature_maps.h"
#include "analysis/frequency/spectrum.h"
#include "analysis/study/claims.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

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

// The first and the last layer that have such a frequency.
void add_ends(const std::vector<double>& diagonal, const std::string& subject,
              std::vector<ReportValue>& values) {
  std::vector<double> known;
  std::ranges::copy_if(diagonal, std::back_inserter(known),
                       [](double value) { return std::isfinite(value); });
  if (known.empty()) return;
  values.push_back({.key = "first_layer_high_frequency",
                    .label = "First layer",
                    .value = known.front(),
                    .subject = subject});
  values.push_back({.key = "last_layer_high_frequency",
                    .label = "Last layer",
                    .value = known.back(),
                    .subject = subject});
}

constexpr double kSmallestChange = 0.02;  // of a log amplitude: 2 % of the amplitude

// What blocks of a kind do to the highest frequency, as published for attention and convolutions.
void add_frequency_claims(const std::string& network, const std::vector<BlockChange>& changes,
                          Section& section) {
  const auto add = [&](BlockKind kind, const char* key, const char* name, Verdict side) {
    const Estimate change = change_of_kind(changes, kind);
    if (!std::isfinite(change.value)) return;
    const char* what =
        side == Verdict::below ? " damp high frequencies" : " raise high frequencies";
    add_claim(section,
              {.text = std::string(name) + what,
               .key = key,
               .label = std::string(name) + ": change of the highest frequency, mean over blocks",
               .side = side,
               .floor = kSmallestChange,
               .words = [](double v) { return fmt::format("{:+.3f}", v); }},
              network, change);
  };
  add(BlockKind::msa, "msa_change", "Attention blocks", Verdict::below);
  add(BlockKind::lambda, "lambda_change", "Lambda blocks", Verdict::below);
  add(BlockKind::conv, "convolution_change", "Convolution blocks", Verdict::above);
}

double depth_of(size_t i, size_t count) {
  return count > 1 ? static_cast<double>(i) / static_cast<double>(count - 1) : 0;
}

plot::Reference white_noise_line(bool subtracted) {
  return {plot::Reference::Along::horizontal, subtracted ? 0 : kWhiteNoiseLogAmplitude,
          "white noise"};
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

}  // namespace

Section fourier_section(const AnalysisInput& input, const FourierOptions& options) {
  const int64_t images = input.pictures(512);
  Section section;
  plot::Figure curves{.name = "fourier",
                      .title = "Relative log amplitude of feature maps, one curve a layer.",
                      .columns = 2,
                      .shade = {.label = "depth", .low = "first", .high = "last"},
                      .direct_labels = false};
  plot::Figure depth{.name = "fourier-depth",
                     .title = "Log amplitude at the highest frequency against depth."};
  std::vector<NetworkEffects> effects;
  const bool subtract = options.bias == NoiseBias::subtract,
             stretch = options.axis == FrequencyAxis::published;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const auto layers = accumulate<LogAmplitude>(input, s, images);
    const std::vector<double> diagonal = high_frequency(layers, false, subtract);
    section.finding += fmt::format("{}At the highest frequency of {}, {}.", s > 0 ? " " : "",
                                   subject.label, changes_by_kind(layers.axis, diagonal));
    add_ends(diagonal, subject.label, section.values);
    const std::vector<BlockChange> changes = block_changes(layers);
    effects.push_back(effects_of(subject.label, changes));
    add_frequency_claims(subject.label, changes, section);
    for (const bool radial : {false, true})
      curves.panels.push_back(curves_by_depth(layers, subject.label, {radial, subtract, stretch}));
    plot::Panel panel = against_depth(layers.axis, subject.label, "Δ log amplitude");
    panel.lines = {{.name = "diagonal (published)", .x = layers.axis.positions(), .y = diagonal},
                   {.name = "radial",
                    .x = layers.axis.positions(),
                    .y = high_frequency(layers, true, subtract)}};
    panel.references = {white_noise_line(subtract)};
    depth.panels.push_back(std::move(panel));
  }
  section.reading =
      "The first figure shows each block as a point: how it changes the highest frequency of the "
      "map that it is given, with its 95 % interval over pictures. Below zero it damps. The curves "
      "behind it show the amplitude of each frequency relative to the mean (frequency 0), on a "
      "natural log scale: "
      "lower means that the map is smoother. A curve that lies below the one before it belongs to "
      "a low-pass block. Levels of different resolutions are not "
      "comparable; steps within a stage are.";
  section.caveats = {fmt::format("{}; mean over pictures and channels of the "
                                 "logarithm, along the diagonal from the centre "
                                 "to the corner of the spectrum (Park and Kim, 2022). For maps of "
                                 "even side the last point lies just "
                                 "below the Nyquist frequency.",
                                 counted(images, "test picture")),
                     subtract ? "What white noise reads (+0.35 at generic frequencies, 0 at the "
                                "Nyquist bins) is subtracted."
                              : "The mean of a logarithm is biased: white noise reads +0.35 at "
                                "generic frequencies (the dashed line), not 0."};
  plot::Figure changes =
      kind_figure("fourier-change", "What each block does to the highest frequency of its map.",
                  {.label = "change of the log amplitude"}, effects);
  curves.alt = depth.alt = changes.alt = section.finding;
  if (!changes.panels.empty()) section.figures.push_back(std::move(changes));
  section.figures.push_back(std::move(curves));
  section.figures.push_back(std::move(depth));
  return section;
}

}  // namespace passband
