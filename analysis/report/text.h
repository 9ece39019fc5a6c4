// Text for figures and pages: escaping, number typography, widths, base64.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace passband {

// Safe inside XML and HTML text and attributes: & < > " ' become entities, characters that XML 1.0
// forbids and malformed UTF-8 become U+FFFD.
std::string escape_xml(std::string_view text);

// Safe inside a JSON <script> block: escapes '<' as \u003c in JSON text, so that no tag can be
// closed.
std::string escape_script_json(std::string_view json);

// A number as it is printed: `digits` significant digits, no trailing zeros, a true minus sign,
// thin spaces between thousands from 10 000 on, powers of ten outside 1e-4 .. 1e7 ("2.1×10⁻⁵"); "–"
// when not finite.
std::string format_number(double value, int digits = 4);

// A number with exactly `decimals` decimals and the same minus sign and thin spaces.
std::string format_fixed(double value, int decimals);

// 10 to the `exponent` with superscript digits: "10⁻³".
std::string power_of_ten(int exponent);

// Plain decimal text that reads back to the same double ("0.1", "1e-07", "nan", "inf"), for files.
std::string exact_number(double value);

// Width of a line of text at 1 px font size, from Helvetica's metrics (Arial and Liberation Sans
// share them).
double text_width(std::string_view text);

// The text, cut with an ellipsis to fit `width` at `size` px.
std::string fit_text(std::string_view text, double width, double size);
// A title of the form "network, part": where it is too long the network is cut, so that parts of
// one network keep different titles.
std::string fit_title(std::string_view title, double width, double size);

std::string base64(std::span<const uint8_t> bytes);

}  // namespace passband
