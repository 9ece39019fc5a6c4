#include "analysis/places/probes_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/study/claims.h"
#include "analysis/study/depth_axis.h"
#include "analysis/study/kind_points.h"
#include "analysis/study/training_pictures.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

DepthAxis axis_of(const std::vector<ProbeLayer>& layers) {
  DepthAxis axis;
  for (const ProbeLayer& layer : layers) axis.index_of(layer.site);
  return axis;
}

// "best: 61.0 % at layer3.0", unless the best layer is no better than the last that could be told.
std::string best_text(const std::vector<ProbeLayer>& layers) {
  const auto best = std::ranges::max_element(layers, {}, &ProbeLayer::mean);
  if (judge(change_of_answers(layers.back().right, best->right)) != Verdict::above)
    return "no layer reads more within the counting error";
  return fmt::format("best: {} at {}", percent(best->mean),
                     axis_of(layers).labels()[static_cast<size_t>(best - layers.begin())]);
}

std::string finding(const std::string& label, const std::vector<ProbeLayer>& layers) {
  const ProbeLayer &first = layers.front(), &last = layers.back();
  std::string text = fmt::format(
      "In {} the mean over places reads {} at the first layer and {} at the last ({}), with few "
      "pictures per class {} at the last; a single place reads {} at the first and {} at the last",
      label, percent(first.mean), percent(last.mean), best_text(layers), percent(last.mean_shots),
      percent(first.places), percent(last.places));
  if (last.class_token >= 0)
    text += fmt::format(", the class token {} at the last", percent(last.class_token));
  return text + ".";
}

// From the probe of one layer to that of another, in points: both read the same pictures.
Estimate change_between(const ProbeLayer& before, const ProbeLayer& after) {
  return scaled(change_of_answers(before.right, after.right), 100);
}

// What each block adds to what the mean over places tells.
NetworkEffects effects_of(const std::string& network, const std::vector<ProbeLayer>& layers) {
  NetworkEffects effects{.network = network};
  const std::vector<std::string> labels = axis_of(layers).labels();
  for (size_t i = 1; i < layers.size(); ++i)
    effects.parts.push_back({layers[i].kind, labels[i], change_between(layers[i - 1], layers[i])});
  return effects;
}

void add_claims(const std::string& network, const std::vector<ProbeLayer>& layers,
                Section& section) {
  if (layers.size() < 2) return;
  add_claim(section,
            {.text = "A probe reads more from the last layer than from the first",
             .key = "gain_over_depth",
             .label = "Probe of the mean over places, last layer less first",
             .side = Verdict::above,
             .words = [](double v) { return fmt::format("{:+.1f} points", v); }},
            network, change_between(layers.front(), layers.back()));
}

void add_values(const std::string& network, const std::vector<ProbeLayer>& layers,
                std::vector<ReportValue>& values) {
  values.push_back({.key = "last_layer",
                    .label = "Probe of the last layer, mean over places",
                    .value = layers.back().mean,
                    .text = fmt::format("{:.1f} %", 100 * layers.back().mean),
                    .detail = fmt::format("lambda {:g} per example", layers.back().lambda),
                    .subject = network});
  values.push_back({.key = "single_place",
                    .label = "Probe of a single place, last layer",
                    .value = layers.back().places,
                    .text = fmt::format("{:.1f} %", 100 * layers.back().places),
                    .subject = network});
}

plot::Line line_of(const std::vector<ProbeLayer>& layers, const std::string& name,
                   double ProbeLayer::*value) {
  plot::Line line{.name = name};
  for (size_t i = 0; i < layers.size(); ++i) {
    line.x.push_back(static_cast<double>(i));
    line.y.push_back(layers[i].*value);
  }
  return line;
}

plot::Panel depth_panel(const std::vector<ProbeLayer>& layers, const std::string& title,
                        int64_t classes, int64_t shots) {
  const DepthAxis axis = axis_of(layers);
  plot::Panel panel{.title = title,
                    .x = {.label = "layer", .categories = axis.labels()},
                    .y = {.label = "accuracy of the probe", .low = 0.0, .high = 1.0}};
  panel.spans = axis.spans();
  panel.lines = {line_of(layers, "mean over places", &ProbeLayer::mean),
                 line_of(layers, fmt::format("mean, {} per class", shots), &ProbeLayer::mean_shots),
                 line_of(layers, "single places", &ProbeLayer::places)};
  if (layers.back().class_token >= 0) {
    panel.lines.push_back(line_of(layers, "class token", &ProbeLayer::class_token));
    panel.lines.push_back(line_of(layers, "mean with class token", &ProbeLayer::everything));
  }
  panel.references = {
      {plot::Reference::Along::horizontal, 1.0 / static_cast<double>(classes), "chance"}};
  return panel;
}

