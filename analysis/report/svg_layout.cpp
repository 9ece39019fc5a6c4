// Where the panels of a figure lie.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/report/svg_parts.h"
#include "analysis/report/text.h"

namespace passband::plot {
namespace {

constexpr double kBetweenColumns = 26, kBetweenRows = 22;

// Curves are named at their ends when there is one panel with room, few curves, and nothing else
// that needs a legend.
bool names_directly(const Figure& figure, double width) {
  if (!figure.direct_labels || figure.panels.size() != 1 || width < 500) return false;
  const Panel& panel = figure.panels[0];
  if (panel.heatmap || !panel.bars.empty() || !panel.points.empty() || panel.lines.size() < 2 ||
      panel.lines.size() > 6)
    return false;
  const Range range = x_range(figure, panel);
  for (const Line& line : panel.lines) {
    if (line.name.empty() || line.shade || line.fill || line.x.empty() ||
        text_width(line.name) * kFont > 150)
      return false;
    if (*std::max_element(line.x.begin(), line.x.end()) <
        range.high - 0.12 * (range.high - range.low))
      return false;
  }
  return true;
}

// Plots of one row share their upper and, where they are alike, lower edge; returns the row's
// bottom.
double align_row(std::vector<PlacedPanel>& cells, size_t first) {
  double top = 0, bottom = 0, height = cells[first].layout.plot_height;
  for (size_t i = first; i < cells.size(); ++i) {
    top = std::max(top, cells[i].layout.top);
    height = std::min(height, cells[i].layout.plot_height);
  }
  for (size_t i = first; i < cells.size(); ++i) {
    PanelLayout& layout = cells[i].layout;
    layout.top = top;
    // Plots of nearly one height get exactly one; a panel that asked for another height keeps it.
    if (layout.plot_height < 1.25 * height) layout.plot_height = height;
    bottom = std::max(bottom, cells[i].origin.y + cells[i].layout.height());
  }
  return bottom;
}

}  // namespace

Drawing drawing_of(const Figure& figure, double width) {
  Drawing drawing{.figure = figure,
                  .width = width,
                  .id = fmt::format("{}-{}", figure.name, static_cast<int>(width)),
                  .direct_labels = names_directly(figure, width),
                  .panel_keys = figure.panels.size() == 1 || !one_scale(figure)};
  drawing.own_legends = needs_own_legends(drawing);
  return drawing;
}

void draw_placed(Canvas& canvas, const Drawing& drawing, size_t index, const PlacedPanel& placed) {
  if (drawing.figure.panels[index].heatmap)
    draw_heatmap(canvas, drawing, index, placed.layout, placed.origin);
  else draw_panel(canvas, drawing, index, placed.layout, placed.origin);
}

// The plots of one column share their left edge.
std::vector<PlacedPanel> lay_out(const Drawing& drawing, double top, double& bottom) {
  const Figure& figure = drawing.figure;
  const int n = static_cast<int>(figure.panels.size());
  // On a telephone a few panels stand one above the other; many keep two columns.
  const double least = drawing.narrow() && n <= 4 ? 240 : 150;
  const int fit =
      std::max(1, static_cast<int>((drawing.width + kBetweenColumns) / (least + kBetweenColumns)));
  const int columns = std::clamp(std::min(figure.columns, fit), 1, std::max(n, 1));
  const double width = (drawing.width - kBetweenColumns * (columns - 1)) / columns;

  std::vector<double> left(static_cast<size_t>(columns), 0);
  double map_left = 0;  // one for all heatmaps, so that their cells have one size
  for (int i = 0; i < n; ++i) {
    const Panel& panel = figure.panels[static_cast<size_t>(i)];
    double& edge = panel.heatmap ? map_left : left[static_cast<size_t>(i % columns)];
    edge = std::max(
        edge, panel.heatmap ? heatmap_left(*panel.heatmap) : left_margin(drawing, panel, width));
  }
  std::vector<PlacedPanel> cells;
  bottom = top;
  for (int i = 0; i < n; ++i) {
    const Panel& panel = figure.panels[static_cast<size_t>(i)];
    const int column = i % columns;
    if (column == 0 && i > 0) top = bottom + kBetweenRows;
    const PanelLayout layout =
        panel.heatmap ? measure_heatmap(drawing, panel, width, map_left)
                      : measure_panel(drawing, panel, width, left[static_cast<size_t>(column)]);
    cells.push_back({layout, {column * (width + kBetweenColumns), top}});
    if (column == columns - 1 || i == n - 1)
      bottom = align_row(cells, static_cast<size_t>(i - column));
  }
  return cells;
}

}  // namespace passband::plot
