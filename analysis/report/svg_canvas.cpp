// SVG primitives: numbers, text, paths, markers, scales.
#include "analysis/report/svg_canvas.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "analysis/report/text.h"

namespace passband::plot {
namespace {

constexpr int kMarkers = 6;

// Closed marker outlines around the origin for a marker of half-width 1 (scaled by the caller).
std::string marker_path(int shape, Point at, double size) {
  const auto polygon = [&](std::initializer_list<Point> points) {
    std::string d;
    for (const Point& p : points)
      d += fmt::format("{}{},{}", d.empty() ? "M" : "L", px(at.x + p.x * size),
                       px(at.y + p.y * size));
    return d + "Z";
  };
  switch (shape % kMarkers) {
    case 1: return polygon({{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}});
    case 2: return polygon({{0, -1.15}, {1.1, 0.85}, {-1.1, 0.85}});
    case 3: return polygon({{0, -1.3}, {1.1, 0}, {0, 1.3}, {-1.1, 0}});
    case 4: return polygon({{0, 1.15}, {1.1, -0.85}, {-1.1, -0.85}});
    case 5:
      return polygon({{-1.1, -0.45},
                      {-0.45, -0.45},
                      {-0.45, -1.1},
                      {0.45, -1.1},
                      {0.45, -0.45},
                      {1.1, -0.45},
                      {1.1, 0.45},
                      {0.45, 0.45},
                      {0.45, 1.1},
                      {-0.45, 1.1},
                      {-0.45, 0.45},
                      {-1.1, 0.45}});
    default:
      return fmt::format("M{},{}a{},{} 0 1,0 {},0a{},{} 0 1,0 {},0Z", px(at.x - size), px(at.y),
                         px(size), px(size), px(2 * size), px(size), px(size), px(-2 * size));
  }
}

std::string titled(std::string_view element, std::string_view attributes, std::string_view title) {
  if (title.empty()) return fmt::format("<{} {}/>", element, attributes);
  return fmt::format("<{} {}><title>{}</title></{}>", element, attributes, escape_xml(title),
                     element.substr(0, element.find(' ')));
}

constexpr std::array<std::string_view, kSeriesColors> kDashes = {
    "", "7 3", "2.5 2.5", "9 3 2 3", "4 2", "12 4", "1.5 3"};

constexpr KindLook kKinds[] = {{"MSA", "M", "msa", 1},
                               {"Conv", "C", "conv", 0},
                               {"Lambda", "L", "lambda", 3},
                               {"MLP", "P", "mlp", 2},
                               {"Subsampling", "\u2193", "sub", 6},
                               {"Other", "", "other", 4}};

}  // namespace

std::string px(double value) {
  std::string text = fmt::format("{:.2f}", value);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

SeriesLook look_of(int index) {
  const int i = ((index % kSeriesColors) + kSeriesColors) % kSeriesColors;
  const std::string color = hex(kSeriesLight[static_cast<size_t>(i)]);
  return {fmt::format("class=\"s{}\" stroke=\"{}\"", i, color),
          fmt::format("class=\"f{}\" fill=\"{}\"", i, color), kDashes[static_cast<size_t>(i)],
          i % kMarkers};
}

SeriesLook shade_look(double shade, ColorMap map) {
  const int step = static_cast<int>(std::lround(std::clamp(shade, 0.0, 1.0) * (kShades - 1)));
  const std::string_view family = map == ColorMap::magma ? "m" : "v";
  const std::string color = hex(color_of(map, 0.9 * step / (kShades - 1)));
  return {fmt::format("class=\"s{}{}\" stroke=\"{}\"", family, step, color),
          fmt::format("class=\"f{}{}\" fill=\"{}\"", family, step, color), "", 0};
}

const KindLook& look_of(Kind kind) { return kKinds[static_cast<size_t>(kind)]; }

void Canvas::text(double x, double y, std::string_view content, Anchor anchor, std::string_view cls,
                  double degrees) {
  if (content.empty()) return;
  const std::string_view where = anchor == Anchor::start    ? ""
                                 : anchor == Anchor::middle ? " text-anchor=\"middle\""
                                                            : " text-anchor=\"end\"";
  const std::string turn =
      degrees == 0 ? "" : fmt::format(" transform=\"rotate({} {} {})\"", px(degrees), px(x), px(y));
  out_ += fmt::format("<text x=\"{}\" y=\"{}\" class=\"{}\"{}{}>{}</text>\n", px(x), px(y), cls,
                      where, turn, escape_xml(content));
}

void Canvas::line(Point a, Point b, std::string_view cls, std::string_view extra) {
  const std::string_view color = cls == "grid" ? "#e3e3e0" : "#77776f";
  out_ +=
      fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" class=\"{}\" stroke=\"{}\" {}/>\n",
                  px(a.x), px(a.y), px(b.x), px(b.y), cls, color, extra);
}

void Canvas::rect(const Box& box, std::string_view attributes, std::string_view title) {
  const std::string all =
      fmt::format("x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" {}", px(box.x), px(box.y),
                  px(std::max(box.width, 0.0)), px(std::max(box.height, 0.0)), attributes);
  out_ += titled("rect", all, title) + "\n";
}

void Canvas::path(std::string_view d, std::string_view attributes) {
  out_ += fmt::format("<path d=\"{}\" {}/>\n", d, attributes);
}

void Canvas::marker(Point at, int shape, std::string_view attributes, std::string_view title,
                    double size) {
  out_ +=
      titled("path", fmt::format("d=\"{}\" {}", marker_path(shape, at, size), attributes), title) +
      "\n";
}

void Canvas::image(const Box& box, std::string_view uri, bool crisp, std::string_view attributes) {
  const std::string_view rendering =
      crisp ? " class=\"crisp\" image-rendering=\"optimizeSpeed\"" : "";
  out_ += fmt::format(
      "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" "
      "preserveAspectRatio=\"none\"{} {} href=\"{}\"/>\n",
      px(box.x), px(box.y), px(box.width), px(box.height), rendering, attributes, uri);
}

void Canvas::open(std::string_view attributes) { out_ += fmt::format("<g {}>\n", attributes); }
void Canvas::close() { out_ += "</g>\n"; }

AxisMap::AxisMap(const Range& range, Scale scale, double at_low, double at_high)
    : range_(range),
      scale_(scale),
      low_(transformed(range.low)),
      span_(transformed(range.high) - low_),
      at_low_(at_low),
      at_span_(at_high - at_low) {}

double AxisMap::transformed(double value) const {
  return scale_ == Scale::log10 ? std::log10(value) : value;
}

double AxisMap::operator()(double value) const {
  return at_low_ + (transformed(value) - low_) / span_ * at_span_;
}

std::vector<size_t> thinned(const std::vector<double>& y, size_t most) {
  std::vector<size_t> kept;
  if (y.size() <= most) {
    for (size_t i = 0; i < y.size(); ++i) kept.push_back(i);
    return kept;
  }
  // Two points a bucket, its least and its greatest, in their order; the very first and last stay.
  const size_t buckets = most / 2 - 1;
  kept.push_back(0);
  for (size_t b = 0; b < buckets; ++b) {
    const size_t begin = 1 + b * (y.size() - 2) / buckets,
                 end = 1 + (b + 1) * (y.size() - 2) / buckets;
    if (begin >= end) continue;
    size_t least = begin, greatest = begin;
    for (size_t i = begin; i < end; ++i) {
      if (y[i] < y[least] || std::isnan(y[i])) least = i;
      if (y[i] > y[greatest]) greatest = i;
    }
    kept.push_back(std::min(least, greatest));
    if (least != greatest) kept.push_back(std::max(least, greatest));
  }
  kept.push_back(y.size() - 1);
  return kept;
}

std::string fill_of(ColorMap map, double t) {
  if (map == ColorMap::tint)
    return fmt::format("class=\"tint\" fill=\"{}\" fill-opacity=\"{}\"", hex(kAccentLight),
                       px(std::clamp(t, 0.0, 1.0)));
  return fmt::format("fill=\"{}\"", hex(color_of(map, t)));
}

void draw_key(Canvas& canvas, const Box& box, ColorMap map, bool vertical) {
  constexpr int steps = 48;
  canvas.open("shape-rendering=\"crispEdges\"");
  for (int i = 0; i < steps; ++i) {
    // hides seams; see-through steps would add up
    const double share = 1.0 / steps, overlap = map == ColorMap::tint ? 0 : 0.5;
    const Box step = vertical ? Box{box.x, box.bottom() - (i + 1) * share * box.height, box.width,
                                    share * box.height + overlap}
                              : Box{box.x + i * share * box.width, box.y,
                                    share * box.width + overlap, box.height};
    canvas.rect(step, fill_of(map, (i + 0.5) * share));
  }
  canvas.close();
}

}  // namespace passband::plot
