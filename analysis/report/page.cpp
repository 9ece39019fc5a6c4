// HTML of the report page. Every string from outside passes escape_xml; drawings come from our own
// writer.
#include "analysis/report/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/report/sha256.h"
#include "analysis/report/svg_theme.h"
#include "analysis/report/text.h"

namespace passband {
namespace {

std::string hash_of(std::string_view source) { return "'sha256-" + base64(sha256(source)) + "'"; }

// Escaped running text: a number keeps its unit, "n = 5" stays on one line, and a hyphen before a
// number that starts a word becomes a minus sign.
std::string prose(std::string_view text) {
  std::string out = escape_xml(text);
  for (const auto& [loose, tight] :
       {std::pair<std::string_view, std::string_view>{" %", "\u00a0%"}, {" = ", "\u00a0=\u00a0"}})
    for (size_t at = out.find(loose); at != std::string::npos;
         at = out.find(loose, at + tight.size()))
      out.replace(at, loose.size(), tight);
  const auto starts_number = [&](size_t at) {
    const bool starts =
        at == 0 || std::string_view(" (\xa0").find(out[at - 1]) != std::string_view::npos;
    return starts && at + 1 < out.size() && out[at + 1] >= '0' && out[at + 1] <= '9';
  };
  for (size_t at = out.find('-'); at != std::string::npos; at = out.find('-', at + 1))
    if (starts_number(at)) out.replace(at, 1, "\u2212");
  return out;
}

std::string head(const ReportHeader& header, const std::string& style) {
  const std::string policy = fmt::format(
      "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; "
      "form-action 'none'",
      hash_of(style), hash_of(page_script()));
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
)html",
                     policy, escape_xml(header.title), style);
}

// Section element with a small heading; `id` is also its anchor.
std::string small_section(std::string_view cls, std::string_view id, std::string_view heading) {
  return fmt::format(R"(<section class="{0}" id="{1}" aria-labelledby="{1}-h">
<h2 class="small" id="{1}-h">{2}</h2>
)",
                     cls, id, heading);
}

std::string_view runs_title(const ReportHeader& header) {
  return header.runs.size() == 1 ? "The run" : "The runs";
}

std::string value_text(const ReportValue& value) {
  return value.text.empty() ? format_number(value.value) : value.text;
}

// The values of one key belong to different networks and stand together.
std::vector<std::vector<const ReportValue*>> by_key(const std::vector<ReportValue>& values) {
  std::vector<std::vector<const ReportValue*>> groups;
  for (const ReportValue& value : values) {
    const auto same = std::find_if(groups.begin(), groups.end(),
                                   [&](const auto& group) { return group[0]->key == value.key; });
    if (same == groups.end()) groups.push_back({&value});
    else same->push_back(&value);
  }
  return groups;
}

void append_headline(std::string& out, const ReportHeader& header,
                     const std::vector<StoredSection>& sections) {
  std::vector<std::vector<const ReportValue*>> shown;
  for (const ReportValue& value : header.headline) shown.push_back({&value});
  for (const StoredSection& section : sections)
    for (const auto& group : by_key(section.values))
      if (group[0]->headline && !section.stale) shown.push_back(group);
  if (shown.empty()) return;
  out += "<dl class=\"headline\">\n";
  for (const auto& group : shown) {
    out += fmt::format(R"(<div><dt>{}</dt><dd class="number">{}</dd>)", escape_xml(group[0]->label),
                       prose(value_text(*group[0])));
    if (!group[0]->detail.empty())
      out += fmt::format(R"(<dd class="detail">{}</dd>)", prose(group[0]->detail));
    for (size_t i = 1; i < group.size(); ++i)
      out += fmt::format(R"(<dd class="detail">{}: {}</dd>)", escape_xml(group[i]->subject),
                         prose(value_text(*group[i])));
    out += "</div>\n";
  }
  out += "</dl>\n";
}

