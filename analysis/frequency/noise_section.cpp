#include "analysis/frequency/noise_section.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "analysis/study/claims.h"
#include "analysis/study/picture_batch.h"
#include "analysis/study/wording.h"
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
  const OwnPart part(std::ssize(all));
  part.run_batches({&model}, kNoiseBatch, [&](int64_t first, int64_t size) {
    const auto begin = all.begin() + first;
    const PictureBatch batch = load_batch(model, *input.data, {begin, begin + size});
    const BandNoise noise({0, 0, site_of("analysis.noise")}, batch.indices, side, side, 3,
                          options.epsilon, model.device());
    counts.clean += count_correct(model, batch, batch.images);
    for (size_t b = 0; b < masks.size(); ++b) {
      const Tensor ring = noise.in_band(masks[b]);
      counts.fixed[b] += count_correct(model, batch, batch.images + ring);
      counts.equal[b] += count_correct(model, batch, batch.images + with_rms(ring, rms));
      progress((first - part.begin) * bands + size * static_cast<int64_t>(b + 1),
               (part.end - part.begin) * bands, "pictures");
    }
    counts.count += size;
  });
  part.join(counts.clean);
  part.join(counts.fixed);
  part.join(counts.equal);
  part.join(counts.count);
  return counts;
}

// "costs it 3.2 points"
std::string effect(const Estimate& change) {
  switch (judge(change)) {
    case Verdict::below: return fmt::format("costs it {:.1f} points", -change.value);
    case Verdict::above: return fmt::format("helps it by {:.1f} points", change.value);
    case Verdict::alike:
      return fmt::format("makes no difference within the counting error ({:+.1f} points)",
                         change.value);
    case Verdict::unknown: break;
  }
  return "was not measured";
}

// Mean change over the bands below and above half of the Nyquist frequency, at equal energy, in
// points; unknown where there are none. All bands show the same pictures: the intervals are those
// of so many.
struct Change {
  Estimate low, high;
};

Change low_high(const NoiseOptions& options, const NoiseCounts& counts) {
  const auto n = static_cast<double>(counts.count);
  const Estimate clean = share_of(static_cast<double>(counts.clean), n);
  const auto change = [&](bool low) {
    double right = 0, bands = 0;
    for (size_t b = 0; b < options.centres.size(); ++b)
      if (low ? options.centres[b] < 0.5 : options.centres[b] > 0.5)
        right += static_cast<double>(counts.equal[b]), bands += 1;
    return bands > 0 ? scaled(difference(share_of(right / bands, n), clean), 100) : Estimate{};
  };
  return {change(true), change(false)};
}

std::string finding(const std::string& label, const NoiseOptions& options,
                    const NoiseCounts& counts) {
  const auto [low, high] = low_high(options, counts);
  const Verdict verdict = judge(difference(low, high));
  return fmt::format(
      "{}: at equal energy noise below π/2 {}, noise above {}: {} (clean: {:.1f} %).", label,
      effect(low), effect(high),
      verdict == Verdict::below   ? "the weak side is low frequencies"
      : verdict == Verdict::above ? "the weak side is high frequencies"
                                  : "no clear preference",
      100 * static_cast<double>(counts.clean) / static_cast<double>(counts.count));
}

void add_values(const Change& change, const std::string& subject, Section& section) {
  const auto add = [&](const char* key, const char* label, const Estimate& e) {
    if (std::isfinite(e.value))
      section.values.push_back({.key = key,
                                .label = label,
                                .value = e.value,
                                .text = fmt::format("{:+.1f} points", e.value),
                                .subject = subject});
  };
  add("low_frequency_change", "Noise below π/2", change.low);
  add("high_frequency_change", "Noise above π/2", change.high);
}

void add_noise_claims(const Change& change, const std::string& network, Section& section) {
  const Estimate gap = difference(change.low, change.high);
  if (!std::isfinite(gap.value)) return;
  add_claim(section,
            {.text = "Noise of high frequency hurts more than noise of low frequency",
             .key = "low_minus_high",
             .label = "Change by noise below π/2 less that by noise above",
             .side = Verdict::above,
             .words = [](double v) { return fmt::format("{:+.1f} points", v); }},
            network, gap);
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

}  // namespace

Section noise_section(const AnalysisInput& input, const NoiseOptions& options) {
  const int64_t images = input.pictures(1000);
  Section section;
  plot::Figure figure{.name = "noise",
                      .title = "Change of accuracy when noise of one frequency band is added.",
                      .columns = 2};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const Progress part = input.part_of(s);
    const NoiseCounts counts = measure_noise(*subject.model, input, options, images, part);
    section.finding += (s > 0 ? " " : "") + finding(subject.label, options, counts);
    add_values(low_high(options, counts), subject.label, section);
    add_noise_claims(low_high(options, counts), subject.label, section);
    figure.panels.push_back(noise_panel(subject.label, options, counts));
  }
  section.reading =
      "Each point adds noise whose energy lies in a ring around one frequency and counts what that "
      "costs. Published curves "
      "keep ε fixed, so that the rings of high frequency, which hold more bins, also hold more "
      "energy; the second curve "
      "gives every band the same energy, and only it says which frequency hurts more. Published: "
      "transformers suffer from "
      "low, convolutional networks from high frequencies.";
  section.caveats = {fmt::format(
      "{}, bands of 95 % (Wilson). ε = {} of random sign, before the ring is cut "
      "out, in the units of the normalised input; rings ±{} rad wide, {}.",
      counted(images, "test picture"), options.epsilon, options.half_width,
      options.shape == RingShape::park_kim ? "as in the published script" : "symmetric")};
  if (figure.panels.size() == 1) figure.columns = 1;
  figure.alt = section.finding;
  section.figures = {std::move(figure)};
  return section;
}

}  // namespace passband
