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

constexpr double kMargin = 2;

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

// `rough`: three digits.
void append_numbers(std::string& out, const std::vector<double>& values,
                    const std::vector<size_t>* kept = nullptr, bool rough = false) {
  out += '[';
  const size_t n = kept ? kept->size() : values.size();
  for (size_t i = 0; i < n; ++i) {
    const double v = values[kept ? (*kept)[i] : i];
    if (i > 0) out += ',';
    out += !std::isfinite(v) ? "null" : rough ? fmt::format("{:.3g}", v) : fmt::format("{:.5g}", v);
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
  const std::vector<size_t> kept = thinned(series.y, kMostPoints);
  if (out.back() == '}') out += ',';
  out += fmt::format("{{\"name\":{},\"color\":{},\"x\":", json_text(series.name), json_text(color));
  append_numbers(out, series.x, &kept);
  out += ",\"y\":";
  append_numbers(out, series.y, &kept);
  if constexpr (requires { series.labels; }) {
    out += ",\"points\":true";
    if (!series.labels.empty()) out += ",\"labels\":" + json_texts(series.labels);
  }
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
    append_numbers(out, map.values, nullptr, map.values.size() > 400);
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
  const Drawing drawing = drawing_of(figure, options.width);
  const std::vector<LegendEntry> legend = legend_of(drawing);
  Canvas canvas;
  draw_legend(canvas, drawing.width, legend, {});
  double bottom = legend_height(drawing.width, legend);
  const std::vector<PlacedPanel> panels = lay_out(drawing, bottom, bottom);
  for (size_t i = 0; i < panels.size(); ++i) draw_placed(canvas, drawing, i, panels[i]);
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
