// Checks of the figure model, and the figures that several analyses share.
#include "analysis/report/figure.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

#include "analysis/report/text.h"
#include "tensor/core/error.h"

namespace passband::plot {
namespace {

template <class Series> void check_series(const std::string& where, const Series& series) {
  const size_t n = series.x.size();
  const auto fits = [&](const std::vector<double>& values) {
    return values.empty() || values.size() == n;
  };
  CHECK(series.y.size() == n, where, ": '", series.name, "' has ", n, " x but ", series.y.size(),
        " y values");
  CHECK(fits(series.low) && fits(series.high) && series.low.empty() == series.high.empty(), where,
        ": '", series.name, "' needs as many low and high values as y values, or none of both");
}

void check_heatmap(const std::string& where, const Heatmap& map) {
  CHECK(map.rows > 0 && map.columns > 0, where, ": a heatmap needs rows and columns, got ",
        map.rows, " x ", map.columns);
  CHECK(static_cast<int64_t>(map.values.size()) == map.rows * map.columns, where, ": ",
        map.values.size(), " values do not fill a ", map.rows, " x ", map.columns, " heatmap");
  const auto fits = [](const std::vector<std::string>& labels, int64_t n) {
    return labels.empty() || static_cast<int64_t>(labels.size()) == n;
  };
  CHECK(fits(map.row_labels, map.rows) && fits(map.column_labels, map.columns), where, ": ",
        map.row_labels.size(), " and ", map.column_labels.size(), " labels for ", map.rows,
        " rows and ", map.columns, " columns");
}

void check_contour(const std::string& where, const Contour& contour) {
  CHECK(contour.x.size() > 1 && contour.y.size() > 1 &&
            contour.values.size() == contour.x.size() * contour.y.size(),
        where, ": ", contour.values.size(), " values do not fill a contour of ", contour.y.size(),
        " x ", contour.x.size());
  for (const std::vector<double>* axis : {&contour.x, &contour.y, &contour.levels})
    CHECK(std::ranges::adjacent_find(*axis, std::greater_equal<>()) == axis->end(), where,
          ": coordinates and levels of a contour must ascend");
}

void check_panel(const std::string& where, const Panel& panel) {
  for (const Line& line : panel.lines) check_series(where, line);
  for (const Bars& bars : panel.bars) {
    check_series(where, bars);
    CHECK(bars.kinds.empty() || bars.kinds.size() == bars.x.size(), where, ": '", bars.name,
          "' has ", bars.x.size(), " bars but ", bars.kinds.size(), " kinds");
  }
  for (const Points& points : panel.points) {
    check_series(where, points);
    CHECK(points.labels.empty() || points.labels.size() == points.x.size(), where, ": '",
          points.name, "' has ", points.x.size(), " points but ", points.labels.size(), " labels");
  }
  if (panel.heatmap) check_heatmap(where, *panel.heatmap);
  if (panel.contour) check_contour(where, *panel.contour);
  for (const Axis* axis : {&panel.x, &panel.y}) {
    CHECK(!axis->low || !axis->high || *axis->low < *axis->high, where, ": axis '", axis->label,
          "' needs low < high, got ", axis->low.value_or(0), " and ", axis->high.value_or(0));
    CHECK(axis->scale == Scale::linear || axis->low.value_or(1) > 0, where, ": log axis '",
          axis->label, "' cannot start at ", axis->low.value_or(1));
  }
}

void check_picture(const std::string& where, const Picture& picture) {
  CHECK(picture.width > 0 && picture.height > 0 &&
            static_cast<int64_t>(picture.rgb.size()) == picture.width * picture.height * 3,
        where, ": picture '", picture.caption, "' of ", picture.width, " x ", picture.height,
        " has ", picture.rgb.size(), " bytes");
  CHECK(static_cast<int64_t>(picture.overlay.size()) ==
            picture.overlay_width * picture.overlay_height,
        where, ": the overlay of '", picture.caption, "' has ", picture.overlay.size(), " values");
}

}  // namespace

void check(const Figure& figure) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789-_";
  CHECK(!figure.name.empty() && figure.name.find_first_not_of(allowed) == std::string::npos,
        "figure name '", figure.name, "': use a-z, 0-9, - and _, because it names a file");
  const std::string where = "figure '" + figure.name + "'";
  CHECK(!figure.panels.empty() || !figure.pictures.cells.empty(), where,
        " has neither panels nor pictures");
  CHECK(figure.columns > 0 && figure.pictures.columns > 0, where, ": columns must be positive");
  for (const Panel& panel : figure.panels) check_panel(where, panel);
  for (const Picture& picture : figure.pictures.cells) check_picture(where, picture);
}

