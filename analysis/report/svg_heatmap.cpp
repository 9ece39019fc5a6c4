// Heatmaps: cells as nodes, or as one image above 60 x 60, with labels, stage brackets and a colour
// key.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/report/png.h"
#include "analysis/report/svg_parts.h"
#include "analysis/report/table.h"
#include "analysis/report/text.h"

namespace passband::plot {
namespace {

constexpr double kKeyBar = 10, kLabelCap = 120;
// Cells that are nodes: of a map whose numbers stand in them, or of one that follows the theme.
constexpr int64_t kMostNodes = 24 * 24;

double widest(const std::vector<std::string>& labels) {
  double width = 0;
  for (const std::string& label : labels) width = std::max(width, text_width(label) * kSmallFont);
  return std::min(width, kLabelCap);
}

// Labels of dense maps say nothing beside their stage brackets.
bool shows_labels(const std::vector<std::string>& labels,
                  const std::vector<Heatmap::Group>& groups) {
  return !labels.empty() && (groups.empty() || labels.size() <= 24);
}

double key_width(const Drawing& drawing, const Heatmap& map) {
  if (!drawing.panel_keys) return 4;
  const Range range = value_range(drawing.figure, map);
  const Ticks ticks = make_ticks(range, Scale::linear, 5);
  double width = 0;
  for (const std::string& label : ticks.labels)
    width = std::max(width, text_width(label) * kSmallFont);
  return 16 + kKeyBar + 8 + width;
}

// Column labels stand upright when each fits its column, else they run downwards.
double column_label_height(const Heatmap& map, double cell_width) {
  if (!shows_labels(map.column_labels, map.column_groups)) return 4;
  const double width = widest(map.column_labels);
  return width + 4 <= cell_width ? 18 : width + 10;
}

struct Grid {
  const Heatmap& map;
  Box area;
  double cell_width, cell_height;
  Range range;

