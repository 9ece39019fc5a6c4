// Stored sections and the summary as JSON.
#include "analysis/report/section_store.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "analysis/report/drawing_check.h"
#include "analysis/report/svg.h"
#include "analysis/report/text.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr size_t kTableRows = 200;

// JSON has no NaN: null, and a flag beside it.
json number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

json to_json(const ReportValue& value) {
  json out = {{"key", value.key},        {"label", value.label},   {"value", number(value.value)},
              {"text", value.text},      {"detail", value.detail}, {"headline", value.headline},
              {"subject", value.subject}};
  if (!std::isfinite(value.value)) out["nonfinite"] = true;
  return out;
}

ReportValue value_from(const json& in) {
  return {.key = in.at("key"),
          .label = in.at("label"),
          .value = in.at("value").is_null() ? std::nan("") : in.at("value").get<double>(),
          .text = in.at("text"),
          .detail = in.at("detail"),
          .headline = in.at("headline"),
          .subject = in.value("subject", "")};
}

json to_json(const StoredFigure& figure) {
  return {{"name", figure.name},
          {"title", figure.title},
          {"alt", figure.alt},
          {"wide", figure.wide},
          {"narrow", figure.narrow},
          {"hover", figure.hover},
          {"columns", figure.table.columns},
          {"rows", figure.table.rows},
          {"table_rows", figure.table_rows}};
}

StoredFigure figure_from(const json& in) {
  return {.name = in.at("name"),
          .title = in.at("title"),
          .alt = in.at("alt"),
          .wide = in.at("wide"),
          .narrow = in.at("narrow"),
          .hover = in.at("hover"),
          .table = {.columns = in.at("columns"), .rows = in.at("rows")},
          .table_rows = in.at("table_rows")};
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
                       .cost = section.cost,
                       .key = section.key,
                       .applies = section.applies,
                       .caveats = section.caveats,
                       .values = section.values};
  for (const plot::Figure& figure : section.figures) {
    StoredFigure drawing{.name = figure.name, .title = figure.title, .alt = figure.alt};
    drawing.wide = plot::render_svg(figure, {.width = 720, .standalone = false});
    drawing.narrow = plot::render_svg(figure, {.width = 360, .standalone = false});
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
  for (const ReportValue& value : section.values) values.push_back(to_json(value));
  for (const StoredFigure& figure : section.figures) figures.push_back(to_json(figure));
  return dump(json{{"format", kFormat},
                   {"name", section.name},
                   {"title", section.title},
                   {"question", section.question},
                   {"reading", section.reading},
                   {"finding", section.finding},
                   {"applies", section.applies},
                   {"caveats", section.caveats},
                   {"cost", section.cost},
                   {"key", section.key},
                   {"arrays", section.arrays},
                   {"values", values},
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
               .cost = in.value("cost", ""),
               .key = in.at("key"),
               .applies = in.value("applies", true),
               .caveats = in.at("caveats"),
               .arrays = in.at("arrays")};
    for (const json& value : in.at("values")) section.values.push_back(value_from(value));
    for (const json& figure : in.at("figures")) section.figures.push_back(figure_from(figure));
  } catch (const json::exception&) {
    throw damaged("entries are missing or of another kind");
  }
  if (section.name != std::filesystem::path(path).stem().string())
    throw damaged("its name is not the file's");
  if (!has_plain_names(section)) throw damaged("a name has other letters than a-z 0-9 - _");
  for (const StoredFigure& figure : section.figures)
    if (!is_plain_drawing(figure.wide) || !is_plain_drawing(figure.narrow))
      throw damaged("a drawing is none of ours");
  return section;
}

std::optional<EarlierCalls> earlier_calls(const std::string& summary) {
  const json in = json::parse(summary, nullptr, /*allow_exceptions=*/false);
  if (!in.is_object()) return std::nullopt;
  EarlierCalls calls;
  try {
    calls.commands = in.at("commands").get<std::vector<std::string>>();
    for (const json& run : in.at("runs")) {
      RunCard& card = calls.runs.emplace_back(RunCard{.name = run.at("name")});
      for (const auto& [key, value] : run.at("settings").items())
        card.settings.emplace_back(key, value.get<std::string>());
    }
  } catch (const json::exception&) {
    return std::nullopt;
  }
  return calls;
}

std::string summary_json(const ReportHeader& header, const std::vector<StoredSection>& sections) {
  json headline = json::array(), runs = json::array();
  ordered_json parts = ordered_json::object();
  for (const ReportValue& value : header.headline) headline.push_back(to_json(value));
  for (const RunCard& run : header.runs) {
    json settings = json::object();
    for (const auto& [key, value] : run.settings) settings[key] = value;
    runs.push_back({{"name", run.name}, {"settings", settings}});
  }
  for (const StoredSection& section : sections) {
    json values = json::object(), networks = json::object(), figures = json::array();
    for (const ReportValue& value : section.values) {
      if (!values.contains(value.key)) values[value.key] = number(value.value);
      if (!value.subject.empty()) networks[value.subject][value.key] = number(value.value);
      if (value.headline && !section.stale) headline.push_back(to_json(value));
    }
    for (const StoredFigure& figure : section.figures) figures.push_back(figure.name);
    ordered_json& part = parts[section.name] = {{"title", section.title},
                                                {"finding", section.finding},
                                                {"values", values},
                                                {"figures", figures},
                                                {"arrays", section.arrays}};
    if (section.stale) part["stale"] = true;
    if (!section.applies) part["applies"] = false;
    if (networks.size() > 1) part["networks"] = networks;
  }
  return dump(ordered_json{{"title", header.title},
                           {"subtitle", header.subtitle},
                           {"answer", header.answer},
                           {"commands", header.commands},
                           {"headline", headline},
                           {"runs", runs},
                           {"sections", parts}},
              2);
}

}  // namespace passband