Interval wilson(double successes, double n, double z) {
  if (n <= 0) return {};
  const double p = successes / n, z2 = z * z, denominator = 1 + z2 / n;
  const double centre = (p + z2 / (2 * n)) / denominator;
  const double half = z * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / denominator;
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

Figure reliability_figure(std::string name, std::string title,
                          const std::vector<ReliabilityBin>& bins) {
  Bars accuracy{.name = "Accuracy in the bin", .width = 0}, share{.width = 0};
  Points confidence{.name = "Mean confidence", .style = 1};
  int64_t total = 0;
  for (const ReliabilityBin& bin : bins) total += bin.n;
  for (const ReliabilityBin& bin : bins) {
    const double centre = (bin.low + bin.high) / 2;
    accuracy.width = share.width = 0.92 * (bin.high - bin.low);
    share.x.push_back(centre);
    share.y.push_back(total > 0 ? 100.0 * static_cast<double>(bin.n) / static_cast<double>(total)
                                : 0);
    if (bin.n == 0) continue;
    const auto n = static_cast<double>(bin.n), correct = static_cast<double>(bin.correct);
    const Interval interval = wilson(correct, n);
    accuracy.x.push_back(centre);
    accuracy.y.push_back(correct / n);
    accuracy.low.push_back(interval.low);
    accuracy.high.push_back(interval.high);
    confidence.x.push_back(centre);
    confidence.y.push_back(bin.confidence);
    confidence.labels.push_back(concat_text("n = ", format_number(n)));
  }
  const Axis x{.label = "Confidence", .low = 0, .high = 1};
  share.style = 6;
  Panel top{.x = x, .y = {.label = "Accuracy", .low = 0, .high = 1.0}, .height = 300};
  top.x.label = "";
  top.bars = {accuracy};
  top.points = {confidence};
  top.references = {{.along = Reference::Along::diagonal, .label = "Perfectly calibrated"}};
  Panel bottom{
      .x = x, .y = {.label = "Share of predictions", .unit = "%", .from_zero = true}, .height = 80};
  bottom.bars = {share};
  return {.name = std::move(name), .title = std::move(title), .panels = {top, bottom}};
}

Figure confusion_figure(std::string name, std::string title,
                        const std::vector<std::string>& classes,
                        const std::vector<int64_t>& counts) {
  const size_t n = classes.size();
  CHECK(counts.size() == n * n, "confusion figure: ", counts.size(), " counts for ", n, " classes");
  Heatmap map{.rows = static_cast<int64_t>(n),
              .columns = static_cast<int64_t>(n),
              .value = "% of the true class",
              .row_labels = classes,
              .column_labels = classes,
              .map = ColorMap::tint,
              .low = 0,
              .high = 100,
              .show_values = true,
              .decimals = 1};
  for (size_t row = 0; row < n; ++row) {
    double total = 0;
    for (size_t k = 0; k < n; ++k) total += static_cast<double>(counts[row * n + k]);
    for (size_t k = 0; k < n; ++k)
      map.values.push_back(total > 0 ? 100 * static_cast<double>(counts[row * n + k]) / total : 0);
  }
  Panel panel{
      .x = {.label = "Predicted class"}, .y = {.label = "True class"}, .heatmap = std::move(map)};
  return {.name = std::move(name), .title = std::move(title), .panels = {std::move(panel)}};
}

}  // namespace passband::plot
