// Ranges, margins and axes of a panel.
#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/report/svg_parts.h"
#include "analysis/report/table.h"
#include "analysis/report/text.h"

namespace passband::plot {
namespace {

constexpr double kStrip = 15, kTickGap = 7;

struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  bool positive_only = false;

  void add(double value) {
    if (!std::isfinite(value) || (positive_only && value <= 0)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  void add(const std::vector<double>& values) {
    for (const double value : values) add(value);
  }
};

void add_x(const Panel& panel, Extent& extent) {
  if (panel.contour) extent.add(panel.contour->x);
  for (const Line& line : panel.lines) extent.add(line.x);
  for (const Points& points : panel.points) extent.add(points.x);
  for (const Span& span : panel.spans) extent.add(span.begin), extent.add(span.end);
  for (const Bars& bars : panel.bars)
    for (const double x : bars.x)
      extent.add(x - bar_width(bars) / 2), extent.add(x + bar_width(bars) / 2);
  for (const Reference& reference : panel.references)
    if (reference.along == Reference::Along::vertical) extent.add(reference.at);
}

void add_y(const Panel& panel, Extent& extent) {
  const auto add = [&](const auto& series) {
    extent.add(series.y), extent.add(series.low), extent.add(series.high);
  };
  if (panel.contour) extent.add(panel.contour->y);
  for (const Line& line : panel.lines) {
    add(line);
    if (line.fill) extent.add(0);
  }
  for (const Points& points : panel.points) add(points);
  for (const Bars& bars : panel.bars) add(bars), extent.add(0);
  for (const Reference& reference : panel.references)
    if (reference.along == Reference::Along::horizontal) extent.add(reference.at);
}

bool same_axis(const Axis& a, const Axis& b) {
  return a.label == b.label && a.unit == b.unit && a.scale == b.scale &&
         a.categories == b.categories;
}

template <class Add>
Range common_range(const Figure& figure, const Panel& panel, Axis Panel::*axis, Add add) {
  Extent extent;
  extent.positive_only = (panel.*axis).scale == Scale::log10;
  for (const Panel& other : figure.panels)
    if (&other == &panel || (figure.share_axes && same_axis(other.*axis, panel.*axis)))
      add(other, extent);
  return axis_range(panel.*axis, extent.low, extent.high);
}

double widest(const Ticks& ticks) {
  double width = 0;
  for (const std::string& label : ticks.labels)
    width = std::max(width, text_width(label) * kSmallFont);
  return width;
}

int rows_that_fit(double height) { return std::max(3, static_cast<int>(height / 38)); }

double chosen_height(const Drawing& drawing, const Panel& panel, double plot_width) {
  if (panel.height > 0)
    return drawing.narrow() ? std::min(panel.height, 0.9 * plot_width) : panel.height;
  if (panel.contour) return std::min(plot_width, 460.0);
  if (drawing.figure.panels.size() == 1)
    return std::clamp((drawing.narrow() ? 0.72 : 0.5) * plot_width, 190.0, 340.0);
  return drawing.figure.columns > 1 ? std::clamp(0.68 * plot_width, 110.0, 240.0) : 170;
}

// "layer2.3": names that share the part before the last dot with a neighbour keep the rest as
// tick label, and the shared part becomes a bracket below. None when fewer than two brackets would
// say something.
std::vector<Heatmap::Group> prefix_groups(const std::vector<std::string>& names) {
  std::vector<Heatmap::Group> groups;
  for (size_t i = 0; i < names.size(); ++i) {
    const size_t dot = names[i].rfind('.');
    const std::string prefix = dot == std::string::npos ? "" : names[i].substr(0, dot);
    const auto at = static_cast<int64_t>(i);
    if (!groups.empty() && groups.back().label == prefix) groups.back().end = at + 1;
    else groups.push_back({prefix, at, at + 1});
  }
  std::erase_if(groups,
                [](const Heatmap::Group& g) { return g.label.empty() || g.end - g.begin < 2; });
  return groups.size() >= 2 ? groups : std::vector<Heatmap::Group>{};
}

std::vector<std::string> without_prefixes(std::vector<std::string> names,
                                          const std::vector<Heatmap::Group>& groups) {
  for (const Heatmap::Group& group : groups)
    for (int64_t i = group.begin; i < group.end; ++i) {
      std::string& name = names[static_cast<size_t>(i)];
      name = name.substr(group.label.size() + 1);
    }
  return names;
}

// Whether labels `spacing` apart keep clear of their neighbours.
bool fit_side_by_side(const std::vector<std::string>& labels, double spacing) {
  for (size_t i = 1; i < labels.size(); ++i)
    if ((text_width(labels[i - 1]) + text_width(labels[i])) / 2 * kSmallFont + 6 > spacing)
      return false;
  return true;
}

// Categories stand upright when they fit between their ticks, else turned; thinned when even turned
// text would collide.
void choose_categories(const Panel& panel, PanelLayout& layout) {
  const int n = static_cast<int>(panel.x.categories.size());
  layout.x_groups = prefix_groups(panel.x.categories);
  const std::vector<std::string> names = without_prefixes(panel.x.categories, layout.x_groups);
  layout.x_ticks = category_ticks(names, n);
  if (fit_side_by_side(layout.x_ticks.labels, layout.plot_width / n)) return;
  layout.x_label_angle = -45;
  layout.x_ticks = category_ticks(names, std::max(1, static_cast<int>(layout.plot_width / 15)));
}

void choose_x_ticks(const Panel& panel, PanelLayout& layout) {
  if (!panel.x.categories.empty()) return choose_categories(panel, layout);
  int most = std::clamp(static_cast<int>(layout.plot_width / 64), 2, 10);
  layout.x_ticks = make_ticks(layout.x, panel.x.scale, most);
  const auto room = [&] {
    return static_cast<double>(layout.x_ticks.at.size()) * (widest(layout.x_ticks) + 14);
  };
  while (most > 2 && room() > layout.plot_width)
    layout.x_ticks = make_ticks(layout.x, panel.x.scale, --most);
}

double tick_label_height(const PanelLayout& layout) {
  if (layout.x_label_angle == 0) return 14;
  return std::min(widest(layout.x_ticks), 110.0) * 0.71 + 12;
}

// How far the first turned label reaches to the left of the plot area.
double turned_overhang(const Panel& panel, const PanelLayout& layout) {
  if (layout.x_label_angle == 0) return 0;
  const double spacing = layout.plot_width / static_cast<double>(panel.x.categories.size());
  return std::min(widest(layout.x_ticks), 110.0) * 0.71 - spacing / 2 + 2;
}

double direct_label_width(const Drawing& drawing, const Panel& panel) {
  if (!drawing.direct_labels) return 0;
  double width = 0;
  for (const Line& line : panel.lines) width = std::max(width, text_width(line.name) * kFont);
  return width + 12;
}

}  // namespace

double bar_width(const Bars& bars) {
  if (bars.width > 0) return bars.width;
  double spacing = std::numeric_limits<double>::infinity();
  for (size_t i = 1; i < bars.x.size(); ++i)
    spacing = std::min(spacing, std::abs(bars.x[i] - bars.x[i - 1]));
  return std::isfinite(spacing) && spacing > 0 ? 0.8 * spacing : 0.8;
}

Range x_range(const Figure& figure, const Panel& panel) {
  Range range = common_range(figure, panel, &Panel::x, add_x);
  // Along x the data may touch the frame: air is for y.
  if (panel.bars.empty() && panel.points.empty() && panel.x.categories.empty()) {
    Extent extent;
    extent.positive_only = panel.x.scale == Scale::log10;
    for (const Panel& other : figure.panels)
      if (&other == &panel || (figure.share_axes && same_axis(other.x, panel.x)))
        add_x(other, extent);
    if (extent.low < extent.high)
      range = {panel.x.low.value_or(extent.low), panel.x.high.value_or(extent.high)};
  }
  return range;
}

Range y_range(const Figure& figure, const Panel& panel) {
  Range range = common_range(figure, panel, &Panel::y, add_y);
  if (panel.y.high || panel.y.scale == Scale::log10) return range;
  // A labelled reference at the top edge needs room for its label.
  const double span = range.high - range.low;
  for (const Panel& other : figure.panels)
    for (const Reference& reference : other.references) {
      const bool here = &other == &panel || (figure.share_axes && same_axis(other.y, panel.y));
      const bool labelled =
          reference.along == Reference::Along::horizontal && !reference.label.empty();
      if (here && labelled && reference.at > range.high - 0.12 * span)
        range.high = std::max(range.high, reference.at + 0.13 * span);
    }
  return range;
}

double heading_height(const Panel& panel) {
  return (panel.title.empty() ? 0 : 20) + (axis_title(panel.y).empty() ? 0 : 18) + 4;
}

void draw_heading(Canvas& canvas, const Panel& panel, Point origin, double width) {
  double y = origin.y + 12;
  if (!panel.title.empty()) {
    canvas.text(origin.x, y, fit_title(panel.title, width, kFont + 1), Anchor::start, "title");
    y += 20;
  }
  canvas.text(origin.x, y, fit_text(axis_title(panel.y), width, kFont), Anchor::start, "label");
}

double left_margin(const Drawing& drawing, const Panel& panel, double width) {
  const Range y = y_range(drawing.figure, panel);
  const double height =
      chosen_height(drawing, panel, width - 40 - direct_label_width(drawing, panel));
  const Ticks ticks = panel.y.categories.empty()
                          ? make_ticks(y, panel.y.scale, rows_that_fit(height))
                          : category_ticks(panel.y.categories, static_cast<int>(height / 13));
  return std::min(widest(ticks), 130.0) + kTickGap + 3;
}

PanelLayout measure_panel(const Drawing& drawing, const Panel& panel, double width, double left) {
  PanelLayout layout{.x = x_range(drawing.figure, panel), .y = y_range(drawing.figure, panel)};
  layout.left = left;
  layout.right = std::max(direct_label_width(drawing, panel), 10.0);
  layout.plot_width = width - layout.left - layout.right;
  layout.plot_height = chosen_height(drawing, panel, layout.plot_width);
  layout.y_ticks =
      panel.y.categories.empty()
          ? make_ticks(layout.y, panel.y.scale, rows_that_fit(layout.plot_height))
          : category_ticks(panel.y.categories, static_cast<int>(layout.plot_height / 13));
  // The column's margin was measured on an estimate of the height; these ticks may be a digit
  // wider.
  layout.left = std::max(layout.left, std::min(widest(layout.y_ticks), 130.0) + kTickGap + 3);
  layout.plot_width = width - layout.left - layout.right;
  choose_x_ticks(panel, layout);
  if (const double overhang = turned_overhang(panel, layout); overhang > layout.left) {
    layout.plot_width -= overhang - layout.left;
    layout.left = overhang;
  }
  layout.top = heading_height(panel) + (panel.spans.empty() ? 4 : kStrip + 2);
  if (drawing.own_legends) layout.top += legend_height(width, legend_of(drawing, panel));
  layout.bottom = 6 + tick_label_height(layout) + (layout.x_groups.empty() ? 0 : kBracket) +
                  (axis_title(panel.x).empty() ? 0 : 20);
  return layout;
}

std::string group_label(const std::string& label, double room) {
  const std::string word = label.substr(label.rfind(' ') + 1);
  const std::string numbered = label.substr(0, label.find_last_of("0123456789") + 1);
  const std::string digits = numbered.substr(numbered.find_last_not_of("0123456789") + 1);
  for (const std::string& text : {label, word, numbered, digits})
    if (text_width(text) * kSmallFont <= room - 2) return text;
  return "";
}

void draw_x_groups(Canvas& canvas, const PanelLayout& layout, const Box& plot, const AxisMap& x) {
  const double y = plot.bottom() + 8 + tick_label_height(layout);
  for (const Heatmap::Group& group : layout.x_groups) {
    const double from = x(static_cast<double>(group.begin) - 0.5),
                 to = x(static_cast<double>(group.end) - 0.5);
    canvas.line({from + 2, y}, {to - 2, y}, "axis");
    canvas.text((from + to) / 2, y + 13, group_label(group.label, to - from), Anchor::middle,
                "tick");
  }
}

void draw_axes(Canvas& canvas, const Panel& panel, const PanelLayout& layout, const Box& plot,
               const AxisMap& x, const AxisMap& y) {
  for (size_t i = 0; i < layout.y_ticks.at.size(); ++i) {
    const double at = y(layout.y_ticks.at[i]);
    const bool zero = layout.y_ticks.at[i] == 0 && layout.y.low < 0;
    canvas.line({plot.x, at}, {plot.right(), at}, zero ? "axis" : "grid");
    canvas.text(plot.x - kTickGap, at + 3.8, fit_text(layout.y_ticks.labels[i], 130, kSmallFont),
                Anchor::end, "tick");
  }
  canvas.line({plot.x, plot.bottom()}, {plot.right(), plot.bottom()}, "axis");
  for (const double minor : layout.x_ticks.minor)
    canvas.line({x(minor), plot.bottom()}, {x(minor), plot.bottom() + 2.5}, "axis");
  for (size_t i = 0; i < layout.x_ticks.at.size(); ++i) {
    const double at = x(layout.x_ticks.at[i]);
    if (panel.x.categories.empty())
      canvas.line({at, plot.bottom()}, {at, plot.bottom() + 4}, "axis");
    const std::string label = fit_text(layout.x_ticks.labels[i], 110, kSmallFont);
    if (layout.x_label_angle == 0)
      canvas.text(at, plot.bottom() + 16, label, Anchor::middle, "tick");
    else canvas.text(at + 4, plot.bottom() + 12, label, Anchor::end, "tick", layout.x_label_angle);
  }
  draw_x_groups(canvas, layout, plot, x);
  canvas.text(plot.x + plot.width / 2, plot.bottom() + layout.bottom - 4, axis_title(panel.x),
              Anchor::middle, "label");
}

}  // namespace passband::plot
