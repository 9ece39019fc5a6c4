// HTML of the report page. Every string from outside passes escape_xml; drawings come from our own writer.
#include "analysis/report/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/report/sha256.h"
#include "analysis/report/svg.h"
#include "analysis/report/text.h"

namespace passband {
namespace {

std::string hash_of(std::string_view source) { return "'sha256-" + base64(sha256(source)) + "'"; }

// Escaped running text; a number keeps its unit and "n = 5" stays on one line.
std::string prose(std::string_view text) {
  std::string out = escape_xml(text);
  for (const auto& [loose, tight] : {std::pair<std::string_view, std::string_view>{" %", "\u00a0%"},
                                     {" = ", "\u00a0=\u00a0"}})
    for (size_t at = out.find(loose); at != std::string::npos; at = out.find(loose, at + tight.size()))
      out.replace(at, loose.size(), tight);
  return out;
}

std::string head(const ReportHeader& header, const std::string& style) {
  const std::string policy = fmt::format(
      "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; form-action 'none'", hash_of(style),
      hash_of(page_script()));
  return fmt::format(R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Passband">
<title>{}</title>
<style>{}</style>
</head>
)html", policy, escape_xml(header.title), style);
}

std::string value_text(const ReportValue& value) { return value.text.empty() ? format_number(value.value) : value.text; }

void append_headline(std::string& out, const ReportHeader& header, const std::vector<StoredSection>& sections) {
  std::vector<const ReportValue*> shown;
  for (const ReportValue& value : header.headline) shown.push_back(&value);
  for (const StoredSection& section : sections)
    for (const ReportValue& value : section.values)
      if (value.headline) shown.push_back(&value);
  if (shown.empty()) return;
  out += "<dl class=\"headline\">\n";
  for (const ReportValue* value : shown) {
    out += fmt::format("<div><dt>{}</dt><dd class=\"number\">{}</dd>", escape_xml(value->label), escape_xml(value_text(*value)));
    if (!value->detail.empty()) out += fmt::format("<dd class=\"detail\">{}</dd>", prose(value->detail));
    out += "</div>\n";
  }
  out += "</dl>\n";
}

void append_masthead(std::string& out, const ReportHeader& header, const std::vector<StoredSection>& sections) {
  out += "<header class=\"masthead\">\n<p class=\"kicker\"><span class=\"small\">Passband report</span>"
         "<button type=\"button\" id=\"theme\" hidden>Theme: auto</button></p>\n";
  out += fmt::format("<h1>{}</h1>\n", escape_xml(header.title));
  if (!header.subtitle.empty()) out += fmt::format("<p class=\"subtitle\">{}</p>\n", escape_xml(header.subtitle));
  if (!header.answer.empty()) out += fmt::format("<p class=\"answer\">{}</p>\n", prose(header.answer));
  append_headline(out, header, sections);
  out += "</header>\n";
}

// Settings of one run side by side in short columns.
void append_run_card(std::string& out, const RunCard& run) {
  out += "<dl class=\"card\">\n";
  for (const auto& [key, value] : run.settings)
    out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escape_xml(key), escape_xml(value));
  out += "</dl>\n";
}

std::string setting(const RunCard& run, const std::string& key) {
  for (const auto& [name, value] : run.settings)
    if (name == key) return value;
  return "\u2013";
}

// Several runs: one column each, rows that differ marked in words too.
void append_run_table(std::string& out, const std::vector<RunCard>& runs) {
  std::vector<std::string> keys;
  for (const RunCard& run : runs)
    for (const auto& [key, value] : run.settings)
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  out += "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Settings of the runs\">\n<table class=\"runs\"><thead><tr><th></th>";
  for (const RunCard& run : runs) out += fmt::format("<th scope=\"col\">{}</th>", escape_xml(run.name));
  out += "</tr></thead><tbody>\n";
  for (const std::string& key : keys) {
    const bool differs = std::any_of(runs.begin(), runs.end(), [&](const RunCard& r) { return setting(r, key) != setting(runs[0], key); });
    out += fmt::format("<tr{}><th scope=\"row\">{}{}</th>", differs ? " class=\"differs\"" : "", escape_xml(key),
                       differs ? " <span class=\"mark\" title=\"the runs differ\">\u2260</span>" : "");
    for (const RunCard& run : runs) out += fmt::format("<td>{}</td>", escape_xml(setting(run, key)));
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
}

void append_runs(std::string& out, const ReportHeader& header) {
  if (header.runs.empty()) return;
  out += fmt::format("<section class=\"run\" id=\"run\" aria-labelledby=\"run-h\">\n<h2 class=\"small\" id=\"run-h\">{}</h2>\n",
                     header.runs.size() == 1 ? "The run" : "The runs");
  if (header.runs.size() == 1) append_run_card(out, header.runs[0]);
  else append_run_table(out, header.runs);
  out += "</section>\n";
}

void append_findings(std::string& out, const std::vector<StoredSection>& sections) {
  if (sections.empty()) return;
  out += "<section class=\"findings\" aria-labelledby=\"findings-h\">\n<h2 class=\"small\" id=\"findings-h\">What this run shows</h2>\n<ol>\n";
  for (const StoredSection& section : sections)
    out += fmt::format("<li><a href=\"#{}\">{}</a> <span>{}</span></li>\n", section.name, escape_xml(section.title),
                       prose(section.finding));
  out += "</ol>\n</section>\n";
}

void append_contents(std::string& out, const ReportHeader& header, const std::vector<StoredSection>& sections) {
  out += "<nav class=\"contents\" aria-label=\"Contents\">\n<p class=\"small\">Contents</p>\n<ol>\n";
  for (const StoredSection& section : sections)
    out += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", section.name, escape_xml(section.title));
  out += "</ol>\n<ul>\n";
  if (!header.runs.empty()) out += fmt::format("<li><a href=\"#run\">{}</a></li>\n", header.runs.size() == 1 ? "The run" : "The runs");
  if (!header.commands.empty()) out += "<li><a href=\"#commands\">How to repeat it</a></li>\n";
  out += "</ul>\n</nav>\n";
}

// Numbers align on the right; anything else on the left.
bool is_numeric(const std::string& text) {
  if (text.empty() || text == "\u2013") return true;
  const std::string_view minus = "\u2212";
  const std::string_view rest = std::string_view(text).substr(text.starts_with(minus) ? minus.size() : 0);
  return !rest.empty() && rest[0] >= '0' && rest[0] <= '9';
}

void append_table(std::string& out, const StoredFigure& figure) {
  const plot::Table& table = figure.table;
  const std::string note = figure.table_rows > table.rows.size()
      ? fmt::format(" (first {} of {} rows; all of them are in the CSV file)", table.rows.size(), format_number(static_cast<double>(figure.table_rows)))
      : "";
  out += fmt::format("<details><summary>Data table{}</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Data of the figure: {}\">\n<table><thead><tr>",
                     note, escape_xml(figure.title));
  for (const std::string& column : table.columns) out += fmt::format("<th scope=\"col\">{}</th>", escape_xml(column));
  out += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (const std::string& cell : row)
      out += fmt::format("<td{}>{}</td>", is_numeric(cell) ? " class=\"n\"" : "", escape_xml(cell));
    out += "</tr>\n";
  }
  out += "</tbody></table></div></details>\n";
}

void append_figure(std::string& out, const StoredFigure& figure, int number) {
  out += fmt::format("<figure role=\"group\" aria-labelledby=\"{0}-caption\">\n<div class=\"plot\" id=\"figure-{0}\"{1}>\n"
                     "<div class=\"wide\">{2}</div>\n<div class=\"narrow\">{3}</div>\n", figure.name,
                     figure.hover.empty() ? "" : " data-hover=\"" + figure.name + "-data\"", figure.wide, figure.narrow);
  if (!figure.hover.empty())
    out += fmt::format("<p class=\"readout\" aria-live=\"polite\" hidden></p>\n<script type=\"application/json\" id=\"{}-data\">{}</script>\n",
                       figure.name, escape_script_json(figure.hover));
  out += fmt::format("</div>\n<figcaption id=\"{0}-caption\"><b>Figure {1}.</b> {2} <span class=\"files\"><a href=\"figures/{0}.svg\">SVG</a> "
                     "<a href=\"figures/{0}.csv\">CSV</a></span></figcaption>\n", figure.name, number, prose(figure.title));
  if (!figure.alt.empty()) out += fmt::format("<p class=\"unseen\">{}</p>\n", escape_xml(figure.alt));
  append_table(out, figure);
  out += "</figure>\n";
}

void append_notes(std::string& out, const StoredSection& section) {
  out += "<dl class=\"notes\">\n";
  const auto note = [&](std::string_view cls, std::string_view term, const std::string& text) {
    if (!text.empty()) out += fmt::format("<div{}><dt>{}</dt><dd>{}</dd></div>\n", cls, term, text);
  };
  note(" class=\"finding\"", "This run shows", prose(section.finding));
  note("", "How to read it", prose(section.reading));
  std::string caveats;
  if (section.caveats.size() == 1) caveats = prose(section.caveats[0]);
  else for (const std::string& caveat : section.caveats) caveats += "<li>" + prose(caveat) + "</li>";
  note("", section.caveats.size() == 1 ? "Caveat" : "Caveats", section.caveats.size() > 1 ? "<ul>" + caveats + "</ul>" : caveats);
  std::string numbers;
  for (const ReportValue& value : section.values)
    numbers += fmt::format("<li>{}: <b>{}</b>{}</li>", escape_xml(value.label), escape_xml(value_text(value)),
                           value.detail.empty() ? "" : ", " + prose(value.detail));
  note(" class=\"numbers\"", "Numbers", numbers.empty() ? "" : "<ul>" + numbers + "</ul>");
  std::string arrays;
  for (const std::string& array : section.arrays)
    arrays += fmt::format("{}<a href=\"data/{}.npy\">{}.npy</a>", arrays.empty() ? "" : ", ", array, array);
  note("", "Arrays", arrays);
  out += "</dl>\n";
}

void append_section(std::string& out, const StoredSection& section, int number, int& figures) {
  out += fmt::format("<section class=\"analysis\" id=\"{0}\" aria-labelledby=\"{0}-h\">\n<h2 id=\"{0}-h\"><span class=\"index\">{1}</span>{2}</h2>\n",
                     section.name, number, escape_xml(section.title));
  if (!section.question.empty()) out += fmt::format("<p class=\"question\">{}</p>\n", prose(section.question));
  for (const StoredFigure& figure : section.figures) append_figure(out, figure, ++figures);
  append_notes(out, section);
  out += "</section>\n";
}

void append_commands(std::string& out, const ReportHeader& header) {
  if (header.commands.empty()) return;
  out += "<section class=\"run\" id=\"commands\" aria-labelledby=\"commands-h\">\n<h2 class=\"small\" id=\"commands-h\">How to repeat it</h2>\n"
         "<pre tabindex=\"0\"><code>";
  for (const std::string& command : header.commands) out += escape_xml(command) + "\n";
  out += "</code></pre>\n</section>\n";
}

}  // namespace

std::string render_page(const ReportHeader& header, const std::vector<StoredSection>& sections) {
  std::string out = head(header, plot::svg_theme() + std::string(page_style()));
  out += "<body>\n<a class=\"skip\" href=\"#content\">Skip to the figures</a>\n";
  append_contents(out, header, sections);
  out += "<main>\n";
  append_masthead(out, header, sections);
  append_findings(out, sections);
  append_runs(out, header);
  out += "<div id=\"content\">\n";
  int number = 0, figures = 0;
  for (const StoredSection& section : sections) append_section(out, section, ++number, figures);
  out += "</div>\n";
  append_commands(out, header);
  out += fmt::format("</main>\n<script>{}</script>\n</body>\n</html>\n", page_script());
  return out;
}

}  // namespace passband