void append_masthead(std::string& out, const ReportHeader& header,
                     const std::vector<StoredSection>& sections) {
  out += R"(<header class="masthead">
<p class="kicker"><span class="small">Passband report</span>
<button type="button" id="page-theme" hidden>Theme: auto</button></p>
)";
  out += fmt::format("<h1>{}</h1>\n", escape_xml(header.title));
  if (!header.subtitle.empty())
    out += fmt::format("<p class=\"subtitle\">{}</p>\n", escape_xml(header.subtitle));
  if (!header.answer.empty())
    out += fmt::format("<p class=\"answer\">{}</p>\n", prose(header.answer));
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

// Several runs: one column each; rows that differ are marked by a sign beside the tint.
void append_run_table(std::string& out, const std::vector<RunCard>& runs) {
  std::vector<std::string> keys;
  for (const RunCard& run : runs)
    for (const auto& [key, value] : run.settings)
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  out += R"(<div class="scroll" tabindex="0" role="region" aria-label="Settings of the runs">
<table class="runs"><thead><tr><th></th>)";
  for (const RunCard& run : runs)
    out += fmt::format(R"(<th scope="col">{}</th>)", escape_xml(run.name));
  out += "</tr></thead><tbody>\n";
  for (const std::string& key : keys) {
    const auto other = [&](const RunCard& run) {
      return setting(run, key) != setting(runs[0], key);
    };
    const bool differs = std::any_of(runs.begin(), runs.end(), other);
    out += fmt::format(R"(<tr{}><th scope="row">{}{}</th>)", differs ? R"( class="differs")" : "",
                       escape_xml(key),
                       differs ? R"( <span class="mark" title="the runs differ">≠</span>)" : "");
    for (const RunCard& run : runs)
      out += fmt::format("<td>{}</td>", escape_xml(setting(run, key)));
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
}

void append_runs(std::string& out, const ReportHeader& header) {
  if (header.runs.empty()) return;
  out += small_section("run", "page-run", runs_title(header));
  if (header.runs.size() == 1) append_run_card(out, header.runs[0]);
  else append_run_table(out, header.runs);
  out += "</section>\n";
}

void append_findings(std::string& out, const ReportHeader& header,
                     const std::vector<StoredSection>& sections) {
  if (sections.empty()) return;
  out += small_section("findings", "page-findings",
                       header.runs.size() > 1 ? "What these runs show" : "What this run shows");
  out += "<ol>\n";
  for (const StoredSection& section : sections)
    out += fmt::format("<li><a href=\"#{}\">{}</a> <span>{}{}</span></li>\n", section.name,
                       escape_xml(section.title), section.stale ? "<b>Stale.</b> " : "",
                       prose(section.finding));
  out += "</ol>\n</section>\n";
}

void append_contents(std::string& out, const ReportHeader& header,
                     const std::vector<StoredSection>& sections) {
  out +=
      "<nav class=\"contents\" aria-label=\"Contents\">\n<p class=\"small\">Contents</p>\n<ol>\n";
  for (const StoredSection& section : sections)
    out +=
        fmt::format("<li><a href=\"#{}\">{}</a></li>\n", section.name, escape_xml(section.title));
  out += "</ol>\n<ul>\n";
  if (!header.runs.empty())
    out += fmt::format("<li><a href=\"#page-run\">{}</a></li>\n", runs_title(header));
  if (!header.commands.empty()) out += "<li><a href=\"#page-commands\">How to repeat it</a></li>\n";
  out += "</ul>\n</nav>\n";
}

// Numbers align on the right; anything else on the left.
bool is_numeric(const std::string& text) {
  if (text.empty() || text == "\u2013") return true;
  const std::string_view minus = "\u2212";
  const std::string_view rest =
      std::string_view(text).substr(text.starts_with(minus) ? minus.size() : 0);
  return !rest.empty() && rest[0] >= '0' && rest[0] <= '9';
}

