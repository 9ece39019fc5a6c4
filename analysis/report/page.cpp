// The report page from its parts.
#include "analysis/report/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/report/page_parts.h"
#include "analysis/report/sha256.h"
#include "analysis/report/svg.h"
#include "analysis/report/svg_theme.h"
#include "analysis/report/text.h"

namespace passband {
namespace {

std::string hash_of(std::string_view source) { return "'sha256-" + base64(sha256(source)) + "'"; }

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

void append_contents(std::string& out, const ReportHeader& header,
                     const std::vector<StoredSection>& sections) {
  out +=
      "<nav class=\"contents\" aria-label=\"Contents\">\n<p class=\"small\">Contents</p>\n<ol>\n";
  int number = 0;
  for (const StoredSection& section : sections)
    out += fmt::format(R"(<li><a href="#{}"><span class="index">{}</span> {}</a>{}</li>)",
                       section.name, section_number(++number), escape_xml(section.title),
                       section.stale ? " <b>Stale.</b>" : "") +
           "\n";
  out += "</ol>\n<ul>\n";
  if (!header.runs.empty())
    out += fmt::format("<li><a href=\"#page-run\">{}</a></li>\n", runs_title(header));
  if (!header.commands.empty()) out += "<li><a href=\"#page-commands\">How to repeat it</a></li>\n";
  out += "<li><a href=\"#page-glossary\">Glossary</a></li>\n</ul>\n</nav>\n";
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

std::string value_text(const ReportValue& value) {
  return value.text.empty() ? format_number(value.value) : value.text;
}

std::vector<std::vector<const ReportValue*>> by_key(const std::vector<ReportValue>& values) {
  std::vector<std::vector<const ReportValue*>> groups;
  for (const ReportValue& value : values) {
    const auto same =
        std::ranges::find_if(groups, [&](const auto& group) { return group[0]->key == value.key; });
    if (same == groups.end()) groups.push_back({&value});
    else same->push_back(&value);
  }
  return groups;
}

std::string small_section(std::string_view cls, std::string_view id, std::string_view heading) {
  return fmt::format(R"(<section class="{0}" id="{1}" aria-labelledby="{1}-h">
<h2 class="small" id="{1}-h">{2}</h2>
)",
                     cls, id, heading);
}

std::string_view runs_title(const ReportHeader& header) {
  return header.runs.size() == 1 ? "The run" : "The runs";
}

std::string section_number(int number) { return fmt::format("{:02}", number); }

std::string render_page(const ReportHeader& header, const std::vector<StoredSection>& sections) {
  std::vector<StoredSection> shown = sections;
  std::erase_if(shown, [](const StoredSection& section) { return !section.applies; });
  PageState state{.several_runs = header.runs.size() > 1};
  std::string figures;
  for (const StoredSection& section : shown) append_section(figures, section, state);
  std::string out =
      head(header, plot::svg_theme() + std::string(page_style()) + state.pictures.rules());
  out += "<body>\n<a class=\"skip\" href=\"#page-figures\">Skip to the figures</a>\n";
  out += plot::heat_filter(plot::ColorMap::magma) + "\n<main>\n";
  append_masthead(out, header, shown);
  append_contents(out, header, shown);
  out += "<div id=\"page-figures\">\n" + figures + "</div>\n";
  append_inapplicable(out, sections);
  append_runs(out, header);
  append_commands(out, header);
  append_glossary(out);
  out += fmt::format("</main>\n<script>{}</script>\n</body>\n</html>\n", page_script());
  return out;
}

}  // namespace passband
