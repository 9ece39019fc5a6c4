// The legend: one row (or more) above the panels, so that it never covers data.
#include <algorithm>

#include "analysis/report/contour.h"
#include "analysis/report/svg_parts.h"
#include "analysis/report/text.h"

namespace passband::plot {
namespace {

constexpr double kSwatch = 24, kGap = 6, kBetween = 20, kKeyWidth = 110;

void add_unique(std::vector<LegendEntry>& entries, LegendEntry entry) {
  const auto same = [&](const LegendEntry& e) {
    return e.label == entry.label && e.mark == entry.mark;
  };
  if (!entry.label.empty() && std::none_of(entries.begin(), entries.end(), same))
    entries.push_back(std::move(entry));
}

void add_series(const Drawing& drawing, const Panel& panel, std::vector<LegendEntry>& entries) {
  using Mark = LegendEntry::Mark;
  for (size_t i = 0; i < panel.bars.size(); ++i) {
    const Bars& bars = panel.bars[i];
    if (bars.kinds.empty())
      add_unique(entries,
                 {.mark = Mark::bar, .label = bars.name, .look = look_of(style_of(bars.style, i))});
    for (const Kind kind : bars.kinds)
      add_unique(entries, {.mark = Mark::bar,
                           .label = std::string(look_of(kind).name),
                           .look = look_of(look_of(kind).series)});
  }
  for (size_t i = 0; i < panel.lines.size(); ++i) {
    const Line& line = panel.lines[i];
    if (line.shade || drawing.direct_labels) continue;
    add_unique(entries, {.mark = line.fill ? Mark::area : Mark::line,
                         .label = line.name,
                         .look = look_of(drawing.figure, line, i),
                         .markers = has_markers(line)});
  }
  for (size_t i = 0; i < panel.points.size(); ++i)
    add_unique(entries, {.mark = Mark::point,
                         .label = panel.points[i].name,
                         .look = look_of(style_of(panel.points[i].style, i))});
}

void add_keys(const Drawing& drawing, std::vector<LegendEntry>& entries) {
  const Figure& figure = drawing.figure;
  bool shaded = false;
  for (const Panel& panel : figure.panels) {
    for (const Line& line : panel.lines) shaded |= line.shade.has_value();
    if (panel.contour) {
      const std::vector<double>& levels = panel.contour->levels;
      const Interval range =
          levels.empty() ? value_range(*panel.contour) : Interval{levels.front(), levels.back()};
      add_unique(entries, {.mark = LegendEntry::Mark::key,
                           .label = panel.contour->value,
                           .map = panel.contour->map,
                           .low = format_number(range.low, 3),
                           .high = format_number(range.high, 3)});
    }
    if (!panel.heatmap || drawing.panel_keys) continue;
    const Range range = value_range(figure, *panel.heatmap);
    add_unique(entries, {.mark = LegendEntry::Mark::key,
                         .label = panel.heatmap->value,
                         .map = panel.heatmap->map,
                         .low = format_number(range.low, 3),
                         .high = format_number(range.high, 3)});
  }
  if (shaded)
    add_unique(entries, {.mark = LegendEntry::Mark::key,
                         .label = figure.shade.label.empty() ? "depth" : figure.shade.label,
                         .look = shade_look(0, figure.shade.map),
                         .map = figure.shade.map,
                         .low = figure.shade.low,
                         .high = figure.shade.high});
  if (!figure.pictures.overlay_value.empty())
    add_unique(entries, {.mark = LegendEntry::Mark::key,
                         .label = figure.pictures.overlay_value,
                         .map = figure.pictures.map,
                         .low = "0",
                         .high = "1"});
}

constexpr double kLabelSpace = 1.05;  // before a key's numbers: fonts of readers may be wider

// Calls place(entry, x, row) for each entry of the wrapped rows; returns the number of rows.
template <class F> int flow(double most, const std::vector<LegendEntry>& entries, F&& place) {
  double x = 0;
  int row = 0;
  for (const LegendEntry& entry : entries) {
    const double width = entry_width(entry);
    if (x > 0 && x + width > most) x = 0, ++row;
    place(entry, x, row);
    x += width + kBetween;
  }
  return entries.empty() ? 0 : row + 1;
}

void draw_shade_key(Canvas& canvas, const Box& box, const LegendEntry& entry) {
  // The same theme classes as the curves, so that key and curves agree on dark paper too.
  for (int i = 0; i < kShades; ++i) {
    const SeriesLook look = shade_look(static_cast<double>(i) / (kShades - 1), entry.map);
    canvas.rect({box.x + i * box.width / kShades, box.y, box.width / kShades + 0.5, box.height},
                look.fill);
  }
}

void draw_key_entry(Canvas& canvas, const LegendEntry& entry, double x, double y) {
  canvas.text(x, y, entry.label, Anchor::start, "legend");
  x += kLabelSpace * text_width(entry.label) * kFont + kGap;
  canvas.text(x, y, entry.low, Anchor::start, "tick");
  x += text_width(entry.low) * kSmallFont + kGap;
  const Box box{x, y - 9, kKeyWidth, 9};
  if (entry.look.fill.empty()) draw_key(canvas, box, entry.map, false);
  else draw_shade_key(canvas, box, entry);
  canvas.text(x + kKeyWidth + kGap, y, entry.high, Anchor::start, "tick");
}

void draw_entry(Canvas& canvas, const LegendEntry& entry, double x, double y) {
  using Mark = LegendEntry::Mark;
  if (entry.mark == Mark::key) return draw_key_entry(canvas, entry, x, y);
  const double middle = y - 4;
  const std::string dash = entry.look.dash.empty() || entry.markers
                               ? ""
                               : " stroke-dasharray=\"" + std::string(entry.look.dash) + "\"";
  switch (entry.mark) {
    case Mark::line:
      canvas.open(entry.look.stroke + dash + " fill=\"none\" stroke-width=\"1.75\"");
      canvas.path("M" + px(x) + "," + px(middle) + "h" + px(kSwatch), "class=\"swatch\"");
      canvas.close();
      if (entry.markers)
        canvas.marker({x + kSwatch / 2, middle}, entry.look.marker, entry.look.fill);
      break;
    case Mark::point:
      canvas.marker({x + kSwatch / 2, middle}, entry.look.marker, entry.look.fill, {}, 3.8);
      break;
    case Mark::bar:
      canvas.rect({x + 6, y - 10, kSwatch - 10, 11}, entry.look.fill + " fill-opacity=\"0.75\"");
      break;
    case Mark::area:
      canvas.rect({x + 2, y - 10, kSwatch - 4, 11}, entry.look.fill + " fill-opacity=\"0.25\"");
      break;
    case Mark::span: {
      const Box box{x + 4, y - 10.5, kSwatch - 6, 13};
      canvas.rect(box, entry.look.fill + " fill-opacity=\"0.22\"");
      canvas.text(box.x + box.width / 2, y - 0.5, look_of(entry.kind).letter, Anchor::middle,
                  "strip");
      break;
    }
    case Mark::diagonal:
      canvas.line({x, middle}, {x + kSwatch, middle}, "rule", "stroke-dasharray=\"4 3\"");
      break;
    case Mark::key: break;
  }
  canvas.text(x + kSwatch + kGap, y, entry.label, Anchor::start, "legend");
}

// What a look is to the eye.
bool same_look(const LegendEntry& a, const LegendEntry& b) {
  return a.mark == b.mark && a.look.fill == b.look.fill && a.look.marker == b.look.marker;
}

}  // namespace

std::vector<LegendEntry> legend_of(const Drawing& drawing, const Panel& panel) {
  std::vector<LegendEntry> entries;
  add_series(drawing, panel, entries);
  if (entries.size() == 1) entries.clear();  // a single series is what the axis says it is
  return entries;
}

bool needs_own_legends(const Drawing& drawing) {
  std::vector<LegendEntry> all;
  for (const Panel& panel : drawing.figure.panels) {
    std::vector<LegendEntry> entries;
    add_series(drawing, panel, entries);
    for (const LegendEntry& entry : entries)
      for (const LegendEntry& other : all)
        if (same_look(entry, other) && entry.label != other.label) return true;
    all.insert(all.end(), entries.begin(), entries.end());
  }
  return false;
}

std::vector<LegendEntry> legend_of(const Drawing& drawing) {
  std::vector<LegendEntry> entries;
  for (const Panel& panel : drawing.figure.panels)
    if (!drawing.own_legends) add_series(drawing, panel, entries);
  if (entries.size() == 1) entries.clear();
  for (const Panel& panel : drawing.figure.panels)
    for (const Reference& reference : panel.references)
      if (reference.along == Reference::Along::diagonal)
        add_unique(entries, {.mark = LegendEntry::Mark::diagonal, .label = reference.label});
  for (const Panel& panel : drawing.figure.panels)
    for (const Span& span : panel.spans) {
      const KindLook& kind = look_of(span.kind);
      add_unique(entries, {.mark = LegendEntry::Mark::span,
                           .label = span.label.empty() ? std::string(kind.name) : span.label,
                           .look = look_of(kind.series),
                           .kind = span.kind});
    }
  add_keys(drawing, entries);
  return entries;
}

double entry_width(const LegendEntry& entry) {
  const double label = text_width(entry.label) * kFont;
  if (entry.mark != LegendEntry::Mark::key) return kSwatch + kGap + label;
  return kLabelSpace * label + kGap + text_width(entry.low) * kSmallFont + kGap + kKeyWidth + kGap +
         text_width(entry.high) * kSmallFont;
}

double legend_height(double width, const std::vector<LegendEntry>& entries) {
  const int rows = flow(width, entries, [](const LegendEntry&, double, int) {});
  return rows == 0 ? 0 : rows * 20 + 8;
}

void draw_legend(Canvas& canvas, double width, const std::vector<LegendEntry>& entries,
                 Point origin) {
  flow(width, entries, [&](const LegendEntry& entry, double x, int row) {
    draw_entry(canvas, entry, origin.x + x, origin.y + 13 + row * 20);
  });
}

}  // namespace passband::plot
