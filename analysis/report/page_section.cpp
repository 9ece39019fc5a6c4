// A section of the page: its question, its figures, and what is to be said of them.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "analysis/report/page_parts.h"
#include "analysis/report/text.h"

namespace passband {
namespace {

std::string json_array(const std::vector<std::string>& texts) {
  return nlohmann::json(texts).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The page's script makes the table when it is opened, so that closed ones weigh nothing.
void append_table(std::string& out, const StoredFigure& figure) {
  const plot::Table& table = figure.table;
  std::string note;
  if (figure.table_rows > table.rows.size())
    note = fmt::format(" (first {} of {} rows; all of them are in the CSV file)", table.rows.size(),
                       format_number(static_cast<double>(figure.table_rows)));
  std::string rows;
  for (const auto& row : table.rows) rows += (rows.empty() ? "" : ",") + json_array(row);
  const std::string data =
      fmt::format("{{\"columns\":{},\"rows\":[{}]}}", json_array(table.columns), rows);
  out += fmt::format(R"(<details class="data"><summary>Data table{}</summary>
<noscript>The CSV file beside the caption holds the numbers.</noscript>
<script type="application/json">{}</script></details>
)",
                     note, escape_script_json(data));
}

void append_panels(std::string& out, const StoredFigure& figure) {
  if (!figure.drawings.keys.empty()) {
    out += "<div class=\"keys\">\n";
    for (const std::string& key : figure.drawings.keys) out += key;
    out += "</div>\n";
  }
  if (figure.drawings.panels.empty()) return;
  out += fmt::format(R"(<div class="panels" tabindex="0" role="group" aria-label="{}">)",
                     "Panels; arrow keys read values");
  for (const std::string& panel : figure.drawings.panels) out += panel;
  out += "</div>\n";
}

void append_picture(std::string& out, const StoredFigure& figure, size_t index,
                    PagePictures& pictures) {
  const plot::PictureDrawing& picture = figure.drawings.pictures[index];
  const size_t column = index % static_cast<size_t>(std::max(1, figure.columns));
  const bool mapped = picture.map_width > 0;
  std::string caption = picture.caption;
  if (column < figure.column_titles.size())
    caption = figure.column_titles[column] + (caption.empty() ? "" : ": ") + caption;
  out += fmt::format(R"(<div class="cell{}"{}><div class="base {}">{}</div><p>{}</p>)",
                     picture.wrong ? " wrong" : "",
                     mapped ? fmt::format(R"( data-size="{} {}" data-most="{:.6g}")",
                                          picture.map_height, picture.map_width, picture.most)
                            : "",
                     pictures.class_of(picture.base), picture.over, prose(caption));
  if (mapped)
    out += fmt::format(R"(<p class="scale">0 <i></i> {}</p>)", format_number(picture.most, 2));
  out += "</div>\n";
}

void append_pictures(std::string& out, const StoredFigure& figure, PagePictures& pictures) {
  constexpr size_t kMostColumns = 12;  // that the style sheet knows
  const auto columns = static_cast<size_t>(std::max(1, figure.columns));
  const size_t count = figure.drawings.pictures.size();
  for (size_t begin = 0; begin < count; begin += columns) {
    if (const size_t row = begin / columns; row < figure.row_titles.size())
      out += fmt::format("<p class=\"row\">{}</p>\n", prose(figure.row_titles[row]));
    out += fmt::format("<div class=\"cells c{}\">\n", std::min(columns, kMostColumns));
    for (size_t i = begin; i < std::min(begin + columns, count); ++i)
      append_picture(out, figure, i, pictures);
    out += "</div>\n";
  }
}

void append_figure(std::string& out, const StoredFigure& figure, PageState& state) {
  const bool hover = !figure.hover.empty();
  out += fmt::format(R"(<figure role="group" aria-labelledby="figure-{0}-caption">
<div class="plot" id="figure-{0}"{1}>
)",
                     figure.name,
                     hover ? fmt::format(R"( data-hover="figure-{}-data")", figure.name) : "");
  append_panels(out, figure);
  append_pictures(out, figure, state.pictures);
  if (hover)
    out += fmt::format(R"(<p class="readout" aria-live="polite" hidden></p>
<script type="application/json" id="figure-{}-data">{}</script>
)",
                       figure.name, escape_script_json(figure.hover));
  out += fmt::format(R"(</div>
<figcaption id="figure-{0}-caption"><b>Figure {1}.</b> {2}
<span class="files"><a href="figures/{0}.svg">SVG</a>
<a href="figures/{0}.csv">CSV</a></span></figcaption>
)",
                     figure.name, ++state.figure, prose(figure.title));
  if (!figure.alt.empty())
    out += fmt::format("<p class=\"unseen\">{}</p>\n", escape_xml(figure.alt));
  append_table(out, figure);
  out += "</figure>\n";
}