void append_table(std::string& out, const StoredFigure& figure) {
  const plot::Table& table = figure.table;
  std::string note;
  if (figure.table_rows > table.rows.size())
    note = fmt::format(" (first {} of {} rows; all of them are in the CSV file)", table.rows.size(),
                       format_number(static_cast<double>(figure.table_rows)));
  out += fmt::format(R"(<details><summary>Data table{}</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Data of the figure: {}">
<table><thead><tr>)",
                     note, escape_xml(figure.title));
  for (const std::string& column : table.columns)
    out += fmt::format(R"(<th scope="col">{}</th>)", escape_xml(column));
  out += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (const std::string& cell : row)
      out +=
          fmt::format("<td{}>{}</td>", is_numeric(cell) ? R"( class="n")" : "", escape_xml(cell));
    out += "</tr>\n";
  }
  out += "</tbody></table></div></details>\n";
}

void append_figure(std::string& out, const StoredFigure& figure, int number) {
  const bool hover = !figure.hover.empty();
  out += fmt::format(R"(<figure role="group" aria-labelledby="figure-{0}-caption">
<div class="plot" id="figure-{0}"{1}>
<div class="wide">{2}</div>
<div class="narrow">{3}</div>
)",
                     figure.name,
                     hover ? fmt::format(R"( data-hover="figure-{}-data")", figure.name) : "",
                     figure.wide, figure.narrow);
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
                     figure.name, number, prose(figure.title));
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
  note("cost", "Cost", prose(section.cost));
  out += "</dl>\n";
}

void append_section(std::string& out, const StoredSection& section, int number, int& figures,
                    bool several_runs) {
  out += fmt::format(R"(<section class="analysis" id="{0}" aria-labelledby="{0}-h">
<h2 id="{0}-h"><span class="index">{1}</span>{2}</h2>
)",
                     section.name, number, escape_xml(section.title));
  if (!section.question.empty())
    out += fmt::format("<p class=\"question\">{}</p>\n", prose(section.question));
  if (section.stale)
    out +=
        "<p class=\"stale\" role=\"note\"><b>Stale.</b> Computed from other weights or pictures "
        "than those this page names; analyse it again before "
        "reading it beside the other sections.</p>\n";
  for (const StoredFigure& figure : section.figures) append_figure(out, figure, ++figures);
  append_notes(out, section, several_runs);
  out += "</section>\n";
}

// Sections that say only why they are not there: one line, their reasons behind it.
void append_inapplicable(std::string& out, const std::vector<StoredSection>& sections) {
  std::string titles, reasons;
  for (const StoredSection& section : sections) {
    if (section.applies) continue;
    titles += (titles.empty() ? "" : ", ") + prose(section.title);
    reasons += fmt::format("<li>{}: {}</li>\n", prose(section.title), prose(section.finding));
  }
  if (titles.empty()) return;
  out += fmt::format(
      "<details class=\"inapplicable\" id=\"page-inapplicable\"><summary>Does not apply: {}."
      "</summary>\n<ul>\n{}</ul></details>\n",
      titles, reasons);
}

void append_commands(std::string& out, const ReportHeader& header) {
  if (header.commands.empty()) return;
  out += small_section("run commands", "page-commands", "How to repeat it");
  out += "<pre tabindex=\"0\"><code>";
  for (const std::string& command : header.commands) out += escape_xml(command) + "\n";
  out += "</code></pre>\n</section>\n";
}

}  // namespace

std::string render_page(const ReportHeader& header, const std::vector<StoredSection>& sections) {
  std::string out = head(header, plot::svg_theme() + std::string(page_style()));
  out += "<body>\n<a class=\"skip\" href=\"#page-figures\">Skip to the figures</a>\n";
  std::vector<StoredSection> shown = sections;
  std::erase_if(shown, [](const StoredSection& section) { return !section.applies; });
  append_contents(out, header, shown);
  out += "<main>\n";
  append_masthead(out, header, shown);
  append_findings(out, header, shown);
  append_runs(out, header);
  out += "<div id=\"page-figures\">\n";
  int number = 0, figures = 0;
  for (const StoredSection& section : shown)
    append_section(out, section, ++number, figures, header.runs.size() > 1);
  out += "</div>\n";
  append_inapplicable(out, sections);
  append_commands(out, header);
  out += fmt::format("</main>\n<script>{}</script>\n</body>\n</html>\n", page_script());
  return out;
}

}  // namespace passband
