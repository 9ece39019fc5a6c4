// Tables from figures, and CSV.
#include "analysis/report/table.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "analysis/report/contour.h"
#include "analysis/report/text.h"
#include "tensor/core/utf8.h"

namespace passband::plot {
namespace {

using Format = std::function<std::string(double)>;

// Categories stand at integer positions; everything else is a number.
std::string x_text(const Axis& axis, double x, const Format& format) {
  const auto index = static_cast<size_t>(std::lround(std::max(0.0, x)));
  if (!axis.categories.empty() && index < axis.categories.size() && x == static_cast<double>(index))
    return axis.categories[index];
  return format(x);
}

std::string label_at(const std::vector<std::string>& labels, int64_t i) {
  return labels.empty() ? std::to_string(i) : labels[static_cast<size_t>(i)];
}

// The axis title that all panels share, else `fallback`.
std::string common_title(const Figure& figure, Axis Panel::*axis, const std::string& fallback) {
  std::string title;
  for (const Panel& panel : figure.panels) {
    const std::string here = axis_title(panel.*axis);
    if (here.empty() || (!title.empty() && here != title)) return fallback;
    title = here;
  }
  return title;
}

bool only_heatmaps(const Figure& figure) {
  for (const Panel& panel : figure.panels)
    if (!panel.heatmap) return false;
  return !figure.panels.empty();
}

struct Series {
  const std::string* name;
  const std::vector<double>*x, *y, *low, *high;
  const std::vector<std::string>* labels = nullptr;
};

std::vector<Series> series_of(const Panel& panel) {
  std::vector<Series> all;
  for (const Bars& b : panel.bars) all.push_back({&b.name, &b.x, &b.y, &b.low, &b.high});
  for (const Line& l : panel.lines) all.push_back({&l.name, &l.x, &l.y, &l.low, &l.high});
  for (const Points& p : panel.points)
    all.push_back({&p.name, &p.x, &p.y, &p.low, &p.high, &p.labels});
  return all;
}

struct TidyColumns {
  bool panel = false, intervals = false, labels = false;
};

void append_heatmap(const Heatmap& map, const std::string& panel, const TidyColumns& shown,
                    bool alone, const Format& format, Table& table) {
  for (int64_t r = 0; r < map.rows; ++r)
    for (int64_t c = 0; c < map.columns; ++c) {
      std::vector<std::string> row;
      if (shown.panel) row.push_back(panel);
      row.insert(row.end(), {label_at(map.row_labels, r), label_at(map.column_labels, c),
                             format(map.values[static_cast<size_t>(r * map.columns + c)])});
      if (!alone) row.resize(table.columns.size());
      table.rows.push_back(std::move(row));
    }
}

void append_series(const Panel& panel, const TidyColumns& shown, const Format& format,
                   Table& table) {
  for (const Series& series : series_of(panel))
    for (size_t i = 0; i < series.x->size(); ++i) {
      std::vector<std::string> row;
      if (shown.panel) row.push_back(panel.title);
      row.insert(row.end(),
                 {*series.name, x_text(panel.x, (*series.x)[i], format), format((*series.y)[i])});
      if (shown.intervals) {
        row.push_back(series.low->empty() ? "" : format((*series.low)[i]));
        row.push_back(series.high->empty() ? "" : format((*series.high)[i]));
      }
      if (shown.labels)
        row.push_back(series.labels && !series.labels->empty() ? (*series.labels)[i] : "");
      table.rows.push_back(std::move(row));
    }
}

// The values of a map under the texts that name its picture.
void append_overlay(const Picture& picture, const std::vector<std::string>& named,
                    const Format& format, Table& table) {
  for (int64_t y = 0; y < picture.overlay_height; ++y)
    for (int64_t x = 0; x < picture.overlay_width; ++x) {
      std::vector<std::string> row = named;
      const auto at = static_cast<size_t>(y * picture.overlay_width + x);
      row.insert(row.end(), {std::to_string(y), std::to_string(x), format(picture.overlay[at])});
      table.rows.push_back(std::move(row));
    }
}

// A row a picture; with `values`, a row for every place of each map.
Table picture_table(const Pictures& pictures, const Format& format, bool values) {
  const bool maps = values && std::ranges::any_of(pictures.cells, [](const Picture& picture) {
                      return !picture.overlay.empty();
                    });
  Table table{.columns = {"row", "column", "caption"}};
  if (maps) table.columns.insert(table.columns.end(), {"map row", "map column", "value"});
  const auto name = [](const std::vector<std::string>& titles, size_t i) {
    return i < titles.size() ? titles[i] : std::to_string(i + 1);
  };
  const auto columns = static_cast<size_t>(pictures.columns);
  for (size_t i = 0; i < pictures.cells.size(); ++i) {
    std::vector<std::string> named = {name(pictures.row_titles, i / columns),
                                      name(pictures.column_titles, i % columns),
                                      pictures.cells[i].caption};
    if (maps && !pictures.cells[i].overlay.empty()) {
      append_overlay(pictures.cells[i], named, format, table);
      continue;
    }
    named.resize(table.columns.size());
    table.rows.push_back(std::move(named));
  }
  return table;
}

Table tidy(const Figure& figure, const Format& format) {
  if (figure.panels.empty()) return picture_table(figure.pictures, format, true);
  const bool heatmaps = only_heatmaps(figure);
  TidyColumns shown{.panel = figure.panels.size() > 1};
  for (const Panel& panel : figure.panels)
    for (const Series& series : series_of(panel)) {
      shown.intervals |= !series.low->empty();
      shown.labels |= series.labels && !series.labels->empty();
    }
  Table table;
  if (shown.panel) table.columns.push_back("panel");
  if (heatmaps) {
    const std::string value = figure.panels[0].heatmap->value;
    table.columns.insert(table.columns.end(), {common_title(figure, &Panel::y, "row"),
                                               common_title(figure, &Panel::x, "column"),
                                               value.empty() ? "value" : value});
  } else {
    table.columns.insert(table.columns.end(), {"series", common_title(figure, &Panel::x, "x"),
                                               common_title(figure, &Panel::y, "y")});
    if (shown.intervals) table.columns.insert(table.columns.end(), {"low", "high"});
    if (shown.labels) table.columns.push_back("label");
  }
  for (const Panel& panel : figure.panels) {
    if (panel.heatmap) append_heatmap(*panel.heatmap, panel.title, shown, heatmaps, format, table);
    append_series(panel, shown, format, table);
  }
  return table;
}

// One row per x and one column per series, when there is one panel and all series agree in x.
bool pivots(const Figure& figure) {
  if (figure.panels.size() != 1 || figure.panels[0].heatmap) return false;
  const std::vector<Series> all = series_of(figure.panels[0]);
  for (const Series& series : all)
    if (*series.x != *all[0].x || (series.labels && !series.labels->empty())) return false;
  return !all.empty() && all.size() <= 12;
}

Table pivot(const Panel& panel, const Format& format) {
  const std::vector<Series> all = series_of(panel);
  const std::string x = axis_title(panel.x), y = axis_title(panel.y);
  Table table{.columns = {x.empty() ? "x" : x}};
  for (const Series& series : all) {
    table.columns.push_back(series.name->empty() ? y : *series.name);
    if (!series.low->empty()) table.columns.insert(table.columns.end(), {"low", "high"});
  }
  for (size_t i = 0; i < all[0].x->size(); ++i) {
    std::vector<std::string> row{x_text(panel.x, (*all[0].x)[i], format)};
    for (const Series& series : all) {
      row.push_back(format((*series.y)[i]));
      if (!series.low->empty())
        row.insert(row.end(), {format((*series.low)[i]), format((*series.high)[i])});
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table matrix(const Heatmap& map, const Format& format) {
  Table table{.columns = {""}};
  for (int64_t c = 0; c < map.columns; ++c) table.columns.push_back(label_at(map.column_labels, c));
  for (int64_t r = 0; r < map.rows; ++r) {
    std::vector<std::string> row{label_at(map.row_labels, r)};
    for (int64_t c = 0; c < map.columns; ++c)
      row.push_back(format(map.values[static_cast<size_t>(r * map.columns + c)]));
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string csv_field(const std::string& text) {
  const std::string field = to_utf8(text);
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string quoted = "\"";
  for (const char c : field) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

void append_csv_row(const std::vector<std::string>& fields, std::string& out) {
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out += ',';
    out += csv_field(fields[i]);
  }
  out += "\r\n";
}

// Contours as heatmaps of the same numbers.
Figure tabulated(Figure figure) {
  for (Panel& panel : figure.panels)
    if (panel.contour) panel.heatmap = as_heatmap(*panel.contour);
  return figure;
}

}  // namespace

std::string axis_title(const Axis& axis) {
  if (axis.unit.empty()) return axis.label;
  return axis.label.empty() ? axis.unit : axis.label + " (" + axis.unit + ")";
}

Table tidy_table(const Figure& figure) { return tidy(tabulated(figure), exact_number); }

Table display_table(const Figure& drawn) {
  const Format format = [](double value) { return format_number(value); };
  const Figure figure = tabulated(drawn);
  if (figure.panels.empty()) return picture_table(figure.pictures, format, false);
  if (pivots(figure)) return pivot(figure.panels[0], format);
  if (figure.panels.size() == 1 && figure.panels[0].heatmap &&
      figure.panels[0].heatmap->columns <= 16)
    return matrix(*figure.panels[0].heatmap, format);
  return tidy(figure, format);
}

std::string to_csv(const Table& table) {
  std::string out;
  append_csv_row(table.columns, out);
  for (const auto& row : table.rows) append_csv_row(row, out);
  return out;
}

}  // namespace passband::plot
