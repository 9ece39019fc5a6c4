// Sections: attention rollout with its fusions, and the two forms that know a class.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "analysis/relevance/perturbation.h"
#include "analysis/relevance/rollout.h"
#include "analysis/relevance/rollout_sections.h"
#include "analysis/study/picture_maps.h"
#include "tensor/core/random.h"

namespace passband {

std::string without_scores(const Subject& subject) {
  const std::string& pattern = subject.model->pattern();
  if (pattern.empty()) return "";
  const bool lambda = pattern.find('L') != std::string::npos;
  if (lambda)
    return fmt::format(
        "{} mixes places by lambda layers. Their effective weights are signed, differ from 1 in "
        "sum and come without a softmax over places, so products of them are no shares of "
        "relevance: see lambda-maps for the weights themselves and "
        "rollout-norm for what every block moves.",
        subject.label);
  if (pattern.find('M') == std::string::npos)
    return fmt::format(
        "{} has no attention layer to roll out: rollout-norm shows what its convolutions move.",
        subject.label);
  return "";
}

std::vector<AnalysisOption> rollout_options() {
  return {{"pictures", "6", "pictures shown"},
          {"discard", "0.9", "share of the smallest entries that the row 'discard' sets to 0"},
          {"convolution",
           "norms",
           "how relevance passes a convolution block: by the norms "
           "of what it moves, or keeping its place",
           {"norms", "area"}},
          {"definition",
           "exact",
           "vit_explain: normalise and discard as that script does",
           {"exact", "vit_explain"}}};
}

std::vector<AnalysisOption> rollout_class_options() {
  std::vector<AnalysisOption> options = rollout_options();
  options.push_back({"start",
                     "class_weighted",
                     "where relevance starts when the network averages over places: by their "
                     "share in the class, or all alike",
                     {"class_weighted", "read"}});
  return options;
}

namespace {

constexpr int64_t kRolloutBatch = 8;

struct Named {
  std::string title;
  RolloutSettings settings;
};

RolloutSettings common_settings(const AnalysisInput& input) {
  RolloutSettings settings;
  settings.attention.vit_explain = input.text("definition") == "vit_explain";
  if (input.text("convolution") == "area") settings.convolution = ConvolutionStep::area;
  return settings;
}

std::vector<RolloutSettings> settings_of(const std::vector<Named>& named) {
  std::vector<RolloutSettings> result;
  for (const Named& n : named) result.push_back(n.settings);
  return result;
}

// Concentration of each kind of map over many pictures, in batches.
std::vector<double> concentrations(const Subject& subject, const Dataset& data, int64_t images,
                                   const std::vector<Named>& named, const Progress& progress) {
  const std::vector<int64_t> indices = spread_indices(data.count, images);
  const auto total = static_cast<int64_t>(indices.size());
  std::vector<double> sums(named.size());
  for (int64_t first = 0; first < total; first += kRolloutBatch) {
    const auto begin = indices.begin() + first;
    const std::vector<int64_t> chosen(begin, begin + std::min(kRolloutBatch, total - first));
    const Tensor batch = network_images(*subject.model, data, chosen);
    const auto maps =
        rollouts(*subject.model, batch, settings_of(named), classes_read(*subject.model, batch));
    for (size_t i = 0; i < maps.size(); ++i)
      sums[i] += concentration(maps[i]) * static_cast<double>(maps[i].count);
    progress(first + static_cast<int64_t>(chosen.size()), total, "pictures");
  }
  for (double& sum : sums) sum /= static_cast<double>(total);
  return sums;
}

std::vector<std::string> read_as(const Dataset& data, const std::vector<int64_t>& classes,
                                 const std::string& word) {
  std::vector<std::string> captions;
  for (const int64_t c : classes) captions.push_back(word + class_name(data, c));
  return captions;
}

// Rows of maps for the first class of each picture.
plot::Figure maps_figure(const AnalysisInput& input, size_t s, const std::string& stem,
                         const std::string& title, const std::vector<Named>& rows) {
  const Subject& subject = input.subjects[s];
  const std::vector<int64_t> indices = spread_indices(input.data->count, input.whole("pictures"));
  const Tensor images = network_images(*subject.model, *input.data, indices);
  const std::vector<int64_t> classes = classes_read(*subject.model, images);
  plot::Figure figure =
      picture_figure(*input.data, indices, figure_name(stem, s), title + ", " + subject.label + ".",
                     "share of relevance, relative to the largest");
  const auto maps = rollouts(*subject.model, images, settings_of(rows), classes);
  for (size_t i = 0; i < rows.size(); ++i)
    add_map_row(figure, rows[i].title, maps[i].values, maps[i].height, maps[i].width,
                i == 0 ? read_as(*input.data, classes, "read as ") : std::vector<std::string>{});
  return figure;
}

std::vector<Named> fusion_rows(const AnalysisInput& input) {
  const RolloutSettings base = common_settings(input);
  std::vector<Named> rows = {{"mean", base}, {"max", base}, {"min", base}, {"", base}};
  rows[1].settings.attention.fusion = rows[3].settings.attention.fusion = Fusion::max;
  rows[2].settings.attention.fusion = Fusion::min;
  rows[3].settings.attention.discard = input.number("discard");
  rows[3].title = fmt::format("max, discard {:g}", input.number("discard"));
  return rows;
}

std::string conv_caveat(const AnalysisInput& input) {
  const std::string by =
      input.text("convolution") == "norms"
          ? "Convolution blocks pass relevance by the norms of what they move (see rollout-norm)"
          : "Convolution blocks are taken to keep places, a coarser grid to spread its share "
            "evenly over the finer one below";
  return by + "; windows are blocks of the matrix, put back where they lie in the picture.";
}

}  // namespace

Section rollout_section(const AnalysisInput& input) {
  const int64_t images = input.images_or(32);
  const std::vector<Named> rows = fusion_rows(input);
  Section section{.name = "rollout", .title = "Attention rollout", .order = 50};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    section.figures.push_back(
        maps_figure(input, s, "rollout", "Attention rollout over test pictures", rows));
    const std::vector<double> share =
        concentrations(subject, *input.data, images, rows, input.part_of(s));
    section.figures.back().alt =
        fmt::format("The brightest quarter of each map holds {:.0f} % of it.", 100 * share[0]);
    section.values.push_back({.key = "concentration",
                              .label = "Rollout in the brightest quarter",
                              .value = share[0],
                              .text = fmt::format("{:.0f} %", 100 * share[0]),
                              .subject = subject.label});
    if (s > 0) continue;
    section.finding = fmt::format(
        "The brightest quarter of a rollout map holds {:.0f} % of the relevance on average (a flat "
        "map: 25 %); taking "
        "the largest head instead of the mean gives {:.0f} %, the smallest {:.0f} %, the largest "
        "without its weakest "
        "entries {:.0f} %.",
        100 * share[0], 100 * share[1], 100 * share[2], 100 * share[3]);
  }
  section.reading =
      "Attention of all layers multiplied from the output to the input, half of each step kept by "
      "the shortcut (Abnar "
      "and Zuidema, 2020). Bright places are where the final representation gathers from. Rows "
      "differ in how the heads "
      "of a layer become one matrix; 'discard' drops the weakest entries of each layer first.";
  section.caveats = {
      conv_caveat(input),
      fmt::format(
          "Shares over {} test pictures. Rollout does not know the class; with average pooling "
          "it tends to be flat.",
          images)};
  return section;
}

