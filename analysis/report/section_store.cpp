// Stored sections and the summary as JSON.
#include "analysis/report/section_store.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "analysis/report/drawing_check.h"
#include "analysis/report/svg.h"
#include "analysis/report/text.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

using json = nlohmann::ordered_json;

constexpr int kFormat = 2;
constexpr size_t kTableRows = 60;

bool has_interval(const ReportValue& value) {
  return std::isfinite(value.low) && std::isfinite(value.high);
}

// JSON has no NaN: null, and a flag beside it.
json number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

json to_json(const ReportValue& value) {
  json out = {{"key", value.key},        {"label", value.label},   {"value", number(value.value)},
              {"text", value.text},      {"detail", value.detail}, {"headline", value.headline},
              {"subject", value.subject}};
  if (!std::isfinite(value.value)) out["nonfinite"] = true;
  if (has_interval(value)) out["interval"] = {value.low, value.high};
  return out;
}

ReportValue value_from(const json& in) {
  const json interval = in.value("interval", json{NAN, NAN});
  return {.key = in.at("key"),
          .label = in.at("label"),
          .value = in.at("value").is_null() ? std::nan("") : in.at("value").get<double>(),
          .text = in.at("text"),
          .detail = in.at("detail"),
          .headline = in.at("headline"),
          .subject = in.value("subject", ""),
          .low = interval.at(0),
          .high = interval.at(1)};
}

constexpr std::array<const char*, 3> kSeenWords = {"seen", "not seen", "cannot be told"};

json to_json(const ReportClaim& claim) {
  json networks = json::object();
  for (const auto& [label, seen] : claim.networks)
    networks[label] = kSeenWords.at(static_cast<size_t>(seen));
  return {{"claim", claim.text}, {"key", claim.key}, {"networks", networks}};
}

ReportClaim claim_from(const json& in) {
  ReportClaim claim{.text = in.at("claim"), .key = in.at("key")};
  for (const auto& [label, word] : in.at("networks").items()) {
    const auto found = std::ranges::find(kSeenWords, word.get<std::string>());
    if (found == kSeenWords.end()) throw DataError("no verdict");
    claim.networks.emplace_back(label, static_cast<Seen>(found - kSeenWords.begin()));
  }
  return claim;
}

json to_json(const plot::PictureDrawing& picture) {
  return {{"base", picture.base},        {"over", picture.over},
          {"caption", picture.caption},  {"wrong", picture.wrong},
          {"width", picture.map_width},  {"height", picture.map_height},
          {"most", number(picture.most)}};
}

plot::PictureDrawing picture_from(const json& in) {
  return {.base = in.at("base"),
          .over = in.at("over"),
          .caption = in.at("caption"),
          .wrong = in.at("wrong"),
          .map_width = in.at("width"),
          .map_height = in.at("height"),
          .most = in.at("most")};
}

json to_json(const StoredFigure& figure) {
  json pictures = json::array();
  for (const plot::PictureDrawing& picture : figure.drawings.pictures)
    pictures.push_back(to_json(picture));
  return {{"name", figure.name},
          {"title", figure.title},
          {"alt", figure.alt},
          {"keys", figure.drawings.keys},
          {"panels", figure.drawings.panels},
          {"pictures", pictures},
          {"grid", figure.columns},
          {"column_titles", figure.column_titles},
          {"row_titles", figure.row_titles},
          {"overlay_value", figure.overlay_value},
          {"hover", figure.hover},
          {"columns", figure.table.columns},
          {"rows", figure.table.rows},
          {"table_rows", figure.table_rows}};
}

StoredFigure figure_from(const json& in) {
  StoredFigure figure{.name = in.at("name"),
                      .title = in.at("title"),
                      .alt = in.at("alt"),
                      .drawings = {.keys = in.at("keys"), .panels = in.at("panels")},
                      .columns = in.at("grid"),
                      .column_titles = in.at("column_titles"),
                      .row_titles = in.at("row_titles"),
                      .overlay_value = in.at("overlay_value"),
                      .hover = in.at("hover"),
                      .table = {.columns = in.at("columns"), .rows = in.at("rows")},
                      .table_rows = in.at("table_rows")};
  for (const json& picture : in.at("pictures"))
    figure.drawings.pictures.push_back(picture_from(picture));
  return figure;
}

