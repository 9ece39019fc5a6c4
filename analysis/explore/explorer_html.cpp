#include "analysis/explore/explorer_html.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/explore/explorer.h"
#include "analysis/report/sha256.h"
#include "analysis/report/svg_theme.h"
#include "analysis/report/text.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

std::string_view page_file(std::string_view name) {
  const auto found = std::ranges::find(page_files(), name, &PageFile::name);
  CHECK(found != page_files().end(), "the page has no file ", name);
  return found->text;
}

// All scripts in one block of their own, in the order of their names; main.js last.
std::string script() {
  std::string out = "(() => {\n'use strict';\n";
  std::string main;
  for (const PageFile& file : page_files()) {
    if (file.name.ends_with(".js")) (file.name == "main.js" ? main : out) += file.text;
  }
  return out + main + "})();\n";
}

std::string body(const ExplorerText& told) {
  std::string text(page_file("body.html"));
  const auto put = [&](std::string_view place, const std::string& what) {
    const size_t at = text.find(place);
    CHECK(at != std::string::npos, "the page's body has no place ", place);
    text.replace(at, place.size(), what);
  };
  put("<!-- report -->", told.report);
  put("<!-- figures -->", told.figures);
  return text;
}

std::string hash_of(const std::string& text) { return "'sha256-" + base64(sha256(text)) + "'"; }

}  // namespace

std::string explorer_html(const ExplorerText& text) {
  const std::string style = plot::svg_theme() + std::string(page_file("page.css"));
  const std::string code = script();
  std::string out = fmt::format(
      R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data: blob:;
 style-src {0}; script-src {1}; base-uri 'none'; form-action 'none'{4}">
<title>Explore: {2}</title>
<style>{3}</style>
</head>
)",
      hash_of(style), hash_of(code), escape_xml(text.title), style,
      text.served ? "; connect-src 'self'" : "");
  out += body(text);
  for (size_t i = 0; i < text.weights.size(); ++i)
    out += fmt::format("<script type=\"text/plain\" id=\"weights-{}\">{}</script>\n", i,
                       text.weights[i]);
  out += fmt::format("<script type=\"application/json\" id=\"explore-data\">{}</script>\n",
                     escape_script_json(text.data));
  return out + "<script>" + code + "</script>\n</body>\n</html>\n";
}

}  // namespace passband