namespace {

std::vector<Named> class_rows(const AnalysisInput& input, RolloutRule rule) {
  RolloutSettings settings = common_settings(input);
  settings.attention.rule = rule;
  if (input.text("start") == "class_weighted") settings.start = RolloutStart::class_weighted;
  return {{rule == RolloutRule::gradient ? "gradient" : "class-specific", settings}};
}

// Of the maps of each picture; 1 where one of them is flat.
double mean_correlation(const RelevanceMaps& a, const RelevanceMaps& b) {
  const auto cells = static_cast<size_t>(a.height * a.width);
  double total = 0;
  for (size_t first = 0; first < a.values.size(); first += cells) {
    const double value = correlation(std::span(a.values).subspan(first, cells),
                                     std::span(b.values).subspan(first, cells));
    total += std::isfinite(value) ? value : 1;
  }
  return total / static_cast<double>(a.count);
}

// Maps of the class the network reads and of its runner-up; their mean correlation.
double add_two_classes(const AnalysisInput& input, const Subject& subject, const Named& row,
                       plot::Figure& figure) {
  const std::vector<int64_t> indices = spread_indices(input.data->count, input.whole("pictures"));
  const Tensor images = network_images(*subject.model, *input.data, indices);
  const std::vector<int64_t> first = classes_read(*subject.model, images),
                             second = classes_read(*subject.model, images, 1);
  const RelevanceMaps a = rollouts(*subject.model, images, {row.settings}, first)[0];
  const RelevanceMaps b = rollouts(*subject.model, images, {row.settings}, second)[0];
  add_map_row(figure, "class read", a.values, a.height, a.width,
              read_as(*input.data, first, "for "));
  add_map_row(figure, "runner-up", b.values, b.height, b.width,
              read_as(*input.data, second, "for "));
  return mean_correlation(a, b);
}

plot::Figure class_figure(const AnalysisInput& input, size_t s, const std::string& stem,
                          const std::string& title) {
  const std::vector<int64_t> indices = spread_indices(input.data->count, input.whole("pictures"));
  return picture_figure(*input.data, indices, figure_name(stem, s),
                        title + ", " + input.subjects[s].label + ".",
                        "relevance, relative to the largest");
}

std::string class_start_caveat(const AnalysisInput& input) {
  return input.text("start") == "class_weighted"
             ? "Relevance starts in the last layer at the places that speak for the class, by "
               "their share in its logit "
               "above the mean logit."
             : "Relevance starts where the classifier reads: the class token, or all places alike.";
}

}  // namespace

