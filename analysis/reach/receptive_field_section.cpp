#include "analysis/reach/receptive_field_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/study/picture_maps.h"
#include "analysis/study/verdict.h"

namespace passband {
namespace {

// The maps that sizes are read from, one a layer.
std::vector<std::vector<double>> maps_of(const ReceptiveFields& fields, FieldNorm norm) {
  std::vector<std::vector<double>> maps;
  for (const ReceptiveField& field : fields.fields)
    maps.push_back(norm == FieldNorm::energy     ? field.energy
                   : norm == FieldNorm::absolute ? field.absolute
                                                 : field.field());
  return maps;
}

int64_t images_of(const AnalysisInput& input) { return input.pictures(32); }

struct Growth {
  ReceptiveFields fields;
  bool log_areas = false;
  std::vector<std::vector<double>> maps;
  std::vector<double> width, own;
};

Growth measure_growth(const Subject& subject, const AnalysisInput& input,
                      const ReceptiveFieldOptions& options, const Progress& progress) {
  const bool script = options.estimator == FieldEstimator::replknet;
  const FieldNorm norm = script ? FieldNorm::absolute : options.norm;
  if (norm == FieldNorm::absolute && !script && options.estimator != FieldEstimator::exact)
    throw UsageError(
        "receptive-field: norm absolute needs --set "
        "receptive-field.estimator=exact (random signs give squares)");
  Growth growth{.fields = measure_fields(*subject.model, *input.data,
                                         {.images = images_of(input),
                                          .draws = options.draws,
                                          .estimator = options.estimator,
                                          .tap = options.tap,
                                          .progress = progress}),
                .log_areas = script};
  growth.maps = maps_of(growth.fields, norm);
  for (size_t i = 0; i < growth.maps.size(); ++i) {
    const ReceptiveField& field = growth.fields.fields[i];
    growth.width.push_back(field_width(growth.maps[i], field.height, field.width));
    growth.own.push_back(own_share(growth.maps[i], field));
  }
  return growth;
}

// Layers x height x width, as they were measured.
ReportArray map_array(const Growth& growth, size_t subject) {
  const ReceptiveField& field = growth.fields.fields.front();
  ReportArray array{.name = figure_name("receptive-field-maps", subject),
                    .shape = {std::ssize(growth.maps), field.height, field.width}};
  for (const std::vector<double>& map : growth.maps)
    array.values.insert(array.values.end(), map.begin(), map.end());
  return array;
}

double flat_width(const ReceptiveField& field) {
  const double h = static_cast<double>(field.height), w = static_cast<double>(field.width);
  return std::sqrt((h * h + w * w - 2) / 24);
}

// The first depth, from 0 to 1, at which the field is 90 % as wide as it gets.
double full_depth(const std::vector<double>& width) {
  const double most = *std::ranges::max_element(width);
  for (size_t i = 0; i < width.size(); ++i)
    if (width[i] >= 0.9 * most)
      return static_cast<double>(i + 1) / static_cast<double>(width.size());
  return 1;
}

constexpr double kSmallestGrowth = 0.5;  // px

std::string finding(const Growth& growth, const std::string& label) {
  const double first = growth.width.front(), last = growth.width.back();
  const Verdict verdict = judge(Estimate::exact(last - first), 0, kSmallestGrowth);
  const std::string change =
      verdict == Verdict::above
          ? fmt::format(
                "grows from {:.1f} to {:.1f} px ({:.1f}: the whole picture alike) and is as "
                "good as full at {:.0f} % of the depth",
                first, last, flat_width(growth.fields.fields[0]), 100 * full_depth(growth.width))
          : fmt::format("{} {:.1f} px wide ({:.1f}: the whole picture alike), {:.1f} at first",
                        verdict == Verdict::below ? "shrinks until it is" : "does not grow: it is",
                        last, flat_width(growth.fields.fields[0]), first);
  return fmt::format(
      "The field of {} {}; the centre's own cell holds {:.0f} % of it at first, {:.0f} % in the "
      "end.",
      label, change, 100 * growth.own.front(), 100 * growth.own.back());
}

void add_values(const Growth& growth, const std::string& subject, size_t index, Section& section) {
  const auto add = [&](const char* key, const char* label, double width) {
    section.values.push_back({.key = key,
                              .label = label,
                              .value = width,
                              .text = fmt::format("{:.1f} px", width),
                              .subject = subject});
  };
  add("first_width", "First layer", growth.width.front());
  add("last_width", "Last layer", growth.width.back());
  section.arrays.push_back({.name = figure_name("receptive-field-width", index),
                            .shape = {std::ssize(growth.width)},
                            .values = growth.width});
  section.arrays.push_back(map_array(growth, index));
}

std::string method(const AnalysisInput& input, const ReceptiveFieldOptions& options) {
  const bool script = options.estimator == FieldEstimator::replknet;
  const std::string how =
      script ? "the published script of RepLKNet: gradient of the sum of active "
               "channels, negative part cut; areas on log10(1 + map)"
      : options.estimator == FieldEstimator::exact
          ? "every channel's gradient"
          : fmt::format("{} draws of random signs over the channels", options.draws);
  const char* what = script                                ? "summed gradient"
                     : options.norm == FieldNorm::energy   ? "mean squared gradient"
                     : options.norm == FieldNorm::absolute ? "mean absolute gradient (published)"
                                                           : "root mean squared gradient";
  return fmt::format(
      "{} pictures of side {}; {}; {} at the centre of the map ((H/2, W/2): even maps have no "
      "middle) after {}. Width: root of the mean of the two axes' variances of the map. Sizes "
      "depend on the size of the input.",
      images_of(input), input.subjects.front().model->options().image_size, how, what,
      options.tap == FieldTap::branch ? "the branch, before the addition" : "the addition");
}

plot::Panel growth_panel(const Growth& growth, const std::string& title) {
  const DepthAxis& axis = growth.fields.axis;
  plot::Panel panel{.title = title,
                    .x = {.label = "layer", .categories = axis.labels()},
                    .y = {.label = "width of the field", .unit = "px", .from_zero = true}};
  panel.spans = axis.spans();
  panel.lines = {{.name = "width", .x = axis.positions(), .y = growth.width}};
  panel.references = {{plot::Reference::Along::horizontal, flat_width(growth.fields.fields[0]),
                       "whole picture alike"}};
  return panel;
}

plot::Panel share_panel(const Growth& growth, const std::string& title) {
  const DepthAxis& axis = growth.fields.axis;
  plot::Panel panel{.title = title,
                    .x = {.label = "layer", .categories = axis.labels()},
                    .y = {.label = "share of the picture", .unit = "%", .low = 0, .high = 100}};
  panel.spans = axis.spans();
  for (const double share : {0.2, 0.5, 0.99}) {
    plot::Line line{.name = fmt::format("square of {:.0f} % of the field", 100 * share),
                    .x = axis.positions()};
    for (size_t i = 0; i < growth.maps.size(); ++i) {
      const ReceptiveField& f = growth.fields.fields[i];
      const std::vector<double> map = growth.log_areas ? log_map(growth.maps[i]) : growth.maps[i];
      line.y.push_back(100 * area_ratio(map, f.height, f.width, f.centre_y, f.centre_x, share));
    }
    panel.lines.push_back(std::move(line));
  }
  return panel;
}

// Up to `count` layers spread over the depth, the last included.
std::vector<size_t> spread_layers(size_t layers, size_t count) {
  std::vector<size_t> chosen;
  const size_t shown = std::min(layers, count);
  for (size_t i = 1; i <= shown; ++i) chosen.push_back(i * layers / shown - 1);
  return chosen;
}

void add_maps(plot::Figure& figure, const Growth& growth, const std::string& label) {
  const std::vector<std::string> names = growth.fields.axis.labels();
  for (const size_t i : spread_layers(growth.maps.size(), 6)) {
    const ReceptiveField& field = growth.fields.fields[i];
    std::vector<double> values = growth.maps[i];
    const double peak = *std::ranges::max_element(values);
    for (double& value : values) value = peak > 0 ? value / peak : 0;
    plot::Panel panel{
        .title = label + ", " + names[i], .x = {.label = "x (px)"}, .y = {.label = "y (px)"}};
    panel.heatmap = plot::Heatmap{.rows = field.height,
                                  .columns = field.width,
                                  .values = std::move(values),
                                  .value = "gradient, relative to the peak",
                                  .map = plot::ColorMap::magma,
                                  .low = 0,
                                  .high = 1};
    figure.panels.push_back(std::move(panel));
  }
}

}  // namespace

Section receptive_field_section(const AnalysisInput& input, const ReceptiveFieldOptions& options) {
  Section section;
  plot::Figure growth_figure{.name = "receptive-field",
                             .title = "Width and area of the effective receptive field.",
                             .columns = 2};
  plot::Figure maps{.name = "receptive-field-maps",
                    .title = "Gradient of the centre of a layer's map with respect to the picture.",
                    .columns = 6};
  maps.share_axes = false;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const Growth growth = measure_growth(subject, input, options, input.part_of(s));
    if (growth.maps.empty()) {
      section.caveats.push_back(
          fmt::format("{} shows no buffer named {}.", subject.label, name_of(options.tap)));
      continue;
    }
    section.finding += (section.finding.empty() ? "" : " ") + finding(growth, subject.label);
    add_values(growth, subject.label, s, section);
    growth_figure.panels.push_back(growth_panel(growth, subject.label + ", width"));
    growth_figure.panels.push_back(share_panel(growth, subject.label + ", share of the picture"));
    add_maps(maps, growth, subject.label);
  }
  if (section.finding.empty()) section.finding = "No layer could be measured.";
  section.reading =
      "Bright pixels are those that the centre of a layer's map depends on. Convolutions grow the "
      "field step by step, by the "
      "root of the depth; attention reaches across its window or the picture at once, and the "
      "shortcut keeps a bright spot at "
      "the centre. The squares say how much of the picture holds 20, 50 and 99 % of the gradient.";
  section.caveats.push_back(method(input, options));
  growth_figure.alt = maps.alt = section.finding;
  if (!growth_figure.panels.empty()) section.figures = {std::move(growth_figure), std::move(maps)};
  return section;
}

}  // namespace passband
