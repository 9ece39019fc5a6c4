// Drawing primitives of the SVG writer, and the vocabulary its parts share.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "analysis/report/color.h"
#include "analysis/report/figure.h"
#include "analysis/report/ticks.h"

namespace passband::plot {

struct Point {
  double x = 0, y = 0;
};

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  double right() const { return x + width; }
  double bottom() const { return y + height; }
};

inline constexpr double kFont = 12, kSmallFont = 11, kLineHeight = 16;

// How series `index` looks: colour class, dash pattern and marker, so that colour never carries the
// meaning alone.
struct SeriesLook {
  std::string stroke, fill;  // attributes: class and literal colour
  std::string_view dash;     // stroke-dasharray, empty: solid
  int marker = 0;
};
SeriesLook look_of(int index);

// The look of a line coloured by `shade` in 0..1: one of kShades theme colours.
inline constexpr int kShades = 24;
SeriesLook shade_look(double shade, ColorMap map);

// What a kind of block is called, its letter in the strip above the plot, and its colour
// attributes.
struct KindLook {
  std::string_view name, letter, symbol;  // symbol: class suffix
  int series;
};
const KindLook& look_of(Kind kind);

// A number with at most two decimals and no trailing zeros.
std::string px(double value);

enum class Anchor { start, middle, end };

class Canvas {
 public:
  // Text of class `cls` ("tick", "label", ...) with its baseline at (x, y), optionally turned by
  // `degrees` about it.
  void text(double x, double y, std::string_view content, Anchor anchor, std::string_view cls,
            double degrees = 0);
  // Straight line of class `cls` ("grid", "axis", "rule").
  void line(Point a, Point b, std::string_view cls, std::string_view extra = {});
  // Rectangle with `attributes`, and a title for hover when given.
  void rect(const Box& box, std::string_view attributes, std::string_view title = {});
  void path(std::string_view d, std::string_view attributes);
  // Marker number `shape` at a point, with a title for hover when given.
  void marker(Point at, int shape, std::string_view attributes, std::string_view title = {},
              double size = 3.2);
  void image(const Box& box, std::string_view uri, bool crisp, std::string_view attributes = {});
  void open(std::string_view attributes);  // <g ...>
  void close();                            // </g>
  void raw(std::string_view markup) { out_ += markup; }

  const std::string& markup() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// Data units to pixels.
class AxisMap {
 public:
  AxisMap(const Range& range, Scale scale, double at_low, double at_high);
  double operator()(double value) const;
  const Range& range() const { return range_; }
  Scale scale() const { return scale_; }

 private:
  double transformed(double value) const;
  Range range_;
  Scale scale_;
  double low_, span_, at_low_, at_span_;
};

inline constexpr size_t kMostPoints = 800;  // of a line as it is drawn and read

// A line's point indices, thinned to about `most` while keeping each bucket's extremes, so that no
// peak is lost.
std::vector<size_t> thinned(const std::vector<double>& y, size_t most);

// The colour key of a map as a strip of steps, along x or (from the bottom up) along y.
void draw_key(Canvas& canvas, const Box& box, ColorMap map, bool vertical);

// Attributes of the colour of `t` in a map; `tint` follows the theme.
std::string fill_of(ColorMap map, double t);

}  // namespace passband::plot
