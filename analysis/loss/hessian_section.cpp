#include "analysis/loss/hessian_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/study/claims.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

constexpr uint64_t kSeed = 1;
constexpr int64_t kGraphPictures = 16;  // pictures of the full batch whose graph is held at a time

// What was measured of one network.
struct Curvature {
  std::string label;
  int64_t parameters = 0;
  std::vector<double> top;  // of all minibatches
  int64_t minibatches = 0;
  bool converged = true;
  std::vector<Ritz> probes;  // of the full batch
  TraceEstimate trace;

  // The Ritz value nearest to an end of the full-batch spectrum, with how near an eigenvalue lies.
  std::pair<double, double> extreme(bool largest) const {
    std::pair<double, double> best{NAN, 0};
    for (const Ritz& r : probes) {
      const size_t at = largest ? r.values.size() - 1 : 0;
      if (std::isnan(best.first) || (r.values[at] > best.first) == largest)
        best = {r.values[at], r.residuals[at]};
    }
    return best;
  }
};

void measure_minibatches(const AnalysisInput& input, const HessianOptions& options,
                         const Subject& subject, const Progress& progress, Curvature& result) {
  const LossTerms terms = loss_terms(input, options, subject);
  const LossBatches source = loss_batches(input, subject, options.minibatches * options.batch,
                                          options.batch, options.augment, kSeed);
  result.minibatches = source.count();
  const bool power = options.method == EigenvalueMethod::power;
  const OwnPart part(source.count());
  std::vector<double> found;
  int64_t unsettled = 0;
  const auto add_minibatch = [&](int64_t i) {
    const BatchHessian hessian(*subject.model, source.batch(i), terms);
    const TopOptions search{.count = options.top,
                            .steps = power ? 100 : options.top_steps,
                            .tolerance = power ? 1e-3 : options.tolerance,
                            .seed = static_cast<uint64_t>(i)};
    const TopEigenvalues top =
        power ? power_iteration(hessian.map(), search) : top_eigenvalues(hessian.map(), search);
    found.insert(found.end(), top.values.begin(), top.values.end());
    unsettled += top.converged ? 0 : 1;
    progress(i + 1 - part.begin, part.end - part.begin, "minibatches");
  };
  part.run({subject.model.get()}, [&] {
    for (int64_t i = part.begin; i < part.end; ++i) add_minibatch(i);
  });
  part.append(found);
  part.join(unsettled);
  result.top.insert(result.top.end(), found.begin(), found.end());
  result.converged = result.converged && unsettled == 0;
}

void measure_full_batch(const AnalysisInput& input, const HessianOptions& options,
                        const Subject& subject, const Progress& progress, Curvature& result) {
  const LossTerms terms = loss_terms(input, options, subject);
  const LossBatches source =
      loss_batches(input, subject, input.images_or(128), kGraphPictures, false, kSeed);
  const SymmetricMap map = hessian_over(*subject.model, source, terms, progress,
                                        options.probes * options.steps + options.trace_probes);
  std::vector<double> samples;
  for (int64_t i = 0; i < options.probes; ++i) {
    const RandomKey key{kSeed, static_cast<uint64_t>(i), site_of("hessian.probe")};
    const Krylov space =
        lanczos(map, rademacher_vector(map.size, map.dtype, key, map.device), options.steps);
    result.probes.push_back(ritz(space));
    // The first entry of T is the Rayleigh quotient of the probe.
    samples.push_back(static_cast<double>(map.size) * space.diagonal.front());
  }
  const TraceEstimate further = trace(map, options.trace_probes, kSeed);
  samples.insert(samples.end(), further.samples.begin(), further.samples.end());
  result.trace = estimate_of(std::move(samples));
}

std::string sentence(const Curvature& c) {
  const SpectrumSummary summary = summary_of(c.top);
  const std::string positive =
      summary.positive_mean > 0
          ? fmt::format("the positive ones average {:.3g}", summary.positive_mean)
          : "none is positive";
  return fmt::format(
      "{}: {:.0f} % of the largest eigenvalues of minibatches are negative and {}; over all "
      "pictures the eigenvalues reach from {:.3g} to {:.3g}.",
      c.label, 100 * summary.negative_share, positive, c.extreme(false).first,
      c.extreme(true).first);
}

void add_values(const Curvature& c, const std::string& subject, std::vector<ReportValue>& values) {
  const SpectrumSummary summary = summary_of(c.top);
  const auto [low, low_error] = c.extreme(false);
  const auto [high, high_error] = c.extreme(true);
  const auto within = [](double error) {
    return fmt::format("an eigenvalue lies within {:.1g}", error);
  };
  values.push_back({.key = "negative_share",
                    .label = "Negative share of minibatch eigenvalues (NEP)",
                    .value = summary.negative_share,
                    .subject = subject});
  values.push_back({.key = "positive_mean",
                    .label = "Mean positive minibatch eigenvalue (APE)",
                    .value = summary.positive_mean,
                    .subject = subject});
  values.push_back({.key = "largest",
                    .label = "Largest eigenvalue, full batch",
                    .value = high,
                    .detail = within(high_error),
                    .subject = subject});
  values.push_back({.key = "smallest",
                    .label = "Smallest eigenvalue, full batch",
                    .value = low,
                    .detail = within(low_error),
                    .subject = subject});
  values.push_back({.key = "trace",
                    .label = "Trace, full batch",
                    .value = c.trace.mean,
                    .detail = fmt::format("standard error {:.2g} from {} probes", c.trace.error,
                                          c.trace.samples.size()),
                    .subject = subject});
}

