// A panel of lines, points and bars with its spans and references.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/report/svg_parts.h"
#include "analysis/report/table.h"
#include "analysis/report/text.h"

namespace passband::plot {

namespace {

// One panel while it is drawn: the plot area, the scales, and where ink already lies.
struct Plot {
  const Drawing& drawing;
  const Panel& panel;
  Box area;
  AxisMap x, y;
  std::vector<Point> ink = {};   // data points in pixels
  std::vector<Box> labels = {};  // text already placed

  bool free(const Box& box) const {
    const auto inside = [&](const Point& p) {
      return p.x > box.x - 3 && p.x < box.right() + 3 && p.y > box.y - 3 && p.y < box.bottom() + 3;
    };
    const auto overlaps = [&](const Box& b) {
      return b.x < box.right() && box.x < b.right() && b.y < box.bottom() && box.y < b.bottom();
    };
    return box.x >= area.x - 1 && box.right() <= area.right() + 12 && box.y >= area.y - 6 &&
           box.bottom() <= area.bottom() && std::none_of(ink.begin(), ink.end(), inside) &&
           std::none_of(labels.begin(), labels.end(), overlaps);
  }
};

std::string point_title(const Plot& plot, const std::string& name, double x, double y,
                        const std::string& label = {}) {
  const auto index = static_cast<size_t>(std::lround(std::max(0.0, x)));
  const auto& categories = plot.panel.x.categories;
  const std::string where = !categories.empty() && index < categories.size()
                                ? categories[index]
                                : fmt::format("{} {}", axis_title(plot.panel.x), format_number(x));
  std::string title = label.empty() ? name : name.empty() ? label : name + ", " + label;
  if (!title.empty()) title += ": ";
  return fmt::format("{}{} at {}", title, format_number(y), where);
}

bool drawable(const Plot& plot, double x, double y) {
  const auto fits = [](const AxisMap& map, double v) {
    return std::isfinite(v) && (map.scale() == Scale::linear || v > 0);
  };
  return fits(plot.x, x) && fits(plot.y, y);
}

// Collects ink along a polyline, so that labels keep clear of the stretches between points too.
void add_ink(Plot& plot, Point from, Point to) {
  const int steps =
      std::clamp(static_cast<int>(std::hypot(to.x - from.x, to.y - from.y) / 6), 1, 60);
  for (int i = 1; i <= steps; ++i) {
    const double t = static_cast<double>(i) / steps;
    plot.ink.push_back({from.x + t * (to.x - from.x), from.y + t * (to.y - from.y)});
  }
}

std::string line_path(Plot& plot, const Line& line) {
  std::string d;
  bool pen_down = false;
  Point last;
  for (const size_t i : thinned(line.y, kMostPoints)) {
    if (!drawable(plot, line.x[i], line.y[i])) {
      pen_down = false;
      continue;
    }
    const Point p{plot.x(line.x[i]), plot.y(line.y[i])};
    d += fmt::format("{}{},{}", pen_down ? "L" : "M", px(p.x), px(p.y));
    if (pen_down) add_ink(plot, last, p);
    else plot.ink.push_back(p);
    last = p;
    pen_down = true;
  }
  return d;
}

// The closed outline between two curves over the same x; `low` empty: down to zero.
std::string area_path(const Plot& plot, const std::vector<double>& x,
                      const std::vector<double>& high, const std::vector<double>& low) {
  std::string d;
  const std::vector<size_t> kept = thinned(high, kMostPoints);
  const double floor =
      plot.y.scale() == Scale::log10 ? plot.y.range().low : std::max(0.0, plot.y.range().low);
  for (const size_t i : kept)
    if (drawable(plot, x[i], high[i]))
      d += fmt::format("{}{},{}", d.empty() ? "M" : "L", px(plot.x(x[i])), px(plot.y(high[i])));
  for (auto i = kept.rbegin(); i != kept.rend(); ++i) {
    const double y = low.empty() ? floor : low[*i];
    if (drawable(plot, x[*i], y)) d += fmt::format("L{},{}", px(plot.x(x[*i])), px(plot.y(y)));
  }
  return d.empty() ? d : d + "Z";
}

void draw_spans(Canvas& canvas, const Plot& plot) {
  constexpr double strip = 13;
  for (const Span& span : plot.panel.spans) {
    const double from = plot.x(std::max(span.begin, plot.x.range().low)),
                 to = plot.x(std::min(span.end, plot.x.range().high));
    if (to <= from) continue;
    const KindLook& kind = look_of(span.kind);
    const std::string fill = look_of(kind.series).fill;
    canvas.rect({from, plot.area.y, to - from, plot.area.height}, fill + " fill-opacity=\"0.07\"");
    canvas.rect({from + 0.5, plot.area.y - strip - 2, std::max(to - from - 1, 0.6), strip},
                fill + " fill-opacity=\"0.22\"",
                span.label.empty() ? kind.name : std::string_view(span.label));
    if (to - from > text_width(kind.letter) * 10 + 2)
      canvas.text((from + to) / 2, plot.area.y - 5, kind.letter, Anchor::middle, "strip");
  }
}

void whisker(Canvas& canvas, Plot& plot, double x, double low, double high) {
  if (!drawable(plot, plot.x.range().low, low) || !drawable(plot, plot.x.range().low, high)) return;
  const double top = plot.y(high), bottom = plot.y(low);
  canvas.path(
      fmt::format("M{0},{1}V{2}M{3},{1}h6M{3},{2}h6", px(x), px(top), px(bottom), px(x - 3)),
      "class=\"rule\" stroke=\"#5d5d57\" fill=\"none\"");
  add_ink(plot, {x, top}, {x, bottom});
}

void draw_bars(Canvas& canvas, Plot& plot) {
  const auto groups = static_cast<double>(plot.panel.bars.size());
  for (size_t g = 0; g < plot.panel.bars.size(); ++g) {
    const Bars& bars = plot.panel.bars[g];
    const std::string_view opacity = bars.low.empty()
                                         ? " fill-opacity=\"0.72\""
                                         : " fill-opacity=\"0.4\"";  // keeps intervals legible
    const double whole = bar_width(bars), part = whole / groups;
    for (size_t i = 0; i < bars.x.size(); ++i) {
      if (!drawable(plot, bars.x[i], bars.y[i])) continue;
      const SeriesLook look =
          look_of(bars.kinds.empty() ? style_of(bars.style, g) : look_of(bars.kinds[i]).series);
      const double left = bars.x[i] - whole / 2 + part * static_cast<double>(g);
      const double from = plot.x(left), to = plot.x(left + part);
      const double base = plot.y(std::clamp(0.0, plot.y.range().low, plot.y.range().high)),
                   tip = plot.y(bars.y[i]);
      canvas.rect({from, std::min(base, tip), std::max(to - from - (groups > 1 ? 1 : 0), 0.5),
                   std::abs(base - tip)},
                  look.fill + std::string(opacity),
                  point_title(plot, bars.name, bars.x[i], bars.y[i]));
      if (!bars.low.empty()) whisker(canvas, plot, (from + to) / 2, bars.low[i], bars.high[i]);
      plot.ink.push_back({(from + to) / 2, tip});
    }
  }
}

void draw_bands(Canvas& canvas, const Plot& plot) {
  for (size_t i = 0; i < plot.panel.lines.size(); ++i) {
    const Line& line = plot.panel.lines[i];
    const std::string fill = look_of(plot.drawing.figure, line, i).fill;
    if (!line.low.empty())
      canvas.path(area_path(plot, line.x, line.high, line.low), fill + " fill-opacity=\"0.16\"");
    if (line.fill)
      canvas.path(area_path(plot, line.x, line.y, {}), fill + " fill-opacity=\"0.18\"");
  }
}

void draw_lines(Canvas& canvas, Plot& plot) {
  for (size_t i = 0; i < plot.panel.lines.size(); ++i) {
    const Line& line = plot.panel.lines[i];
    const SeriesLook look = look_of(plot.drawing.figure, line, i);
    std::string attributes =
        look.stroke + " fill=\"none\" stroke-width=\"" + (line.faint ? "1" : "1.75") + "\"";
    attributes.insert(attributes.find("class=\"") + 7, line.faint ? "line faint " : "line ");
    if (!look.dash.empty() && !has_markers(line))
      attributes += fmt::format(" stroke-dasharray=\"{}\"", look.dash);
    canvas.path(line_path(plot, line), attributes);
    if (!has_markers(line)) continue;
    for (size_t k = 0; k < line.x.size(); ++k)
      if (drawable(plot, line.x[k], line.y[k]))
        canvas.marker({plot.x(line.x[k]), plot.y(line.y[k])}, look.marker, look.fill,
                      point_title(plot, line.name, line.x[k], line.y[k]), 2.9);
  }
}

// Beside the point where there is room: right, left, above, below.
void label_point(Canvas& canvas, Plot& plot, Point at, const std::string& label) {
  const double width = text_width(label) * kSmallFont;
  struct Place {
    double dx, dy;
    Anchor anchor;
    double left;
  };
  const Place places[] = {{7, 4, Anchor::start, 7},
                          {-7, 4, Anchor::end, -7 - width},
                          {0, -7, Anchor::middle, -width / 2},
                          {0, 15, Anchor::middle, -width / 2}};
  for (const Place& place : places) {
    const Box box{at.x + place.left, at.y + place.dy - 9, width, 11};
    if (!plot.free(box)) continue;
    canvas.text(at.x + place.dx, at.y + place.dy, label, place.anchor, "note halo");
    plot.labels.push_back(box);
    return;
  }
}

void draw_points(Canvas& canvas, Plot& plot) {
  for (const Points& points : plot.panel.points)
    for (size_t i = 0; i < points.x.size(); ++i)
      if (drawable(plot, points.x[i], points.y[i]))
        plot.ink.push_back({plot.x(points.x[i]), plot.y(points.y[i])});
  for (size_t s = 0; s < plot.panel.points.size(); ++s) {
    const Points& points = plot.panel.points[s];
    const SeriesLook look = look_of(style_of(points.style, s));
    const bool crowded = points.x.size() > 200;
    const double size = crowded ? 2.2 : 3.8;
    canvas.open(crowded ? "class=\"crowd\""
                        : "class=\"rim\"");  // a rim of paper keeps points apart
    for (size_t i = 0; i < points.x.size(); ++i) {
      if (!drawable(plot, points.x[i], points.y[i])) continue;
      const Point at{plot.x(points.x[i]), plot.y(points.y[i])};
      const std::string label = points.labels.empty() ? "" : points.labels[i];
      if (!points.low.empty()) whisker(canvas, plot, at.x, points.low[i], points.high[i]);
      canvas.marker(at, look.marker, look.fill + (crowded ? " fill-opacity=\"0.5\"" : ""),
                    point_title(plot, points.name, points.x[i], points.y[i], label), size);
      if (points.label_points && !label.empty()) label_point(canvas, plot, at, label);
    }
    canvas.close();
  }
}

void draw_reference_line(Canvas& canvas, const Plot& plot, const Reference& reference) {
  constexpr std::string_view dashed = "stroke-dasharray=\"4 3\"";
  const Box& area = plot.area;
  if (reference.along == Reference::Along::horizontal)
    canvas.line({area.x, plot.y(reference.at)}, {area.right(), plot.y(reference.at)}, "rule",
                dashed);
  else if (reference.along == Reference::Along::vertical)
    canvas.line({plot.x(reference.at), area.y}, {plot.x(reference.at), area.bottom()}, "rule",
                dashed);
  else {
    const double low = std::max(plot.x.range().low, plot.y.range().low),
                 high = std::min(plot.x.range().high, plot.y.range().high);
    canvas.line({plot.x(low), plot.y(low)}, {plot.x(high), plot.y(high)}, "rule", dashed);
  }
}

// The first place along the line that covers no data; the last resort is its far end. Diagonals
// stand in the legend.
void draw_reference_label(Canvas& canvas, Plot& plot, const Reference& reference) {
  if (reference.label.empty() || reference.along == Reference::Along::diagonal) return;
  const double width = text_width(reference.label) * kSmallFont;
  const Box& area = plot.area;
  std::vector<Point> places;                                // baseline starts
  for (const double share : {1.0, 0.0, 0.5, 0.75, 0.25}) {  // right before left, top before bottom
    if (reference.along == Reference::Along::horizontal) {
      const double x = area.x + 4 + share * (area.width - width - 8);
      places.push_back({x, plot.y(reference.at) - 5});
      places.push_back({x, plot.y(reference.at) + 13});
    } else {
      const double y = area.y + 12 + (1 - share) * (area.height - 20);
      places.push_back({plot.x(reference.at) + 5, y});
      places.push_back({plot.x(reference.at) - 5 - width, y});
    }
  }
  const auto box_at = [&](const Point& p) { return Box{p.x, p.y - 9, width, 11}; };
  const auto found = std::find_if(places.begin(), places.end(),
                                  [&](const Point& p) { return plot.free(box_at(p)); });
  const Point at = found == places.end() ? places.front() : *found;
  canvas.text(at.x, at.y, reference.label, Anchor::start, "note halo");
  plot.labels.push_back(box_at(at));
}

// Names at the right ends of the curves, pushed apart where they would touch, with a hairline where
// one moved.
void draw_direct_labels(Canvas& canvas, const Plot& plot) {
  struct Label {
    double end_x, end_y, y;
    const std::string* name;
  };
  std::vector<Label> labels;
  for (const Line& line : plot.panel.lines)
    for (size_t i = line.x.size(); i-- > 0;)
      if (drawable(plot, line.x[i], line.y[i])) {
        labels.push_back({plot.x(line.x[i]), plot.y(line.y[i]), plot.y(line.y[i]), &line.name});
        break;
      }
  std::sort(labels.begin(), labels.end(),
            [](const Label& a, const Label& b) { return a.end_y < b.end_y; });
  constexpr double spacing = 15;
  for (int round = 0; round < 60; ++round)
    for (size_t i = 1; i < labels.size(); ++i) {
      const double overlap = labels[i - 1].y + spacing - labels[i].y;
      if (overlap > 0) labels[i - 1].y -= overlap / 2, labels[i].y += overlap / 2;
    }
  for (const Label& label : labels) {
    const double x = plot.area.right() + 9;
    if (std::abs(label.y - label.end_y) > 5 || label.end_x < plot.area.right() - 4)
      canvas.line({label.end_x + 4, label.end_y}, {x - 2, label.y}, "rule",
                  "stroke-width=\"0.75\"");
    canvas.text(x, label.y + 4, *label.name, Anchor::start, "direct");
  }
}

void draw_marks(Canvas& canvas, Plot& plot, const std::string& clip) {
  canvas.raw(fmt::format(
      "<clipPath id=\"{}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n", clip,
      px(plot.area.x - 5), px(plot.area.y - 5), px(plot.area.width + 10),
      px(plot.area.height + 6)));
  canvas.open(fmt::format("clip-path=\"url(#{})\"", clip));
  if (plot.panel.contour) draw_contour(canvas, *plot.panel.contour, plot.x, plot.y, plot.area);
  draw_bars(canvas, plot);
  draw_bands(canvas, plot);
  for (const Reference& reference : plot.panel.references)
    draw_reference_line(canvas, plot, reference);
  draw_lines(canvas, plot);
  draw_points(canvas, plot);
  canvas.close();
}

}  // namespace

bool has_markers(const Line& line) {
  return line.x.size() <= 40 && !line.fill && !line.faint && !line.shade;
}

int style_of(int style, size_t position) { return style >= 0 ? style : static_cast<int>(position); }

SeriesLook look_of(const Figure& figure, const Line& line, size_t position) {
  return line.shade ? shade_look(*line.shade, figure.shade.map)
                    : look_of(style_of(line.style, position));
}

void draw_panel(Canvas& canvas, const Drawing& drawing, size_t index, const PanelLayout& layout,
                Point origin) {
  const Panel& panel = drawing.figure.panels[index];
  const Box area{origin.x + layout.left, origin.y + layout.top, layout.plot_width,
                 layout.plot_height};
  Plot plot{drawing, panel, area, AxisMap(layout.x, panel.x.scale, area.x, area.right()),
            AxisMap(layout.y, panel.y.scale, area.bottom(), area.y)};
  canvas.open(fmt::format(
      "class=\"panel\" data-panel=\"{}\" data-box=\"{} {} {} "
      "{}\" data-x=\"{} {}\" data-y=\"{} {}\"",
      index, px(area.x), px(area.y), px(area.width), px(area.height), exact_number(layout.x.low),
      exact_number(layout.x.high), exact_number(layout.y.low), exact_number(layout.y.high)));
  draw_heading(canvas, panel, origin, layout.left + layout.plot_width + layout.right);
  if (drawing.own_legends)
    draw_legend(canvas, layout.left + layout.plot_width + layout.right, legend_of(drawing, panel),
                {origin.x, origin.y + heading_height(panel)});
  draw_spans(canvas, plot);
  draw_axes(canvas, panel, layout, area, plot.x, plot.y);
  draw_marks(canvas, plot, fmt::format("{}-clip{}", drawing.id, index));
  for (const Reference& reference : panel.references) draw_reference_label(canvas, plot, reference);
  if (drawing.direct_labels) draw_direct_labels(canvas, plot);
  canvas.close();
}

}  // namespace passband::plot