std::string caveats_of(const StoredSection& section) {
  if (section.caveats.empty()) return {};
  if (section.caveats.size() == 1) return prose(section.caveats[0]);
  std::string out = "<ul>";
  for (const std::string& caveat : section.caveats) out += "<li>" + prose(caveat) + "</li>";
  return out + "</ul>";
}

std::string numbers_of(const StoredSection& section) {
  if (section.values.empty()) return {};
  std::string out = "<ul>";
  for (const auto& group : by_key(section.values)) {
    out += fmt::format("<li>{}: ", escape_xml(group[0]->label));
    for (const ReportValue* value : group)
      out += fmt::format(
          "{}{}<b>{}</b>{}", value == group[0] ? "" : "; ",
          group.size() > 1 && !value->subject.empty() ? escape_xml(value->subject) + " " : "",
          prose(value_text(*value)), value->detail.empty() ? "" : ", " + prose(value->detail));
    out += "</li>";
  }
  return out + "</ul>";
}

void append_notes(std::string& out, const StoredSection& section, bool several_runs) {
  out += "<dl class=\"notes\">\n";
  const auto note = [&](std::string_view cls, std::string_view term, const std::string& text) {
    if (!text.empty())
      out += fmt::format(R"(<div class="{}"><dt>{}</dt><dd>{}</dd></div>)", cls, term, text) + "\n";
  };
  note("finding", several_runs ? "These runs show" : "This run shows", prose(section.finding));
  note("reading", "How to read it", prose(section.reading));
  note("caveats", section.caveats.size() == 1 ? "Caveat" : "Caveats", caveats_of(section));
  note("numbers", "Numbers", numbers_of(section));
  std::string arrays;
  for (const std::string& array : section.arrays)
    arrays += fmt::format(R"({}<a href="data/{}.npy">{}.npy</a>)", arrays.empty() ? "" : ", ",
                          array, array);
  note("arrays", "Arrays", arrays);
  out += "</dl>\n";
}

}  // namespace

std::string PagePictures::class_of(const std::string& address) {
  return fmt::format("p{}", numbers_.emplace(address, numbers_.size()).first->second);
}

std::string PagePictures::rules() const {
  std::string out;
  for (const auto& [address, number] : numbers_)
    out += fmt::format(".p{}{{background-image:url({})}}\n", number, address);
  return out;
}

void append_section(std::string& out, const StoredSection& section, PageState& state) {
  out += fmt::format(R"(<section class="analysis" id="{0}" aria-labelledby="{0}-h">
<div class="opening">
<h2 id="{0}-h"><span class="index">{1}</span>{2}</h2>
)",
                     section.name, section_number(++state.section), escape_xml(section.title));
  if (!section.question.empty())
    out += fmt::format("<p class=\"question\">{}</p>\n", prose(section.question));
  if (section.stale)
    out +=
        "<p class=\"stale\" role=\"note\"><b>Stale.</b> Computed from other weights or pictures "
        "than those this page names; analyse it again before "
        "reading it beside the other sections.</p>\n";
  // In print a heading stays with what comes first.
  for (size_t i = 0; i < section.figures.size(); ++i) {
    append_figure(out, section.figures[i], state);
    if (i == 0) out += "</div>\n";
  }
  if (section.figures.empty()) out += "</div>\n";
  append_notes(out, section, state.several_runs);
  out += "</section>\n";
}

}  // namespace passband