bool is_image(const std::string& address) {
  constexpr std::string_view kind = "data:image/png;base64,";
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
  return address.starts_with(kind) &&
         address.find_first_not_of(digits, kind.size()) == std::string::npos;
}

// Drawings and images of ours.
bool is_plain(const plot::PageDrawings& drawings) {
  return std::ranges::all_of(drawings.keys, is_plain_drawing) &&
         std::ranges::all_of(drawings.panels, is_plain_drawing) &&
         std::ranges::all_of(drawings.pictures, is_plain_drawing, &plot::PictureDrawing::over) &&
         std::ranges::all_of(drawings.pictures, is_image, &plot::PictureDrawing::base);
}

// Text from runs may hold bytes that are not UTF-8; they become U+FFFD rather than an exception.
template <class Json> std::string dump(const Json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace) + "\n";
}

bool has_plain_names(const StoredSection& section) {
  bool plain = names_a_file(section.name);
  for (const StoredFigure& figure : section.figures) plain = plain && names_a_file(figure.name);
  for (const std::string& array : section.arrays) plain = plain && names_a_file(array);
  return plain;
}

}  // namespace

bool names_a_file(const std::string& name) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789-_";
  return !name.empty() && name.find_first_not_of(allowed) == std::string::npos;
}

StoredSection drawn(const Section& section) {
  StoredSection stored{.name = section.name,
                       .title = section.title,
                       .question = section.question,
                       .reading = section.reading,
                       .finding = section.finding,
                       .key = section.key,
                       .applies = section.applies,
                       .caveats = section.caveats,
                       .values = section.values,
                       .claims = section.claims};
  for (const plot::Figure& figure : section.figures) {
    StoredFigure drawing{.name = figure.name, .title = figure.title, .alt = figure.alt};
    drawing.drawings = plot::page_drawings(figure);
    drawing.columns = figure.pictures.columns;
    drawing.column_titles = figure.pictures.column_titles;
    drawing.row_titles = figure.pictures.row_titles;
    drawing.overlay_value = figure.pictures.overlay_value;
    if (!figure.panels.empty()) drawing.hover = plot::hover_json(figure);
    drawing.table = plot::display_table(figure);
    drawing.table_rows = drawing.table.rows.size();
    if (drawing.table_rows > kTableRows) drawing.table.rows.resize(kTableRows);
    stored.figures.push_back(std::move(drawing));
  }
  for (const ReportArray& array : section.arrays) stored.arrays.push_back(array.name);
  return stored;
}

std::string section_to_json(const StoredSection& section) {
  json values = json::array(), figures = json::array();
  json claims = json::array();
  for (const ReportValue& value : section.values) values.push_back(to_json(value));
  for (const ReportClaim& claim : section.claims) claims.push_back(to_json(claim));
  for (const StoredFigure& figure : section.figures) figures.push_back(to_json(figure));
  return dump(json{{"format", kFormat},
                   {"name", section.name},
                   {"title", section.title},
                   {"question", section.question},
                   {"reading", section.reading},
                   {"finding", section.finding},
                   {"applies", section.applies},
                   {"caveats", section.caveats},
                   {"key", section.key},
                   {"arrays", section.arrays},
                   {"values", values},
                   {"claims", claims},
                   {"figures", figures}},
              -1);
}

