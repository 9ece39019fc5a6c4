// The parts of a drawing: legend, panels, heatmaps, picture grids. Each measures itself first, then
// draws.
#pragma once
#include <string>
#include <vector>

#include "analysis/report/figure.h"
#include "analysis/report/svg_canvas.h"

namespace passband::plot {

constexpr double kBracket = 20;  // height of the brackets that gather labels into groups

// What all parts of one drawing need to know.
struct Drawing {
  const Figure& figure;
  double width = 720;
  std::string id = {};         // prefix of element ids, unique on the page
  bool direct_labels = false;  // curves are named at their right end
  bool panel_keys = false;     // each heatmap draws its own colour key; else the legend has one
  bool own_legends = false;    // looks mean other things in other panels: each has a legend
  bool narrow() const { return width < 500; }
};

struct LegendEntry {
  enum class Mark { line, point, bar, area, span, diagonal, key } mark = Mark::line;
  std::string label = {};
  SeriesLook look = {};
  bool markers = false;
  Kind kind = Kind::other;
  ColorMap map = ColorMap::viridis;  // key
  std::string low = {}, high = {};   // key: the texts at its ends
};

// Entries for what the drawing does not name directly; empty when a single series needs no name.
std::vector<LegendEntry> legend_of(const Drawing& drawing);
// Those of a panel that has its own.
std::vector<LegendEntry> legend_of(const Drawing& drawing, const Panel& panel);
// Whether one look of series means different things in two panels.
bool needs_own_legends(const Drawing& drawing);
// Width of an entry, height of entries wrapped to a width.
double entry_width(const LegendEntry& entry);
double legend_height(double width, const std::vector<LegendEntry>& entries);
void draw_legend(Canvas& canvas, double width, const std::vector<LegendEntry>& entries,
                 Point origin);

// The space a panel needs around its plot area, and what it decided while measuring.
struct PanelLayout {
  Range x, y;
  Ticks x_ticks = {}, y_ticks = {};
  double left = 0, right = 0, top = 0, bottom = 0, plot_width = 0, plot_height = 0;
  double x_label_angle = 0;
  // brackets below the tick labels: common beginnings of category names
  std::vector<Heatmap::Group> x_groups = {};
  double height() const { return top + plot_height + bottom; }
};

// A panel and where it lies.
struct PlacedPanel {
  PanelLayout layout;
  Point origin;
  double width() const { return layout.left + layout.plot_width + layout.right; }
};
Drawing drawing_of(const Figure& figure, double width);
// In rows of equal columns from `top` on; sets the lower end.
std::vector<PlacedPanel> lay_out(const Drawing& drawing, double top, double& bottom);
void draw_placed(Canvas& canvas, const Drawing& drawing, size_t index, const PlacedPanel& placed);

// The common data ranges of a figure's panels (or a panel's own, where axes differ).
Range x_range(const Figure& figure, const Panel& panel);
Range y_range(const Figure& figure, const Panel& panel);

PanelLayout measure_panel(const Drawing& drawing, const Panel& panel, double width, double left);
double left_margin(const Drawing& drawing, const Panel& panel, double width);
void draw_panel(Canvas& canvas, const Drawing& drawing, size_t index, const PanelLayout& layout,
                Point origin);

void draw_axes(Canvas& canvas, const Panel& panel, const PanelLayout& layout, const Box& plot,
               const AxisMap& x, const AxisMap& y);

// The label, what follows its last space ("stage 3": "3"), what ends with its last number
// ("stages.2.blocks": "stages.2"), that number, or nothing: the first that fits `room` pixels.
std::string group_label(const std::string& label, double room);

double heatmap_left(const Heatmap& map);
PanelLayout measure_heatmap(const Drawing& drawing, const Panel& panel, double width, double left);
void draw_heatmap(Canvas& canvas, const Drawing& drawing, size_t index, const PanelLayout& layout,
                  Point origin);
// The range of a heatmap's colours; common to the panels that show the same value.
Range value_range(const Figure& figure, const Heatmap& map);
// Whether the heatmaps that show the same value have the same range: then one key explains them.
bool one_scale(const Figure& figure);

// The levels inside a panel whose axes are drawn already.
void draw_contour(Canvas& canvas, const Contour& contour, const AxisMap& x, const AxisMap& y,
                  const Box& area);

// The largest finite value of a picture's map, 0 at least.
double largest(const Picture& picture);
// 8 bits a pixel, by the luma of ITU-R BT.601.
std::vector<uint8_t> grey_of(const Picture& picture);
// A map over a picture, relative to its largest value, of its own resolution: transparent where it
// is zero.
std::string overlay_uri(const Picture& picture, ColorMap map);
// The outline of the quarter of places where the map is largest, in units of the picture; empty
// where the map is flat.
std::string top_quarter_path(const Picture& picture, const Box& box);
// The picture alone, in the middle of the box; its caption, marked where the answer is wrong.
void draw_pixels(Canvas& canvas, ColorMap map, const Picture& picture, const Box& box);
std::string picture_caption(const Picture& picture);

double pictures_height(const Drawing& drawing);
void draw_pictures(Canvas& canvas, const Drawing& drawing, double top);

// Whether a line shows its points: few enough to be told apart.
bool has_markers(const Line& line);
// The look of series number `position` of its panel.
SeriesLook look_of(const Figure& figure, const Line& line, size_t position);
int style_of(int style, size_t position);
// Width of a bar (or of a group of bars) in data units.
double bar_width(const Bars& bars);

// Title and y-axis title above a plot, and the x-axis title below it: shared by panels and
// heatmaps.
double heading_height(const Panel& panel);
void draw_heading(Canvas& canvas, const Panel& panel, Point origin, double width);

}  // namespace passband::plot