Section rollout_gradient_section(const AnalysisInput& input) {
  Section section{.name = "rollout-gradient", .title = "Gradient rollout", .order = 51};
  const std::vector<Named> rows = class_rows(input, RolloutRule::gradient);
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    plot::Figure figure =
        class_figure(input, s, "rollout-gradient", "Gradient rollout for two classes");
    const double agreement = add_two_classes(input, subject, rows[0], figure);
    const std::string text = fmt::format(
        "The maps of the class read and of its runner-up correlate by {:.2f} (1: the same map){}.",
        agreement, agreement > 0.8 ? ": most of what they show does not depend on the class" : "");
    figure.alt = text;
    section.figures.push_back(std::move(figure));
    section.values.push_back({.key = "class_correlation",
                              .label = "Correlation of the maps of two classes",
                              .value = agreement,
                              .subject = subject.label});
    if (s == 0) section.finding = text;
  }
  section.reading =
      "As rollout, but each head's attention is multiplied by the gradient of one class's logit; "
      "what lowers the logit is "
      "dropped (the mean over heads is clamped, as in vit-explain). The upper maps are for the "
      "class the network reads, "
      "the lower for its second choice: where they agree, the map does not depend on the class.";
  section.caveats = {conv_caveat(input), class_start_caveat(input)};
  return section;
}