StoredSection section_from_json(const std::string& text, const std::string& path) {
  const auto damaged = [&](std::string_view what) {
    return DataError(concat_text(path, ": not a stored section (", what, "); analyse it again"));
  };
  const json in = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (in.is_discarded()) throw damaged("no JSON");
  StoredSection section;
  try {
    if (in.at("format") != kFormat) throw damaged("written by another version");
    section = {.name = in.at("name"),
               .title = in.at("title"),
               .question = in.at("question"),
               .reading = in.at("reading"),
               .finding = in.at("finding"),
               .key = in.at("key"),
               .applies = in.value("applies", true),
               .caveats = in.at("caveats"),
               .arrays = in.at("arrays")};
    for (const json& value : in.at("values")) section.values.push_back(value_from(value));
    for (const json& claim : in.at("claims")) section.claims.push_back(claim_from(claim));
    for (const json& figure : in.at("figures")) section.figures.push_back(figure_from(figure));
  } catch (const std::exception&) {
    throw damaged("entries are missing or of another kind");
  }
  if (section.name != std::filesystem::path(path).stem().string())
    throw damaged("its name is not the file's");
  if (!has_plain_names(section)) throw damaged("a name has other letters than a-z 0-9 - _");
  for (const StoredFigure& figure : section.figures)
    if (!is_plain(figure.drawings)) throw damaged("a drawing is none of ours");
  return section;
}

namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

Settings settings_from(const json& in) {
  Settings settings;
  for (const auto& [key, value] : in.items()) settings.emplace_back(key, value.get<std::string>());
  return settings;
}

json to_json(const Settings& settings) {
  json out = json::object();
  for (const auto& [key, value] : settings) out[key] = value;
  return out;
}

json to_json(const RunCard& run) {
  return {
      {"name", run.name}, {"settings", to_json(run.settings)}, {"details", to_json(run.details)}};
}

// What the summary holds of one section.
json summary_of(const StoredSection& section) {
  json values = json::object(), networks = json::object(), intervals = json::object(),
       figures = json::array();
  json claims = json::array();
  for (const ReportValue& value : section.values) {
    if (!values.contains(value.key)) values[value.key] = number(value.value);
    if (!value.subject.empty()) networks[value.subject][value.key] = number(value.value);
    if (has_interval(value)) intervals[value.subject][value.key] = {value.low, value.high};
  }
  for (const StoredFigure& figure : section.figures) figures.push_back(figure.name);
  for (const ReportClaim& claim : section.claims) claims.push_back(to_json(claim));
  json part = {{"title", section.title},
               {"finding", section.finding},
               {"values", values},
               {"figures", figures},
               {"arrays", section.arrays}};
  if (!claims.empty()) part["claims"] = claims;
  if (!intervals.empty()) part["intervals"] = intervals;
  if (section.stale) part["stale"] = true;
  if (!section.applies) part["applies"] = false;
  if (networks.size() > 1) part["networks"] = networks;
  return part;
}

}  // namespace

std::optional<EarlierCalls> earlier_calls(const std::string& summary) {
  const json in = json::parse(summary, nullptr, /*allow_exceptions=*/false);
  if (!in.is_object()) return std::nullopt;
  EarlierCalls calls;
  try {
    calls.commands = in.at("commands").get<std::vector<std::string>>();
    for (const json& run : in.at("runs")) {
      RunCard& card = calls.runs.emplace_back(RunCard{.name = run.at("name")});
      card.settings = settings_from(run.at("settings"));
      card.details = settings_from(run.at("details"));
    }
  } catch (const json::exception&) {
    return std::nullopt;
  }
  return calls;
}

std::string summary_json(const ReportHeader& header, const std::vector<StoredSection>& sections) {
  json headline = json::array();
  json runs = json::array(), parts = json::object();
  for (const ReportValue& value : header.headline) headline.push_back(to_json(value));
  for (const RunCard& run : header.runs) runs.push_back(to_json(run));
  for (const StoredSection& section : sections) {
    for (const ReportValue& value : section.values)
      if (value.headline && !section.stale) headline.push_back(to_json(value));
    parts[section.name] = summary_of(section);
  }
  return dump(json{{"title", header.title},
                   {"subtitle", header.subtitle},
                   {"answer", header.answer},
                   {"commands", header.commands},
                   {"headline", headline},
                   {"runs", runs},
                   {"sections", parts}},
              2);
}

}  // namespace passband
