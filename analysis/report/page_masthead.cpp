// The head of the page: title, what the numbers say of each claim, and the runs.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/report/page_parts.h"
#include "analysis/report/text.h"

namespace passband {
namespace {

// A number of the table, or a claim that it decides.
struct Row {
  std::string text, section;
  std::vector<const ReportValue*> values;
  const ReportClaim* claim = nullptr;
};

std::vector<const ReportValue*> values_of(const StoredSection& section, const std::string& key) {
  std::vector<const ReportValue*> values;
  for (const ReportValue& value : section.values)
    if (value.key == key) values.push_back(&value);
  return values;
}

std::vector<Row> rows_of(const ReportHeader& header, const std::vector<StoredSection>& sections) {
  std::vector<Row> numbers, claims;
  for (const ReportValue& value : header.headline) numbers.push_back({value.label, {}, {&value}});
  for (const StoredSection& section : sections) {
    if (section.stale) continue;
    for (const auto& group : by_key(section.values))
      if (group[0]->headline) numbers.push_back({group[0]->label, section.name, group});
    for (const ReportClaim& claim : section.claims)
      claims.push_back({claim.text, section.name, values_of(section, claim.key), &claim});
  }
  numbers.insert(numbers.end(), claims.begin(), claims.end());
  return numbers;
}

// The networks that the rows speak of, in their order.
std::vector<std::string> networks_of(const std::vector<Row>& rows) {
  std::vector<std::string> networks;
  for (const Row& row : rows)
    for (const ReportValue* value : row.values)
      if (std::ranges::find(networks, value->subject) == networks.end())
        networks.push_back(value->subject);
  return networks;
}

struct SeenLook {
  std::string_view word, cls;
};
constexpr SeenLook kSeenLooks[] = {
    {"seen", "seen"}, {"not seen", "denied"}, {"cannot be told", "untold"}};

std::string cell_of(const Row& row, const std::string& network) {
  const auto value = std::ranges::find(row.values, network, &ReportValue::subject);
  if (value == row.values.end()) return "<td class=\"none\">\u2013</td>";
  std::string out = "<td>";
  if (row.claim)
    for (const auto& [label, seen] : row.claim->networks)
      if (label == network) {
        const SeenLook& look = kSeenLooks[static_cast<size_t>(seen)];
        out += fmt::format(R"(<span class="{}">{}</span> )", look.cls, look.word);
      }
  out += fmt::format("<b>{}</b>", prose(value_text(**value)));
  if (!(*value)->detail.empty()) {
    constexpr std::string_view words = "95 % interval ";
    std::string_view detail = (*value)->detail;
    if (detail.starts_with(words)) detail.remove_prefix(words.size());
    out += fmt::format(R"( <small>{}</small>)", prose(detail));
  }
  return out + "</td>";
}

void append_claims(std::string& out, const ReportHeader& header,
                   const std::vector<StoredSection>& sections) {
  const std::vector<Row> rows = rows_of(header, sections);
  if (rows.empty()) return;
  const std::vector<std::string> networks = networks_of(rows);
  out += small_section("claims", "page-claims", "What the numbers say");
  out += R"(<div class="scroll" tabindex="0" role="region" aria-label="Claims and networks">
<table class="claims"><thead><tr><th scope="col">Claim</th>)";
  for (const std::string& network : networks)
    out +=
        fmt::format(R"(<th scope="col">{}</th>)", network.empty() ? "Value" : escape_xml(network));
  out += "</tr></thead><tbody>\n";
  for (const Row& row : rows) {
    const std::string text =
        row.section.empty() ? prose(row.text)
                            : fmt::format("<a href=\"#{}\">{}</a>", row.section, prose(row.text));
    out += fmt::format(R"(<tr{}><th scope="row">{}</th>)", row.claim ? "" : R"( class="quantity")",
                       text);
    for (const std::string& network : networks) out += cell_of(row, network);
    out += "</tr>\n";
  }
  out += R"(</tbody></table></div>
<p class="legend">Numbers with their 95 % intervals. Seen: the whole interval lies on the side of )"
         R"(the claim. Not seen: it lies on the other side, or where no effect is worth a word. )"
         R"(Cannot be told: it holds both.</p>
</section>
)";
}

std::string setting(const std::vector<std::pair<std::string, std::string>>& settings,
                    const std::string& key) {
  for (const auto& [name, value] : settings)
    if (name == key) return value;
  return "\u2013";
}

std::vector<std::pair<std::string, std::string>> all_of(const RunCard& run) {
  auto all = run.settings;
  all.insert(all.end(), run.details.begin(), run.details.end());
  return all;
}

// Settings of one run side by side in short columns.
void append_run_card(std::string& out, const RunCard& run) {
  out += "<dl class=\"card\">\n";
  for (const auto& [key, value] : run.settings)
    out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escape_xml(key), escape_xml(value));
  out += "</dl>\n";
}

// Several runs: one column each, and a row for each setting in which they differ.
void append_run_table(std::string& out, const std::vector<RunCard>& runs) {
  std::vector<std::string> keys;
  for (const RunCard& run : runs)
    for (const auto& [key, value] : all_of(run))
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
  out += R"(<div class="scroll" tabindex="0" role="region" aria-label="Settings of the runs">
<table class="runs"><thead><tr><th scope="col">Setting</th>)";
  for (const RunCard& run : runs)
    out += fmt::format(R"(<th scope="col">{}</th>)", escape_xml(run.name));
  out += "</tr></thead><tbody>\n";
  for (const std::string& key : keys) {
    std::vector<std::string> texts;
    for (const RunCard& run : runs) texts.push_back(setting(all_of(run), key));
    if (std::ranges::all_of(texts, [&](const std::string& text) { return text == texts[0]; }))
      continue;
    out += fmt::format(R"(<tr><th scope="row">{}</th>)", escape_xml(key));
    for (const std::string& text : texts) out += fmt::format("<td>{}</td>", escape_xml(text));
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n<p class=\"legend\">All other settings are alike.</p>\n";
}

}  // namespace

void append_masthead(std::string& out, const ReportHeader& header,
                     const std::vector<StoredSection>& sections) {
  constexpr size_t kLong = 36;  // letters that a line of a telephone holds at the full size, twice
  out += R"(<header class="masthead">
<p class="kicker"><span class="small">Passband report</span>
<button type="button" id="page-theme" hidden>Theme: auto</button></p>
)";
  out += fmt::format("<h1{}>{}</h1>\n", header.title.size() > kLong ? " class=\"long\"" : "",
                     escape_xml(header.title));
  if (!header.subtitle.empty())
    out += fmt::format("<p class=\"subtitle\">{}</p>\n", escape_xml(header.subtitle));
  out += "</header>\n";
  append_claims(out, header, sections);
  if (!header.answer.empty())
    out += fmt::format("<p class=\"answer\">{}</p>\n", prose(header.answer));
}

void append_runs(std::string& out, const ReportHeader& header) {
  if (header.runs.empty()) return;
  out += small_section("run", "page-run", runs_title(header));
  if (header.runs.size() == 1) append_run_card(out, header.runs[0]);
  else append_run_table(out, header.runs);
  out += "</section>\n";
}

}  // namespace passband