// Park and Kim, 2022: attention's loss is not convex, with negative curvatures, where that of
// convolutions is. Eigenvalues of one minibatch may go together: the interval is that of as many
// answers as there are minibatches. How sharp a valley is, their other claim, is nothing to judge a
// single network by: weights that a norm follows can be scaled freely, and curvatures with them.
void add_claims(const Curvature& c, Section& section) {
  constexpr double kFew = 0.05;  // a share of negative eigenvalues not worth a word
  const auto batches = static_cast<double>(c.minibatches);
  add_claim(section,
            {.text = "Minibatch losses are not convex: of the largest curvatures some are negative",
             .key = "negative_share",
             .label = "Negative share of minibatch eigenvalues (NEP)",
             .side = Verdict::above,
             .floor = kFew,
             .words = percent},
            c.label, share_of(summary_of(c.top).negative_share * batches, batches));
}

std::vector<double> spaced(double low, double high, int64_t count) {
  std::vector<double> result;
  for (int64_t i = 0; i < count; ++i)
    result.push_back(low + (high - low) * static_cast<double>(i) / static_cast<double>(count - 1));
  return result;
}

// Densities of the minibatch eigenvalues on one side of zero, one curve a network.
plot::Panel side_panel(const std::vector<Curvature>& all, bool positive) {
  plot::Panel panel{.title = positive ? "positive" : "negative",
                    .x = {.label = "eigenvalue of a minibatch"},
                    .y = {.label = "density", .from_zero = true}};
  double end = 0;
  for (const Curvature& c : all)
    for (const double value : c.top)
      if ((value > 0) == positive && std::abs(value) > std::abs(end)) end = value;
  if (end == 0) end = positive ? 1 : -1;
  const std::vector<double> x = spaced(std::min(0.0, 1.1 * end), std::max(0.0, 1.1 * end), 200);
  for (size_t i = 0; i < all.size(); ++i)
    panel.lines.push_back({.name = all[i].label,
                           .x = x,
                           .y = kernel_density(all[i].top, x),
                           .style = static_cast<int>(i),
                           .fill = true});
  return panel;
}

plot::Figure minibatch_figure(const std::vector<Curvature>& all) {
  plot::Figure figure{.name = "hessian-spectrum",
                      .title = "Density of the largest eigenvalues of minibatch Hessians.",
                      .panels = {side_panel(all, false), side_panel(all, true)},
                      .columns = 2,
                      .share_axes = false};
  return figure;
}

plot::Figure density_figure(const std::vector<Curvature>& all, DensityWidth kernel) {
  plot::Panel panel{.x = {.label = "eigenvalue of the full batch"},
                    .y = {.label = "density", .scale = plot::Scale::log10}};
  double low = 0, high = 0, floor = 1;
  for (const Curvature& c : all)
    low = std::min(low, c.extreme(false).first), high = std::max(high, c.extreme(true).first);
  const double relative = std::max(1e-12, (high - low) / 100);
  const std::vector<double> x = spaced(low - 4 * relative, high + 4 * relative, 1000);
  for (size_t i = 0; i < all.size(); ++i) {
    const double width =
        kernel == DensityWidth::pyhessian ? pyhessian_width(all[i].probes) : relative;
    std::vector<double> y = density_at(x, all[i].probes, width);
    floor = 1e-6 * std::ranges::max(y);
    for (double& value : y) value = std::max(value, floor);
    panel.lines.push_back(
        {.name = all[i].label, .x = x, .y = std::move(y), .style = static_cast<int>(i)});
  }
  return {.name = "hessian-density",
          .title = "Spectral density of the full-batch Hessian (stochastic Lanczos quadrature).",
          .panels = {std::move(panel)}};
}

}  // namespace

Section hessian_section(const AnalysisInput& input, const HessianOptions& options) {
  Section section;
  std::vector<Curvature> all;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const Progress progress = input.part_of(s);
    Curvature& c = all.emplace_back(
        Curvature{.label = subject.label, .parameters = subject.model->store().parameter_count()});
    measure_minibatches(input, options, subject, progress.part(0, 2), c);
    measure_full_batch(input, options, subject, progress.part(1, 2), c);
    add_values(c, subject.label, section.values);
    add_claims(c, section);
    section.arrays.push_back({fmt::format("hessian-minibatches-{}", s + 1),
                              {static_cast<int64_t>(c.top.size())},
                              c.top});
    section.finding += (s > 0 ? " " : "") + sentence(c);
    if (!c.converged)
      section.caveats.push_back(
          c.label + ": some minibatch eigenvalues had not settled; raise hessian.top_steps.");
  }
  section.reading =
      "An eigenvalue is the curvature of the loss along one direction of weight space. Large "
      "positive ones mean a sharp valley, negative ones a direction in which the loss still falls "
      "away on both sides: a non-convex place. The upper figure shows only the few of largest "
      "magnitude of each minibatch, the lower one all of them, on "
      "a logarithmic scale: most lie at zero.";
  const LossTerms terms = loss_terms(input, options, input.subjects.front());
  section.caveats.push_back(
      fmt::format("Cross-entropy with label smoothing {} plus weight decay {} ({}) of networks in "
                  "evaluation mode, on {} pictures: minibatches of {}, and {} for the full batch. "
                  "Minibatches are dominated by noise: "
                  "their largest eigenvalues say little about the full loss, which stands beside "
                  "them. Weights that a norm follows can be scaled freely, so curvatures of "
                  "different networks do not compare exactly.",
                  terms.smoothing, terms.decay,
                  terms.rule == LossTerms::Decay::squared ? "squared" : "unsquared norms",
                  input.train ? "training" : "test", options.batch, input.images_or(128)));
  section.figures = {minibatch_figure(all), density_figure(all, options.kernel)};
  for (plot::Figure& figure : section.figures) figure.alt = section.finding;
  return section;
}

}  // namespace passband
