#include "analysis/relevance/rollout_class_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "analysis/relevance/faithfulness.h"
#include "analysis/relevance/perturbation.h"
#include "analysis/study/wording.h"
#include "tensor/core/random.h"

namespace passband {
namespace {

// All forms of rollout, to be tested against one another.
std::vector<NamedRollout> rival_rows(const RolloutClassOptions& options) {
  return {class_row(options, RolloutRule::class_specific),
          class_row(options, RolloutRule::gradient),
          {"rollout", plain_settings(options)}};
}

double area(const std::vector<double>& curve) {
  return std::accumulate(curve.begin(), curve.end(), 0.0) / static_cast<double>(curve.size());
}

using Curves = std::vector<std::vector<double>>;

void add_curves(Faithfulness& result, size_t i, const Curves& most, const Curves& least,
                double total) {
  for (size_t n = 0; n < most.size(); ++n) {
    for (size_t k = 0; k < most[n].size(); ++k) {
      result.most[i][k] += most[n][k] / total;
      result.least[i][k] += least[n][k] / total;
    }
    result.areas[i].push_back(area(most[n]));
  }
}

// Random maps, the floor of the test.
RelevanceMaps random_like(const RelevanceMaps& maps, int64_t first) {
  RelevanceMaps result = maps;
  for (size_t i = 0; i < result.values.size(); ++i)
    result.values[i] = static_cast<double>(
        random_uniform({0, static_cast<uint64_t>(first), site_of("perturbation")}, i));
  return result;
}

Faithfulness measure_faithfulness(const Subject& subject, const Dataset& data, int64_t images,
                                  const std::vector<NamedRollout>& rows, const Progress& progress) {
  Faithfulness result;
  for (const NamedRollout& row : rows) result.names.push_back(row.title);
  result.names.push_back("random order");
  result.most.assign(rows.size() + 1, std::vector<double>(kPerturbationSteps));
  result.least = result.most;
  result.areas.resize(rows.size() + 1);
  const std::vector<int64_t> indices = spread_indices(data.count, images);
  const auto total = static_cast<int64_t>(indices.size());
  for (int64_t first = 0; first < total; first += kRolloutBatch) {
    const auto begin = indices.begin() + first;
    const std::vector<int64_t> chosen(begin, begin + std::min(kRolloutBatch, total - first));
    const Tensor batch = network_images(*subject.model, data, chosen);
    const std::vector<int64_t> classes = classes_read(*subject.model, batch);
    std::vector<RelevanceMaps> maps = rollouts(*subject.model, batch, settings_of(rows), classes);
    maps.push_back(random_like(maps[0], first));
    for (size_t i = 0; i < maps.size(); ++i)
      add_curves(result, i, perturbation_curves(*subject.model, batch, classes, maps[i], true),
                 perturbation_curves(*subject.model, batch, classes, maps[i], false),
                 static_cast<double>(total));
    progress(first + static_cast<int64_t>(chosen.size()), total, "pictures");
  }
  return result;
}

std::string finding(const std::string& label, const Faithfulness& f, double agreement) {
  std::string text = "Hiding cells leaves the class read by " + label + " a mean probability of";
  for (size_t i = 0; i < f.names.size(); ++i)
    text += fmt::format("{} {:.2f} / {:.2f} ({})", i > 0 ? "," : "", area(f.most[i]),
                        area(f.least[i]), f.names[i]);
  return text + fmt::format(
                    ", most / least relevant cells first. {}. Maps of two classes correlate by "
                    "{:.2f}.",
                    against_chance(f), agreement);
}

plot::Panel perturbation_panel(const Faithfulness& f, bool most, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "cells hidden", .unit = "%"},
                    .y = {.label = "probability of the class read", .low = 0.0, .high = 1.0}};
  for (size_t i = 0; i < f.names.size(); ++i) {
    plot::Line line{
        .name = f.names[i], .y = most ? f.most[i] : f.least[i], .style = static_cast<int>(i)};
    for (int k = 0; k < kPerturbationSteps; ++k) line.x.push_back(100.0 * k / kPerturbationSteps);
    panel.lines.push_back(std::move(line));
  }
  return panel;
}

}  // namespace

Section rollout_class_section(const AnalysisInput& input, const RolloutClassOptions& options) {
  const int64_t images = input.pictures(64);
  const std::vector<NamedRollout> rows = rival_rows(options);
  Section section;
  plot::Figure test{.name = "rollout-perturbation",
                    .title = "Probability of the class read while cells are hidden.",
                    .columns = 2};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    plot::Figure figure = class_figure(input, options, s, "rollout-class",
                                       "Class-specific relevance for two classes");
    const double agreement = add_two_classes(input, options, subject, rows[0], figure);
    const Faithfulness f =
        measure_faithfulness(subject, *input.data, images, rows, input.part_of(s));
    const std::string text = finding(subject.label, f, agreement);
    section.values.push_back({.key = "perturbation_gap",
                              .label = "Least minus most relevant first, class-specific",
                              .value = area(f.least[0]) - area(f.most[0]),
                              .subject = subject.label});
    section.values.push_back({.key = "perturbation_advantage",
                              .label = "Random order minus class-specific, most relevant first",
                              .value = advantage(f, 0).value,
                              .subject = subject.label});
    section.finding += (s > 0 ? " " : "") + text;
    figure.alt = text;
    section.figures.push_back(std::move(figure));
    test.panels.push_back(perturbation_panel(f, true, subject.label + ", most relevant first"));
    test.panels.push_back(perturbation_panel(f, false, subject.label + ", least relevant first"));
  }
  section.reading =
      "Attention times its gradient, positive part of each head, added up through the layers "
      "(Chefer, Gur and Wolf, ICCV "
      "2021). The curves test the maps: hiding what matters must lower the probability faster than "
      "a random order does, "
      "hiding what does not matter more slowly. The further the two curves of a method lie apart, "
      "the better its maps.";
  section.caveats = {convolution_caveat(options), start_caveat(options),
                     fmt::format("Curves over {}; hidden cells show the mean "
                                 "colour, which is itself unlike any picture.",
                                 counted(images, "test picture"))};
  test.alt = section.finding;
  section.figures.push_back(std::move(test));
  return section;
}

}  // namespace passband
