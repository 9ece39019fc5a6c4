#include "analysis/frequency/noise_section.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "analysis/study/picture_batch.h"
#include "tensor/ops/pointwise.h"

namespace passband {
namespace {

constexpr int64_t kNoiseBatch = 250;

// Correct answers among `count` pictures.
struct NoiseCounts {
  int64_t count = 0, clean = 0;
  std::vector<int64_t> fixed, equal;  // by band: the same epsilon, the same energy
};

std::vector<std::vector<double>> masks_of(const NoiseOptions& options, int64_t side) {
  std::vector<std::vector<double>> masks;
  for (const double centre : options.centres)
    masks.push_back(
        band_mask({centre * std::numbers::pi, options.half_width}, side, side, options.shape));
  return masks;
}

// The root mean square that a fixed epsilon leaves on average over the bands: what the second curve
// gives every band.
double shared_rms(const std::vector<std::vector<double>>& masks, double epsilon) {
  double share = 0;
  for (const std::vector<double>& mask : masks)
    for (const double bin : mask) share += bin / static_cast<double>(mask.size() * masks.size());
  return epsilon * std::sqrt(share);
}

NoiseCounts measure_noise(const Model& model, const AnalysisInput& input,
                          const NoiseOptions& options, int64_t images, const Progress& progress) {
  const int64_t side = model.options().image_size;
  const auto masks = masks_of(options, side);
  const double rms = shared_rms(masks, options.epsilon);
  const auto bands = static_cast<int64_t>(masks.size());
  NoiseCounts counts{.fixed = std::vector<int64_t>(masks.size()),
                     .equal = std::vector<int64_t>(masks.size())};
  const std::vector<int64_t> all = spread_indices(input.data->count, images);
  for (size_t first = 0; first < all.size(); first += kNoiseBatch) {
    const size_t size = std::min<size_t>(kNoiseBatch, all.size() - first);
    const auto begin = all.begin() + static_cast<int64_t>(first);
    const PictureBatch batch =
        load_batch(model, *input.data, {begin, begin + static_cast<int64_t>(size)});
    const BandNoise noise({0, 0, site_of("analysis.noise")}, batch.indices, side, side, 3,
                          options.epsilon, model.device());
    counts.clean += count_correct(model, batch, batch.images);
    for (size_t b = 0; b < masks.size(); ++b) {
      const Tensor ring = noise.in_band(masks[b]);
      counts.fixed[b] += count_correct(model, batch, batch.images + ring);
      counts.equal[b] += count_correct(model, batch, batch.images + with_rms(ring, rms));
      progress(static_cast<int64_t>(first) * bands + static_cast<int64_t>(size * (b + 1)),
               static_cast<int64_t>(all.size()) * bands, "pictures");
    }
    counts.count += static_cast<int64_t>(size);
  }
  return counts;
}

double points(int64_t correct, const NoiseCounts& counts) {
  return 100 * static_cast<double>(correct - counts.clean) / static_cast<double>(counts.count);
}

plot::Line curve(const std::string& name, const NoiseOptions& options, const NoiseCounts& counts,
                 const std::vector<int64_t>& correct) {
  plot::Line line{.name = name, .x = options.centres};
  const double clean = 100 * static_cast<double>(counts.clean) / static_cast<double>(counts.count);
  for (const int64_t c : correct) {
    const plot::Interval interval =
        plot::wilson(static_cast<double>(c), static_cast<double>(counts.count));
    line.y.push_back(points(c, counts));
    line.low.push_back(100 * interval.low - clean);
    line.high.push_back(100 * interval.high - clean);
  }
  return line;
}

plot::Panel noise_panel(const std::string& title, const NoiseOptions& options,
                        const NoiseCounts& counts) {
  plot::Panel panel{.title = title,
                    .x = {.label = "frequency of the noise", .unit = "π"},
                    .y = {.label = "change of accuracy", .unit = "points", .from_zero = true}};
  panel.lines = {curve("fixed ε (published)", options, counts, counts.fixed),
                 curve("equal energy", options, counts, counts.equal)};
  return panel;
}

// Mean change over the bands below and above half of the Nyquist frequency, at equal energy.
std::pair<double, double> low_high(const NoiseOptions& options, const NoiseCounts& counts) {
  double low = 0, high = 0, lows = 0, highs = 0;
  for (size_t b = 0; b < options.centres.size(); ++b) {
    const bool is_low = options.centres[b] < 0.5;
    if (options.centres[b] == 0.5) continue;
    (is_low ? low : high) += points(counts.equal[b], counts);
    (is_low ? lows : highs) += 1;
  }
  return {lows > 0 ? low / lows : 0, highs > 0 ? high / highs : 0};
}

std::string finding(const std::string& label, const NoiseOptions& options,
                    const NoiseCounts& counts) {
  const auto [low, high] = low_high(options, counts);
  const double noise = 2 * 100 * std::sqrt(0.25 / static_cast<double>(counts.count));
  const char* verdict = std::abs(low - high) < noise ? "no clear preference"
                        : low < high                 ? "the weak side is low frequencies"
                                                     : "the weak side is high frequencies";
  return fmt::format(
      "At equal energy {} loses {:.1f} points to noise below π/2 and {:.1f} to noise above: {} "
      "(clean: {:.1f} %).",
      label, -low, -high, verdict,
      100 * static_cast<double>(counts.clean) / static_cast<double>(counts.count));
}

}  // namespace

Section noise_section(const AnalysisInput& input, const NoiseOptions& options) {
  const int64_t images = std::min(input.images_or(1000), input.data->count);
  Section section;
  plot::Figure figure{.name = "noise",
                      .title = "Change of accuracy when noise of one frequency band is added.",
                      .columns = 2};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const Progress part = input.part_of(s);
    const NoiseCounts counts = measure_noise(*subject.model, input, options, images, part);
    figure.panels.push_back(noise_panel(subject.label, options, counts));
    section.finding += (s > 0 ? " " : "") + finding(subject.label, options, counts);
    if (s > 0) continue;
    const auto [low, high] = low_high(options, counts);
    section.values = {{.key = "low_frequency_change",
                       .label = "Noise below π/2",
                       .value = low,
                       .text = fmt::format("{:+.1f} points", low)},
                      {.key = "high_frequency_change",
                       .label = "Noise above π/2",
                       .value = high,
                       .text = fmt::format("{:+.1f} points", high)}};
  }
  if (figure.panels.size() == 1) figure.columns = 1;
  figure.alt = section.finding;
  section.figures = {std::move(figure)};
  section.reading =
      "Each point adds noise whose energy lies in a ring around one frequency and counts what that "
      "costs. Published curves "
      "keep ε fixed, so that the rings of high frequency, which hold more bins, also hold more "
      "energy; the second curve "
      "gives every band the same energy, and only it says which frequency hurts more. Published: "
      "transformers suffer from "
      "low, convolutional networks from high frequencies.";
  section.caveats = {fmt::format(
      "{} test pictures, bands of 95 % (Wilson). ε = {} of random sign, before the ring is cut "
      "out, in the units of the normalised input; rings ±{} rad wide, {}.",
      images, options.epsilon, options.half_width,
      options.shape == RingShape::park_kim ? "as in the published script" : "symmetric")};
  return section;
}

}  // namespace passband
