// Escaping, number typography and text metrics.
#include "analysis/report/text.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>

#include "tensor/core/utf8.h"

namespace passband {
namespace {

constexpr std::string_view kMinus = "\u2212";
constexpr std::string_view kThin = "\u202f";
constexpr std::string_view kReplacement = "\ufffd";

bool allowed_in_xml(uint32_t code) {
  return code == 0x9 || code == 0xa || code == 0xd ||
         (code >= 0x20 && code != 0x7f && code != 0xfffe && code != 0xffff);
}

std::string_view entity(char c) {
  switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return {};
  }
}

// Minus sign, and thin spaces every three digits of the integer part once it has five.
std::string typeset(std::string_view plain) {
  std::string out;
  if (!plain.empty() && plain.front() == '-') {
    out = kMinus;
    plain.remove_prefix(1);
  }
  const size_t integer = std::min(plain.find('.'), plain.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    if (integer >= 5 && i > 0 && i < integer && (integer - i) % 3 == 0) out += kThin;
    out += plain[i];
  }
  return out;
}

std::string without_trailing_zeros(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

// Widths of ' ' to '~' in thousandths of the font size (Helvetica, Adobe font metrics).
constexpr std::array<int, 95> kWidths = {
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333,  278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667,  611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278,  556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500,  500, 334, 260, 334, 584};

double code_width(uint32_t code) {
  if (code >= 0x20 && code <= 0x7e) return kWidths[code - 0x20] / 1000.0;
  if (code == 0x202f || code == 0x2009) return 0.2;
  if (code >= 0x2070 && code <= 0x208f) return 0.37;
  if (code == 0xb2 || code == 0xb3 || code == 0xb9) return 0.37;
  return code < 0x2e80 ? 0.6 : 1.0;
}

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Decoded next = decode_utf8(text);
    if (next.length == 0 || !allowed_in_xml(next.code)) {
      out += kReplacement;
      text.remove_prefix(std::max<size_t>(next.length, 1));
      continue;
    }
    const std::string_view replaced = entity(text[0]);
    out += replaced.empty() ? text.substr(0, next.length) : replaced;
    text.remove_prefix(next.length);
  }
  return out;
}

std::string escape_script_json(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {
    if (c == '<') out += "\\u003c";
    else out += c;
  }
  return out;
}

std::string power_of_ten(int exponent) {
  constexpr std::string_view digits[] = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                         "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
  std::string out = "10";
  if (exponent < 0) out += "\u207b";
  for (const char c : fmt::format("{}", std::abs(exponent))) out += digits[c - '0'];
  return out;
}

std::string format_number(double value, int digits) {
  if (!std::isfinite(value)) return "\u2013";
  if (value == 0) return "0";
  // Rounding may carry into the next decade (9.9996 -> 10), so the exponent is read off the rounded
  // text.
  const std::string scientific = fmt::format("{:.{}e}", value, digits - 1);
  const size_t e = scientific.find('e');
  const int exponent = std::stoi(scientific.substr(e + 1));
  if (exponent < -4 || exponent >= 7) {
    const std::string mantissa = without_trailing_zeros(scientific.substr(0, e));
    return typeset(mantissa) + "\u00d7" + power_of_ten(exponent);
  }
  return typeset(
      without_trailing_zeros(fmt::format("{:.{}f}", value, std::max(0, digits - 1 - exponent))));
}

std::string format_fixed(double value, int decimals) {
  if (!std::isfinite(value)) return "\u2013";
  std::string plain = fmt::format("{:.{}f}", value, decimals);
  if (plain.find_first_not_of("-0.") == std::string::npos && plain.front() == '-')
    plain.erase(0, 1);
  return typeset(plain);
}

std::string exact_number(double value) { return fmt::format("{}", value); }

double text_width(std::string_view text) {
  double width = 0;
  while (!text.empty()) {
    const Decoded next = decode_utf8(text);
    width += code_width(next.code);
    text.remove_prefix(std::max<size_t>(next.length, 1));
  }
  return width;
}

std::string fit_text(std::string_view text, double width, double size) {
  if (text_width(text) * size <= width) return std::string(text);
  constexpr std::string_view ellipsis = "\u2026";
  std::string kept;
  while (!text.empty()) {
    const size_t length = std::max<size_t>(decode_utf8(text).length, 1);
    std::string longer = kept + std::string(text.substr(0, length));
    if ((text_width(longer) + text_width(ellipsis)) * size > width) break;
    kept = std::move(longer);
    text.remove_prefix(length);
  }
  while (!kept.empty() && kept.back() == ' ') kept.pop_back();
  return kept + std::string(ellipsis);
}

std::string fit_title(std::string_view title, double width, double size) {
  const size_t comma = title.rfind(", ");
  if (comma == std::string_view::npos || text_width(title) * size <= width)
    return fit_text(title, width, size);
  const std::string_view part = title.substr(comma);
  const double left = std::max(width / 4, width - text_width(part) * size);
  return fit_text(fit_text(title.substr(0, comma), left, size) + std::string(part), width, size);
}

std::string base64(std::span<const uint8_t> bytes) {
  constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = bytes.size() - i;
    const uint32_t block = uint32_t{bytes[i]} << 16 | (left > 1 ? uint32_t{bytes[i + 1]} << 8 : 0) |
                           (left > 2 ? uint32_t{bytes[i + 2]} : 0);
    out += alphabet[block >> 18];
    out += alphabet[block >> 12 & 63];
    out += left > 1 ? alphabet[block >> 6 & 63] : '=';
    out += left > 2 ? alphabet[block & 63] : '=';
  }
  return out;
}

}  // namespace passband