  double x(double column) const { return area.x + column * cell_width; }
  // Top edge of the row's cells.
  double y(double row) const {
    return map.origin_bottom ? area.bottom() - (row + 1) * cell_height : area.y + row * cell_height;
  }
  double value(int64_t row, int64_t column) const {
    return map.values[static_cast<size_t>(row * map.columns + column)];
  }
  double share(double v) const {
    return std::clamp((v - range.low) / (range.high - range.low), 0.0, 1.0);
  }
};

void draw_cells(Canvas& canvas, const Grid& grid, const std::string& hatch) {
  canvas.open("shape-rendering=\"crispEdges\"");
  for (int64_t r = 0; r < grid.map.rows; ++r)
    for (int64_t c = 0; c < grid.map.columns; ++c) {
      const double v = grid.value(r, c);
      const Box box{grid.x(static_cast<double>(c)), grid.y(static_cast<double>(r)), grid.cell_width,
                    grid.cell_height};
      canvas.rect(box, std::isfinite(v) ? fill_of(grid.map.map, grid.share(v))
                                        : "fill=\"url(#" + hatch + ")\"");
    }
  canvas.close();
}

bool is_image(const Heatmap& map) {
  const bool nodes = map.show_values || map.map == ColorMap::tint;
  return !nodes || map.rows * map.columns > kMostNodes;
}

void draw_image(Canvas& canvas, const Grid& grid) {
  const Heatmap& map = grid.map;
  const bool tint = map.map == ColorMap::tint;
  std::vector<uint8_t> pixels;
  pixels.reserve(static_cast<size_t>(map.rows * map.columns * 4));
  for (int64_t line = 0; line < map.rows; ++line)
    for (int64_t c = 0; c < map.columns; ++c) {
      const double v = grid.value(map.origin_bottom ? map.rows - 1 - line : line, c);
      const double t = grid.share(v);
      const Rgb color = tint ? kAccentLight : color_of(map.map, t);
      const double alpha = !std::isfinite(v) ? 0 : tint ? t : 1;
      pixels.insert(pixels.end(),
                    {color.r, color.g, color.b, static_cast<uint8_t>(std::lround(255 * alpha))});
    }
  canvas.image(grid.area, png_data_uri(pixels, map.columns, map.rows, 4), true);
}

// The most decimals, up to the wanted ones, with which every value fits its cell; -1: not even
// whole numbers do.
int decimals_that_fit(const Grid& grid) {
  if (grid.cell_height < 13) return -1;
  for (int decimals = grid.map.decimals; decimals >= 0; --decimals) {
    const auto fits = [&](double v) {
      return text_width(format_fixed(v, decimals)) * kSmallFont + 3 <= grid.cell_width;
    };
    if (std::all_of(grid.map.values.begin(), grid.map.values.end(), fits)) return decimals;
  }
  return -1;
}

void draw_values(Canvas& canvas, const Grid& grid) {
  const int decimals = decimals_that_fit(grid);
  if (decimals < 0) return;
  for (int64_t r = 0; r < grid.map.rows; ++r)
    for (int64_t c = 0; c < grid.map.columns; ++c) {
      const double v = grid.value(r, c), t = grid.share(v);
      const std::string label = format_fixed(v, decimals);
      const bool tint = grid.map.map == ColorMap::tint;
      // an empty cell says zero more quietly than a number
      if (!std::isfinite(v) || (tint && v == 0)) continue;
      const std::string_view ink = tint ? (t > 0.55 ? "cell on-tint" : "cell")
                                   : luminance(color_of(grid.map.map, t)) > 0.3 ? "cell on-light"
                                                                                : "cell on-dark";
      canvas.text(grid.x(static_cast<double>(c) + 0.5),
                  grid.y(static_cast<double>(r)) + grid.cell_height / 2 + 4, label, Anchor::middle,
                  ink);
    }
}

void draw_row_labels(Canvas& canvas, const Grid& grid) {
  const auto n = static_cast<int64_t>(grid.map.row_labels.size());
  const auto every = static_cast<int64_t>(std::ceil(12 / grid.cell_height));
  for (int64_t r = 0; r < n; r += every)
    canvas.text(grid.area.x - 6, grid.y(static_cast<double>(r)) + grid.cell_height / 2 + 3.8,
                fit_text(grid.map.row_labels[static_cast<size_t>(r)], kLabelCap, kSmallFont),
                Anchor::end, "tick");
}

void draw_column_labels(Canvas& canvas, const Grid& grid) {
  const auto n = static_cast<int64_t>(grid.map.column_labels.size());
  const bool upright = widest(grid.map.column_labels) + 4 <= grid.cell_width;
  const auto every = upright ? 1 : static_cast<int64_t>(std::ceil(12 / grid.cell_width));
  for (int64_t c = 0; c < n; c += every) {
    const std::string label =
        fit_text(grid.map.column_labels[static_cast<size_t>(c)], kLabelCap, kSmallFont);
    const double x = grid.x(static_cast<double>(c) + 0.5);
    if (upright) canvas.text(x, grid.area.bottom() + 15, label, Anchor::middle, "tick");
    else canvas.text(x + 3.8, grid.area.bottom() + 6, label, Anchor::end, "tick", -90);
  }
}

// Separators inside the map, and named brackets `offset` outside it.
void draw_groups(Canvas& canvas, const Grid& grid, double row_offset, double column_offset) {
  for (const auto& group : grid.map.column_groups) {
    const double from = grid.x(static_cast<double>(group.begin)),
                 to = grid.x(static_cast<double>(group.end));
    const double y = grid.area.bottom() + column_offset;
    if (group.begin > 0) canvas.line({from, grid.area.y}, {from, grid.area.bottom()}, "break");
    canvas.line({from + 1.5, y}, {to - 1.5, y}, "axis");
    canvas.text((from + to) / 2, y + 13, group_label(group.label, to - from), Anchor::middle,
                "tick");
  }
  for (const auto& group : grid.map.row_groups) {
    const double a = grid.map.origin_bottom
                         ? grid.area.bottom() - static_cast<double>(group.begin) * grid.cell_height
                         : grid.area.y + static_cast<double>(group.begin) * grid.cell_height;
    const double b = a + static_cast<double>(group.end - group.begin) * grid.cell_height *
                             (grid.map.origin_bottom ? -1 : 1);
    const double x = grid.area.x - row_offset, top = std::min(a, b), bottom = std::max(a, b);
    if (group.begin > 0) canvas.line({grid.area.x, a}, {grid.area.right(), a}, "break");
    canvas.line({x, top + 1.5}, {x, bottom - 1.5}, "axis");
    canvas.text(x - 5, (top + bottom) / 2, group_label(group.label, bottom - top), Anchor::middle,
                "tick", -90);
  }
}

void draw_vertical_key(Canvas& canvas, const Grid& grid) {
  const double height = std::min(grid.area.height, 220.0);
  const Box bar{grid.area.right() + 16, grid.area.y, kKeyBar, height};
  draw_key(canvas, bar, grid.map.map, true);
  const Ticks ticks = make_ticks(grid.range, Scale::linear, 5);
  for (size_t i = 0; i < ticks.at.size(); ++i) {
    const double y =
        bar.bottom() - (ticks.at[i] - grid.range.low) / (grid.range.high - grid.range.low) * height;
    canvas.line({bar.right(), y}, {bar.right() + 3, y}, "axis");
    canvas.text(bar.right() + 6, y + 3.8, ticks.labels[i], Anchor::start, "tick");
  }
}

std::string draw_hatch(Canvas& canvas, const Drawing& drawing, size_t index) {
  const std::string id = fmt::format("{}-hatch{}", drawing.id, index);
  canvas.raw(fmt::format(
      "<pattern id=\"{}\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" "
      "patternTransform=\"rotate(45)\"><line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"5\" class=\"hatch\" "
      "stroke=\"#5d5d57\"/></pattern>\n",
      id));
  return id;
}

}  // namespace

Range value_range(const Figure& figure, const Heatmap& map) {
  double low = INFINITY, high = -INFINITY;
  for (const Panel& panel : figure.panels) {
    if (!panel.heatmap ||
        (&*panel.heatmap != &map && (!figure.share_axes || panel.heatmap->value != map.value)))
      continue;
    for (const double v : panel.heatmap->values)
      if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  }
  if (!(low <= high)) low = 0, high = 1;
  // white is zero
  if (map.map == ColorMap::diverging) high = std::max(std::abs(low), std::abs(high)), low = -high;
  low = map.low.value_or(low);
  high = map.high.value_or(high);
  return {low, low < high ? high : low + 1};
}

bool one_scale(const Figure& figure) {
  for (const Panel& a : figure.panels)
    for (const Panel& b : figure.panels) {
      if (!a.heatmap || !b.heatmap || a.heatmap->value != b.heatmap->value) continue;
      const Range of_a = value_range(figure, *a.heatmap), of_b = value_range(figure, *b.heatmap);
      if (of_a.low != of_b.low || of_a.high != of_b.high) return false;
    }
  return true;
}

double heatmap_left(const Heatmap& map) {
  return (shows_labels(map.row_labels, map.row_groups) ? widest(map.row_labels) + 10 : 4) +
         (map.row_groups.empty() ? 0 : kBracket);
}

PanelLayout measure_heatmap(const Drawing& drawing, const Panel& panel, double width, double left) {
  const Heatmap& map = *panel.heatmap;
  PanelLayout layout;
  layout.left = left;
  layout.right = key_width(drawing, map);
  const double room = width - layout.left - layout.right;
  // Square cells, unless the map is much longer than it is high; small maps do not fill the page.
  const double cell =
      std::min(room / static_cast<double>(map.columns), map.show_values ? 52.0 : 40.0);
  layout.plot_width = cell * static_cast<double>(map.columns);
  const double tallest = drawing.figure.panels.size() == 1 ? 500 : room;
  layout.plot_height =
      panel.height > 0 ? panel.height : std::min(cell * static_cast<double>(map.rows), tallest);
  const bool square = map.rows == map.columns;
  if (square && panel.height == 0)
    layout.plot_width = layout.plot_height = std::min(layout.plot_width, layout.plot_height);
  if (panel.height == 0 && layout.plot_height < 60)
    layout.plot_height = std::min(60.0, 22.0 * static_cast<double>(map.rows));
  layout.top = heading_height(panel) +
               (axis_title(panel.y).empty() && drawing.panel_keys && !map.value.empty() ? 18 : 4);
  layout.bottom = column_label_height(map, layout.plot_width / static_cast<double>(map.columns)) +
                  (map.column_groups.empty() ? 0 : kBracket) +
                  (axis_title(panel.x).empty() ? 4 : 20);
  return layout;
}

void draw_heatmap(Canvas& canvas, const Drawing& drawing, size_t index, const PanelLayout& layout,
                  Point origin) {
  const Panel& panel = drawing.figure.panels[index];
  const Heatmap& map = *panel.heatmap;
  const Box area{origin.x + layout.left, origin.y + layout.top, layout.plot_width,
                 layout.plot_height};
  const Grid grid{map, area, area.width / static_cast<double>(map.columns),
                  area.height / static_cast<double>(map.rows), value_range(drawing.figure, map)};
  canvas.open(fmt::format("class=\"panel\" data-panel=\"{}\" data-box=\"{} {} {} {}\"{}", index,
                          px(area.x), px(area.y), px(area.width), px(area.height),
                          map.origin_bottom ? " data-up=\"1\"" : ""));
  draw_heading(canvas, panel, origin, layout.left + layout.plot_width + layout.right);
  if (drawing.panel_keys && !map.value.empty())
    canvas.text(area.right() + layout.right - 4, area.y - (axis_title(panel.y).empty() ? 8 : 14),
                map.value, Anchor::end, "label");
  const std::string hatch = draw_hatch(canvas, drawing, index);
  const bool image = is_image(map);
  if (image)
    canvas.rect(area,
                "fill=\"url(#" + hatch + ")\"");  // shows where the image is transparent: no value
  if (image) draw_image(canvas, grid);
  else draw_cells(canvas, grid, hatch);
  canvas.rect(area, "class=\"axis\" stroke=\"#85857d\" stroke-width=\"0.75\" fill=\"none\"");
  if (map.show_values && !image) draw_values(canvas, grid);

  const bool rows = shows_labels(map.row_labels, map.row_groups),
             columns = shows_labels(map.column_labels, map.column_groups);
  if (rows) draw_row_labels(canvas, grid);
  if (columns) draw_column_labels(canvas, grid);
  draw_groups(canvas, grid, rows ? widest(map.row_labels) + 12 : 6,
              columns ? column_label_height(map, grid.cell_width) + 2 : 6);
  canvas.text(area.x + area.width / 2, area.bottom() + layout.bottom - 4, axis_title(panel.x),
              Anchor::middle, "label");
  if (drawing.panel_keys) draw_vertical_key(canvas, grid);
  canvas.close();
}

}  // namespace passband::plot