namespace {

struct Faithfulness {
  std::vector<std::string> names;
  // curves: most relevant first, least relevant first
  std::vector<std::vector<double>> most, least;
};

double area(const std::vector<double>& curve) {
  return std::accumulate(curve.begin(), curve.end(), 0.0) / static_cast<double>(curve.size());
}

void add_curves(Faithfulness& result, size_t i, const std::vector<double>& most,
                const std::vector<double>& least, double weight) {
  for (size_t k = 0; k < most.size(); ++k) {
    result.most[i][k] += weight * most[k];
    result.least[i][k] += weight * least[k];
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
                                  const std::vector<Named>& rows, const Progress& progress) {
  Faithfulness result;
  for (const Named& row : rows) result.names.push_back(row.title);
  result.names.push_back("random order");
  result.most.assign(rows.size() + 1, std::vector<double>(kPerturbationSteps));
  result.least = result.most;
  const std::vector<int64_t> indices = spread_indices(data.count, images);
  const auto total = static_cast<int64_t>(indices.size());
  for (int64_t first = 0; first < total; first += kRolloutBatch) {
    const auto begin = indices.begin() + first;
    const std::vector<int64_t> chosen(begin, begin + std::min(kRolloutBatch, total - first));
    const Tensor batch = network_images(*subject.model, data, chosen);
    const std::vector<int64_t> classes = classes_read(*subject.model, batch);
    std::vector<RelevanceMaps> maps = rollouts(*subject.model, batch, settings_of(rows), classes);
    maps.push_back(random_like(maps[0], first));
    const double weight = static_cast<double>(chosen.size()) / static_cast<double>(total);
    for (size_t i = 0; i < maps.size(); ++i)
      add_curves(result, i, perturbation_curve(*subject.model, batch, classes, maps[i], true),
                 perturbation_curve(*subject.model, batch, classes, maps[i], false), weight);
    progress(first + static_cast<int64_t>(chosen.size()), total, "pictures");
  }
  return result;
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

// All forms of rollout, to be tested against one another.
std::vector<Named> rival_rows(const AnalysisInput& input) {
  std::vector<Named> rows = class_rows(input, RolloutRule::class_specific);
  rows.push_back(class_rows(input, RolloutRule::gradient)[0]);
  rows.push_back({"rollout", common_settings(input)});
  return rows;
}

}  // namespace

Section rollout_class_section(const AnalysisInput& input) {
  const int64_t images = input.images_or(64);
  const std::vector<Named> rows = rival_rows(input);
  Section section{.name = "rollout-class", .title = "Class-specific relevance", .order = 52};
  plot::Figure test{.name = "rollout-perturbation",
                    .title = "Probability of the class read while cells are hidden.",
                    .columns = 2};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    plot::Figure figure =
        class_figure(input, s, "rollout-class", "Class-specific relevance for two classes");
    const double agreement = add_two_classes(input, subject, rows[0], figure);
    const Faithfulness f =
        measure_faithfulness(subject, *input.data, images, rows, input.part_of(s));
    test.panels.push_back(perturbation_panel(f, true, subject.label + ", most relevant first"));
    test.panels.push_back(perturbation_panel(f, false, subject.label + ", least relevant first"));
    std::string text = "Hiding cells leaves the class read a mean probability of";
    for (size_t i = 0; i < f.names.size(); ++i)
      text += fmt::format("{} {:.2f} / {:.2f} ({})", i > 0 ? "," : "", area(f.most[i]),
                          area(f.least[i]), f.names[i]);
    text += fmt::format(
        ", most / least relevant cells first; maps of two classes correlate by {:.2f}.", agreement);
    figure.alt = text;
    section.figures.push_back(std::move(figure));
    section.values.push_back({.key = "perturbation_gap",
                              .label = "Least minus most relevant first, class-specific",
                              .value = area(f.least[0]) - area(f.most[0]),
                              .subject = subject.label});
    if (s == 0) section.finding = test.alt = text;
  }
  section.figures.push_back(std::move(test));
  section.reading =
      "Attention times its gradient, positive part of each head, added up through the layers "
      "(Chefer, Gur and Wolf, ICCV "
      "2021). The curves test the maps: hiding what matters must lower the probability faster than "
      "a random order does, "
      "hiding what does not matter more slowly. The further the two curves of a method lie apart, "
      "the better its maps.";
  section.caveats = {conv_caveat(input), class_start_caveat(input),
                     fmt::format("Curves over {} test pictures; hidden cells show the mean "
                                 "colour, which is itself unlike any picture.",
                                 images)};
  return section;
}

}  // namespace passband
