// Puts a drawing together: legend, then panels in rows, then pictures; and the hover data that go
// with it.
#include "analysis/report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/report/svg_parts.h"
#include "analysis/report/svg_theme.h"
#include "analysis/report/text.h"
#include "tensor/core/utf8.h"

namespace passband::plot {
namespace {

constexpr double kBetweenColumns = 26, kBetweenRows = 22, kMargin = 2;

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

struct Cell {
  PanelLayout layout;
  Point origin;
};

// Plots of one row share their upper and, where they are alike, lower edge; returns the row's
// bottom.
double align_row(std::vector<Cell>& cells, size_t first) {
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

// Lays the panels out in rows of equal columns; the plots of one column share their left edge.
std::vector<Cell> lay_out(const Drawing& drawing, double top, double& bottom) {
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
  std::vector<Cell> cells;
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

std::string opening(const Figure& figure, const SvgOptions& options, double height,
                    const std::string& id) {
  const double margin = options.standalone ? 12 : kMargin, above = options.standalone ? 12 : 0;
  const Box page{-margin, -above, options.width + 2 * margin, height + 2 * above};
  const std::string place = fmt::format(R"(x="{}" y="{}" width="{}" height="{}")", px(page.x),
                                        px(page.y), px(page.width), px(page.height));
  std::string out = options.standalone ? "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" : "";
  out += R"(<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img")";
  if (options.standalone)
    out += fmt::format(R"( width="{}" height="{}")", px(page.width), px(page.height));
  out += fmt::format(R"( viewBox="{} {} {} {}" aria-labelledby="{}-t {}-d")", px(page.x),
                     px(page.y), px(page.width), px(page.height), id, id);
  out += R"( font-family="Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif")"
         R"( font-size="12">)";
  out += fmt::format("\n<title id=\"{}-t\">{}</title>\n<desc id=\"{}-d\">{}</desc>\n", id,
                     escape_xml(figure.title), id,
                     escape_xml(figure.alt.empty() ? figure.title : figure.alt));
  if (options.standalone)
    out += fmt::format("<style>{}</style>\n<rect class=\"paper\" {} fill=\"#fff\"/>\n",
                       theme_rules("svg.fig"), place);
  return out;
}

void append_numbers(std::string& out, const std::vector<double>& values,
                    const std::vector<size_t>* kept = nullptr) {
  out += '[';
  const size_t n = kept ? kept->size() : values.size();
  for (size_t i = 0; i < n; ++i) {
    const double v = values[kept ? (*kept)[i] : i];
    if (i > 0) out += ',';
    out += std::isfinite(v) ? fmt::format("{:.5g}", v) : "null";
  }
  out += ']';
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : to_utf8(text)) {
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    else out += c;
  }
  return out + '"';
}

std::string json_texts(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() > 1 ? "," : "") + json_text(text);
  return out + "]";
}

std::string json_axis(const Axis& axis) {
  return fmt::format("{{\"label\":{},\"unit\":{},\"log\":{},\"categories\":{}}}",
                     json_text(axis.label), json_text(axis.unit), axis.scale == Scale::log10,
                     json_texts(axis.categories));
}

template <class Series>
void append_series(std::string& out, const Series& series, const std::string& color) {
  const std::vector<size_t> kept = thinned(series.y, 2000);
  if (out.back() == '}') out += ',';
  out += fmt::format("{{\"name\":{},\"color\":{},\"x\":", json_text(series.name), json_text(color));
  append_numbers(out, series.x, &kept);
  out += ",\"y\":";
  append_numbers(out, series.y, &kept);
  if constexpr (requires { series.labels; })
    if (!series.labels.empty()) out += ",\"labels\":" + json_texts(series.labels);
  out += '}';
}

std::string class_of(const SeriesLook& look) {
  const size_t begin = look.fill.find('"') + 1;
  return look.fill.substr(begin, look.fill.find('"', begin) - begin);
}

std::string json_panel(const Figure& figure, const Panel& panel) {
  std::string out = fmt::format("{{\"title\":{},\"x\":{},\"y\":{}", json_text(panel.title),
                                json_axis(panel.x), json_axis(panel.y));
  if (panel.heatmap) {
    const Heatmap& map = *panel.heatmap;
    out += fmt::format(
        ",\"heatmap\":{{\"rows\":{},\"columns\":{},\"value\":{},\"row_labels\":{},\"column_"
        "labels\":{},"
        "\"values\":",
        map.rows, map.columns, json_text(map.value), json_texts(map.row_labels),
        json_texts(map.column_labels));
    append_numbers(out, map.values);
    return out + "}}";
  }
  out += ",\"series\":[";
  for (size_t i = 0; i < panel.bars.size(); ++i)
    append_series(out, panel.bars[i], class_of(look_of(style_of(panel.bars[i].style, i))));
  for (size_t i = 0; i < panel.lines.size(); ++i)
    append_series(out, panel.lines[i], class_of(look_of(figure, panel.lines[i], i)));
  for (size_t i = 0; i < panel.points.size(); ++i)
    append_series(out, panel.points[i], class_of(look_of(style_of(panel.points[i].style, i))));
  return out + "]}";
}

}  // namespace

std::string render_svg(const Figure& figure, const SvgOptions& options) {
  check(figure);
  const Drawing drawing{.figure = figure,
                        .width = options.width,
                        .id = fmt::format("{}-{}", figure.name, static_cast<int>(options.width)),
                        .direct_labels = names_directly(figure, options.width),
                        .panel_keys = figure.panels.size() == 1 || !one_scale(figure)};
  const std::vector<LegendEntry> legend = legend_of(drawing);
  Canvas canvas;
  draw_legend(canvas, drawing, legend, 0);
  double bottom = legend_height(drawing, legend);
  const std::vector<Cell> cells = lay_out(drawing, bottom, bottom);
  for (size_t i = 0; i < cells.size(); ++i) {
    if (figure.panels[i].heatmap)
      draw_heatmap(canvas, drawing, i, cells[i].layout, cells[i].origin);
    else draw_panel(canvas, drawing, i, cells[i].layout, cells[i].origin);
  }
  draw_pictures(canvas, drawing, bottom);
  bottom += pictures_height(drawing);
  return opening(figure, options, bottom + 4, drawing.id) + canvas.take() + "</svg>\n";
}

std::string hover_json(const Figure& figure) {
  std::string out = "{\"panels\":[";
  for (size_t i = 0; i < figure.panels.size(); ++i)
    out += (i > 0 ? "," : "") + json_panel(figure, figure.panels[i]);
  return out + "]}";
}

}  // namespace passband::plot