plot::Panel place_panel(const ProbeLayer& layer, const std::string& title) {
  plot::Panel panel{.title = title, .x = {.label = "column"}, .y = {.label = "row"}};
  panel.heatmap = plot::Heatmap{.rows = layer.grid_h,
                                .columns = layer.grid_w,
                                .values = layer.by_place,
                                .value = "accuracy",
                                .low = 0.0,
                                .show_values = true};
  return panel;
}

// First, middle and last layer whose places were probed.
void add_place_panels(plot::Figure& figure, const std::vector<ProbeLayer>& layers,
                      const std::string& label) {
  const DepthAxis axis = axis_of(layers);
  const std::vector<std::string> names = axis.labels();
  std::vector<size_t> probed;
  for (size_t i = 0; i < layers.size(); ++i)
    if (layers[i].grid_h > 0) probed.push_back(i);
  if (probed.empty()) return;
  for (const size_t k : {size_t{0}, probed.size() / 2, probed.size() - 1})
    figure.panels.push_back(place_panel(layers[probed[k]], label + ", " + names[probed[k]]));
}

}  // namespace

Section probes_section(const AnalysisInput& input, const ProbeOptions& given) {
  ProbeOptions options = given;
  options.test = input.pictures(given.test);
  if (!input.train)
    throw UsageError("probes: the data set has no training pictures to fit probes to");
  if (options.lambdas.empty()) throw UsageError("--set probes.lambdas: give at least one number");
  Section section;
  std::vector<NetworkEffects> effects;
  plot::Figure depth{.name = "probes", .title = "Accuracy of ridge probes against depth."};
  plot::Figure places{.name = "probes-places",
                      .title = "Accuracy of probes of single places.",
                      .columns = 3,
                      .share_axes = false};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const std::vector<ProbeLayer> layers = probe_layers(
        *subject.model, training_pictures(input, subject), *input.data, options, input.part_of(s));
    add_values(subject.label, layers, section.values);
    section.finding += (s > 0 ? " " : "") + finding(subject.label, layers);
    effects.push_back(effects_of(subject.label, layers));
    add_claims(subject.label, layers, section);
    depth.panels.push_back(depth_panel(layers, subject.label,
                                       std::ssize(input.train->shown_classes()), options.shots));
    add_place_panels(places, layers, subject.label);
  }
  section.reading =
      "The first figure shows each block as a point, with its 95 % interval over pictures: how "
      "much more a probe reads after it than before it. Attention and the MLP behind it count as "
      "one "
      "block. A probe is a ridge regression to the classes, fitted in closed form to the frozen "
      "features of each "
      "layer: what it reads is "
      "there in linear form. The gap between the mean over places and a single place shows how far "
      "the class is known "
      "everywhere: networks that average over places make every place speak for the whole picture "
      "in their last layers, "
      "a class token takes this over alone (Raghu et al., 2021).";
  const double spread =
      100 * std::sqrt(0.25 / static_cast<double>(std::min(options.test, input.data->count)));
  section.caveats = {
      fmt::format("{} training, {} validation and {} test pictures without augmentation; a share "
                  "of the test pictures is uncertain by up to {:.1f} points. Lambda is chosen per "
                  "probe on the validation pictures.",
                  options.train, options.validation, options.test, spread),
      "Larger maps are averaged within the cells of the last map's "
      "grid, split so far that the number of "
      "features stays below that of the last layer."};
  plot::Figure changes =
      kind_figure("probes-change", "What each block adds to what a probe reads.",
                  {.label = "change of the probe's accuracy", .unit = "points"}, effects);
  changes.alt = depth.alt = places.alt = section.finding;
  if (!changes.panels.empty()) section.figures.push_back(std::move(changes));
  section.figures.push_back(std::move(depth));
  if (!places.panels.empty()) section.figures.push_back(std::move(places));
  return section;
}

}  // namespace passband
