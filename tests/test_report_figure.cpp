// Figures: ticks, number typography, colours, tables, npy, PNG and the SVG writer.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "analysis/report/color.h"
#include "analysis/report/npy.h"
#include "analysis/report/png.h"
#include "analysis/report/sha256.h"
#include "analysis/report/svg.h"
#include "analysis/report/svg_canvas.h"
#include "analysis/report/svg_parts.h"
#include "analysis/report/table.h"
#include "analysis/report/text.h"
#include "analysis/report/ticks.h"
#include "tensor/core/error.h"
#include "tensor/core/utf8.h"
#include "tests/test_report_demo.h"
#include "tests/test_report_xml.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

using namespace passband;
using namespace passband::plot;

namespace {

size_t count_of(const std::string& text, const std::string& token) {
  size_t count = 0;
  for (size_t at = text.find(token); at != std::string::npos; at = text.find(token, at + 1))
    ++count;
  return count;
}

Figure one_panel(Panel panel) {
  return {.name = "test", .title = "A test", .panels = {std::move(panel)}};
}

Heatmap ramp(int64_t n) {
  Heatmap map{.rows = n, .columns = n, .value = "v"};
  for (int64_t i = 0; i < n * n; ++i) map.values.push_back(static_cast<double>(i));
  return map;
}

std::string decode_base64(std::string_view text) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(alphabet.find(c));
    if ((held += 6) >= 8) out += static_cast<char>(bits >> (held -= 8) & 0xff);
  }
  return out;
}

}  // namespace

TEST_CASE("nice steps are 1, 2, 2.5 or 5 times a power of ten") {
  CHECK(nice_step(1, 5) == doctest::Approx(0.2));
  CHECK(nice_step(10, 4) == doctest::Approx(2.5));
  CHECK(nice_step(100, 4) == doctest::Approx(25));
  CHECK(nice_step(0.07, 6) == doctest::Approx(0.02));
  CHECK(nice_step(9e6, 3) == doctest::Approx(5e6));
}

TEST_CASE(
    "linear ticks lie inside the range, are multiples of the step, and share their decimals") {
  const Ticks ticks = make_ticks({-0.31, 1.02}, Scale::linear, 6);
  CHECK(ticks.labels ==
        std::vector<std::string>{"\u22120.25", "0.00", "0.25", "0.50", "0.75", "1.00"});
  CHECK(make_ticks({-2.04, 0}, Scale::linear, 5).labels.front() == "\u22122.0");
  CHECK(make_ticks({0, 45000}, Scale::linear, 4).labels.back() == "40\u202f000");
  CHECK(make_ticks({0, 100}, Scale::linear, 4).labels ==
        std::vector<std::string>{"0", "25", "50", "75", "100"});
}

TEST_CASE("log ticks mark decades, or 1-2-5 when there are fewer than two of them") {
  CHECK(make_ticks({1e-7, 3e-2}, Scale::log10, 8).labels.front() == "10\u207b\u2077");
  CHECK(make_ticks({0.05, 200}, Scale::log10, 8).labels ==
        std::vector<std::string>{"0.1", "1", "10", "100"});
  CHECK(make_ticks({4e6, 5e7}, Scale::log10, 8).labels ==
        std::vector<std::string>{"5\u00d710\u2076", "10\u2077", "2\u00d710\u2077",
                                 "5\u00d710\u2077"});
  CHECK(make_ticks({1, 1000}, Scale::log10, 5).minor.size() == 24);
}

TEST_CASE("an axis range has air, keeps zero where asked, and is never empty") {
  const Range plain = axis_range({}, 10, 20);
  CHECK(plain.low == doctest::Approx(9.6));
  CHECK(plain.high == doctest::Approx(20.4));
  CHECK(axis_range({.from_zero = true}, 10, 20).low == 0);
  CHECK(axis_range({}, 3, 3).low < axis_range({}, 3, 3).high);
  CHECK(axis_range({}, INFINITY, -INFINITY).high == doctest::Approx(1.04));
  CHECK(axis_range({.categories = {"a", "b"}}, 0, 0).high == 1.5);
}

TEST_CASE("numbers are typeset with true minus signs, thin spaces and superscripts") {
  CHECK(format_number(-0.4567891) == "\u22120.4568");
  CHECK(format_number(1234.5) == "1234");  // four digits; the tie goes to even
  CHECK(format_number(12345) == "12\u202f345");
  CHECK(format_number(0) == "0");
  CHECK(format_number(9.9996) == "10");
  CHECK(format_number(2.14e-5, 2) == "2.1\u00d710\u207b\u2075");
  CHECK(format_number(std::nan("")) == "\u2013");
  CHECK(format_fixed(-0.0001, 2) == "0.00");
  CHECK(format_fixed(1234567, 0) == "1\u202f234\u202f567");
}

TEST_CASE("escaping disarms markup, control characters and broken UTF-8") {
  CHECK(escape_xml("a<b> & \"c\" 'd'") == "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  CHECK(escape_xml(std::string("x\x01y\0z", 5)) == "x\ufffdy\ufffdz");
  CHECK(escape_xml("\xc0\xaf \xed\xa0\x80 \xff") == "\ufffd\ufffd \ufffd\ufffd\ufffd \ufffd");
  CHECK(escape_xml("\u03b1 \u2212 \U0001f600") == "\u03b1 \u2212 \U0001f600");
  CHECK(escape_script_json("{\"a\":\"</script><!--\"}").find('<') == std::string::npos);
}

TEST_CASE("text that is too long is cut with an ellipsis and then fits") {
  CHECK(fit_text("short", 100, 12) == "short");
  const std::string title = fit_title("C.CM:width=32,head_dim=16, stages.1.blocks.0", 180, 13);
  CHECK(title.starts_with("C."));
  CHECK(title.ends_with("\u2026, stages.1.blocks.0"));
  CHECK(text_width(title) * 13 <= 180);
  const std::string cut = fit_text("stage3.block2.msa.projection", 80, 11);
  CHECK(cut.ends_with("\u2026"));
  CHECK(text_width(cut) * 11 <= 80);
}

TEST_CASE("base64 and SHA-256 agree with the published vectors") {
  const auto encode = [](std::string_view s) {
    return base64({reinterpret_cast<const uint8_t*>(s.data()), s.size()});
  };
  CHECK(encode("") == "");  // RFC 4648, section 10
  CHECK(encode("f") == "Zg==");
  CHECK(encode("fo") == "Zm8=");
  CHECK(encode("foobar") == "Zm9vYmFy");
  const auto digest = [](std::string_view s) { return base64(sha256(s)); };
  // FIPS 180-4 examples, in base64 of the published hex digests.
  CHECK(digest("") == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  CHECK(digest("abc") == "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
  CHECK(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "JI1qYdIGOLjlwCaTDD5gOaM85Flk/yFn9uzt1BnbBsE=");
}

TEST_CASE("colour maps start and end at their published colours and stay inside for any value") {
  CHECK(hex(color_of(ColorMap::viridis, 0)) == "#440154");
  CHECK(hex(color_of(ColorMap::viridis, 1)) == "#fde725");
  CHECK(hex(color_of(ColorMap::magma, 0)) == "#000004");
  CHECK(hex(color_of(ColorMap::magma, 1)) == "#fcfdbf");
  CHECK(hex(color_of(ColorMap::diverging, 0.5)) == "#f7f7f7");
  CHECK(color_of(ColorMap::viridis, -3) == color_of(ColorMap::viridis, 0));
  CHECK(color_of(ColorMap::magma, 7) == color_of(ColorMap::magma, 1));
  // matplotlib's viridis(0.5) is (0.127568, 0.566949, 0.550556); ten stops with straight lines
  // between stay close.
  const Rgb middle = color_of(ColorMap::viridis, 0.5);
  CHECK(std::abs(middle.r - 33) <= 5);
  CHECK(std::abs(middle.g - 145) <= 5);
  CHECK(std::abs(middle.b - 140) <= 5);
}

TEST_CASE("sequential maps grow in luminance from end to end") {
  for (const ColorMap map : {ColorMap::viridis, ColorMap::magma})
    for (int i = 1; i <= 100; ++i)
      CHECK(luminance(color_of(map, i / 100.0)) > luminance(color_of(map, (i - 1) / 100.0)));
}

TEST_CASE("Wilson intervals agree with published values and stay inside 0 and 1") {
  // Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29.
  CHECK(wilson(81, 263).low == doctest::Approx(0.2553).epsilon(1e-3));
  CHECK(wilson(81, 263).high == doctest::Approx(0.3662).epsilon(1e-3));
  CHECK(wilson(15, 148).low == doctest::Approx(0.0624).epsilon(2e-3));
  CHECK(wilson(15, 148).high == doctest::Approx(0.1605).epsilon(1e-3));
  CHECK(wilson(0, 20).low == 0);
  CHECK(wilson(0, 20).high == doctest::Approx(0.1611).epsilon(1e-3));
  CHECK(wilson(1, 29).high == doctest::Approx(0.1718).epsilon(1e-3));
  CHECK(wilson(20, 20).high == 1);
}

TEST_CASE("CSV follows RFC 4180 byte for byte") {
  const Table table{.columns = {"plain", "with, comma"},
                    .rows = {{"a \"quoted\" word", "two\nlines"}, {"", "-1.5"}}};
  CHECK(to_csv(table) ==
        "plain,\"with, comma\"\r\n\"a \"\"quoted\"\" word\",\"two\nlines\"\r\n,-1.5\r\n");
}

TEST_CASE("names that are not UTF-8 come out as valid UTF-8 in CSV and hover data") {
  const std::string name = "caf\xe9, \xff";
  CHECK(to_csv({.columns = {name}, .rows = {{"th\xc3\xa9"}}}) ==
        "\"caf\xc3\xa9, \xc3\xbf\"\r\nth\xc3\xa9\r\n");
  const Figure figure = one_panel({.title = name, .lines = {{.name = name, .x = {0}, .y = {1}}}});
  CHECK(hover_json(figure).find("\"caf\xc3\xa9, \xc3\xbf\"") != std::string::npos);
  CHECK(is_utf8(hover_json(figure)));
  CHECK(!is_utf8(name));
  CHECK(!is_utf8("\xed\xa0\x80"));
  CHECK(!is_utf8("\xe2\x82"));
}

TEST_CASE("the tidy table has one row per value with every digit") {
  Panel panel{.x = {.label = "Depth"}, .y = {.label = "Variance", .unit = "px"}};
  panel.lines = {{.name = "a", .x = {0, 0.1}, .y = {1.0 / 3, NAN}, .low = {0, 0}, .high = {1, 1}}};
  CHECK(to_csv(tidy_table(one_panel(panel))) ==
        "series,Depth,Variance (px),low,high\r\na,0,0.3333333333333333,0,1\r\na,0.1,nan,0,1\r\n");
}

TEST_CASE("a map over a picture is in the table as it is, and a flat one looks flat") {
  Figure figure{.name = "maps"};
  figure.pictures.columns = 1;
  figure.pictures.row_titles = {"picture", "rollout"};
  Picture picture{.width = 1, .height = 1, .rgb = {9, 9, 9}, .caption = "cat"};
  figure.pictures.cells = {picture, picture};
  Picture& mapped = figure.pictures.cells[1];
  mapped.overlay_width = mapped.overlay_height = 2;
  mapped.overlay = {0.5, 0.25, -0.125, 1e-300};
  const Table table = tidy_table(figure);
  CHECK(table.columns ==
        std::vector<std::string>{"row", "column", "caption", "map row", "map column", "value"});
  REQUIRE(table.rows.size() == 5);
  CHECK(table.rows[0] == std::vector<std::string>{"picture", "1", "cat", "", "", ""});
  CHECK(table.rows[2] == std::vector<std::string>{"rollout", "1", "cat", "0", "1", "0.25"});
  CHECK(table.rows[3] == std::vector<std::string>{"rollout", "1", "cat", "1", "0", "-0.125"});
  CHECK(table.rows[4].back() == "1e-300");
  CHECK(display_table(figure).rows.size() == 2);
  const auto drawn = [&](const std::vector<double>& overlay) {
    mapped.overlay = overlay;
    return render_svg(figure);
  };
  CHECK(drawn({1, 1, 1, 1 - 1e-9}) == drawn({0.07, 0.07, 0.07, 0.07}));
  CHECK(drawn({1, 1, 1, 0}) != drawn({1, 1, 1, 1}));
}

TEST_CASE("a colour key belongs to what it explains: one a panel, or one scale") {
  Figure figure{.name = "keys", .columns = 2};
  figure.share_axes = false;
  for (const double most : {0.5, 40.0}) {
    Panel panel{.title = "up to " + std::to_string(most)};
    panel.heatmap = Heatmap{.rows = 2, .columns = 2, .values = {0, most, 0, most}, .value = "CKA"};
    figure.panels.push_back(panel);
  }
  const std::string apart = render_svg(figure);
  CHECK(count_of(apart, ">CKA<") == 2);
  CHECK(count_of(apart, ">0.5<") == 1);
  CHECK(count_of(apart, ">40<") == 1);
  figure.share_axes = true;
  const std::string shared = render_svg(figure);
  CHECK(count_of(shared, ">CKA<") == 1);
  CHECK(count_of(shared, ">40<") == 1);
  CHECK(count_of(shared, ">0.5<") == 0);
}

TEST_CASE("the readers' table has one column per series when the series share their x") {
  Panel panel{.x = {.label = "Depth"}};
  panel.lines = {{.name = "a", .x = {0, 1}, .y = {0.123449, -2}},
                 {.name = "b", .x = {0, 1}, .y = {3, 4}}};
  const Table table = display_table(one_panel(panel));
  CHECK(table.columns == std::vector<std::string>{"Depth", "a", "b"});
  CHECK(table.rows[0] == std::vector<std::string>{"0", "0.1234", "3"});
  CHECK(table.rows[1][1] == "\u22122");
}

TEST_CASE("npy files have NumPy's bytes") {
  const std::string bytes = encode_npy(std::vector<double>(12, 1.0), {3, 4});
  REQUIRE(bytes.size() == 128 + 12 * 8);
  const std::string dict = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }";
  CHECK(bytes.substr(0, 10) ==
        std::string("\x93NUMPY\x01\x00v\x00", 10));  // 'v' = 118 bytes of header
  CHECK(bytes.substr(10, 117) == dict + std::string(117 - dict.size(), ' '));
  CHECK(bytes[127] == '\n');
  CHECK(bytes.substr(128, 8) == std::string("\0\0\0\0\0\0\xf0\x3f", 8));
  CHECK(encode_npy(std::vector<double>(5), {5}).find("(5,), }") != std::string::npos);
  CHECK(encode_npy(std::vector<double>(1), {}).find("(), }") != std::string::npos);
  CHECK_THROWS_WITH_AS(encode_npy(std::vector<double>(5), {2, 3}),
                       doctest::Contains("do not fill the shape (2, 3)"), Error);
}

TEST_CASE("PNG images decode to the pixels that went in") {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < 7 * 5 * 4; ++i) pixels.push_back(static_cast<uint8_t>(i * 37));
  const std::string png = encode_png(pixels, 7, 5, 4);
  int width = 0, height = 0, channels = 0;
  uint8_t* decoded =
      stbi_load_from_memory(reinterpret_cast<const uint8_t*>(png.data()),
                            static_cast<int>(png.size()), &width, &height, &channels, 4);
  REQUIRE(decoded);
  CHECK(width == 7);
  CHECK(height == 5);
  CHECK(std::memcmp(decoded, pixels.data(), pixels.size()) == 0);
  stbi_image_free(decoded);
}

TEST_CASE("thinning keeps the ends and every extreme") {
  std::vector<double> y(100000);
  for (size_t i = 0; i < y.size(); ++i) y[i] = std::sin(0.01 * static_cast<double>(i));
  y[54321] = 40;
  y[67890] = -40;
  const std::vector<size_t> kept = thinned(y, 2000);
  CHECK(kept.size() <= 2000);
  CHECK(kept.front() == 0);
  CHECK(kept.back() == y.size() - 1);
  CHECK(std::is_sorted(kept.begin(), kept.end()));
  CHECK(std::set<size_t>(kept.begin(), kept.end()).count(54321) == 1);
  CHECK(std::set<size_t>(kept.begin(), kept.end()).count(67890) == 1);
}

TEST_CASE("every kind of figure draws as well-formed SVG at every width, alone and inline") {
  for (const Section& section : demo::sections())
    for (const Figure& figure : section.figures)
      for (const double width : {360.0, 720.0})
        for (const bool standalone : {true, false}) {
          const std::string svg = render_svg(figure, {.width = width, .standalone = standalone});
          CAPTURE(figure.name);
          CHECK(demo::XmlChecker(svg, false).problem() == "");
          CHECK(svg.find("role=\"img\"") != std::string::npos);
          CHECK(svg.find("<desc") != std::string::npos);
          CHECK(svg.find("nan") == std::string::npos);
          CHECK(svg.find("inf\"") == std::string::npos);
        }
}

TEST_CASE("hostile names stay text in drawings and hover data") {
  const std::string evil = "</title><script>alert(1)</script>\" onload=\"x";
  Panel panel{.title = evil, .x = {.label = evil}, .y = {.label = evil}};
  panel.lines = {{.name = evil, .x = {0, 1}, .y = {0, 1}}, {.name = "b", .x = {0, 1}, .y = {1, 0}}};
  panel.spans = {{0, 0.5, Kind::attention, evil}};
  panel.references = {{.at = 0.5, .label = evil}};
  Figure figure = one_panel(panel);
  figure.title = figure.alt = evil;
  const std::string svg = render_svg(figure);
  CHECK(demo::XmlChecker(svg, false).problem() == "");
  CHECK(svg.find("<script") == std::string::npos);
  CHECK(escape_script_json(hover_json(figure)).find('<') == std::string::npos);
}

TEST_CASE("a heatmap is one image, except where few cells hold numbers or follow the theme") {
  const auto images = [](const Heatmap& map) {
    return count_of(render_svg(one_panel({.heatmap = map})), "<image");
  };
  CHECK(images(ramp(3)) == 1);
  CHECK(images(ramp(64)) == 1);
  Heatmap numbers = ramp(24), tinted = ramp(10);
  numbers.show_values = true;
  tinted.map = ColorMap::tint;
  CHECK(images(numbers) == 0);
  CHECK(images(tinted) == 0);
  numbers = ramp(25);
  numbers.show_values = true;
  CHECK(images(numbers) == 1);
  CHECK(render_svg(one_panel({.heatmap = ramp(64)})).size() < 40000);
}

TEST_CASE("panels whose looks mean different things have legends of their own") {
  Figure figure{.name = "two", .title = "Two.", .columns = 2, .share_axes = false};
  for (const char* what : {"length", "angle"}) {
    Panel panel{.title = what};
    for (const char* part : {"first ", "second "})
      panel.lines.push_back({.name = std::string(part) + what, .x = {0, 1}, .y = {0, 1}});
    figure.panels.push_back(panel);
  }
  const PageDrawings apart = page_drawings(figure);
  CHECK(apart.keys.empty());
  REQUIRE(apart.panels.size() == 2);
  CHECK(count_of(apart.panels[0], ">first length<") == 1);
  CHECK(count_of(apart.panels[0], ">first angle<") == 0);
  CHECK(count_of(apart.panels[1], ">second angle<") == 1);
  figure.panels[1].lines = figure.panels[0].lines;
  const PageDrawings shared = page_drawings(figure);
  CHECK(shared.keys.size() == 2);
  CHECK(count_of(shared.panels[0], ">first length<") == 0);
}

TEST_CASE("the outline of a map surrounds the quarter of its places that is largest") {
  Picture picture{.width = 8, .height = 8, .rgb = std::vector<uint8_t>(192)};
  picture.overlay_width = picture.overlay_height = 8;
  picture.overlay.assign(64, 0.0);
  for (int row = 2; row < 6; ++row)
    for (int column = 4; column < 8; ++column)
      picture.overlay[static_cast<size_t>(8 * row + column)] = 1;
  const std::string d = top_quarter_path(picture, {0, 0, 80, 80});
  double left = 80, right = 0, top = 80, bottom = 0, x = 0, y = 0;
  for (size_t at = d.find_first_of("ML"); at != std::string::npos;
       at = d.find_first_of("ML", at + 1)) {
    REQUIRE(std::sscanf(d.c_str() + at + 1, "%lf,%lf", &x, &y) == 2);
    left = std::min(left, x), right = std::max(right, x);
    top = std::min(top, y), bottom = std::max(bottom, y);
  }
  // The 16 places at one end of a step of one place from 0 to 1: the level 1 is at their centres.
  CHECK(left == doctest::Approx(45));
  CHECK(right == doctest::Approx(80));
  CHECK(top == doctest::Approx(25));
  CHECK(bottom == doctest::Approx(55));
  picture.overlay.assign(64, 0.3);
  CHECK(top_quarter_path(picture, {0, 0, 80, 80}).empty());
}

TEST_CASE("the image of a heatmap holds the colour of each value, with row 0 below when asked") {
  Heatmap map = ramp(64);
  map.values[3] = NAN;
  for (const bool bottom : {false, true}) {
    map.origin_bottom = bottom;
    const std::string svg = render_svg(one_panel({.heatmap = map}));
    const size_t begin = svg.find("base64,") + 7;
    const std::string png =
        decode_base64(std::string_view(svg).substr(begin, svg.find('"', begin) - begin));
    int width = 0, height = 0, channels = 0;
    uint8_t* pixels =
        stbi_load_from_memory(reinterpret_cast<const uint8_t*>(png.data()),
                              static_cast<int>(png.size()), &width, &height, &channels, 4);
    REQUIRE(pixels);
    CHECK(width == 64);
    const auto at = [&](int row, int column) {
      return pixels + ((bottom ? 63 - row : row) * 64 + column) * 4;
    };
    const Rgb first = color_of(ColorMap::viridis, 0), last = color_of(ColorMap::viridis, 1);
    CHECK(Rgb{at(0, 0)[0], at(0, 0)[1], at(0, 0)[2]} == first);
    CHECK(Rgb{at(63, 63)[0], at(63, 63)[1], at(63, 63)[2]} == last);
    CHECK(at(0, 3)[3] == 0);  // no value: see-through, the hatch shows
    CHECK(at(0, 4)[3] == 255);
    stbi_image_free(pixels);
  }
}

TEST_CASE(
    "a drawing adapts to the theme and keeps literal colours for programs without CSS variables") {
  const std::string svg = render_svg(demo::variance_section().figures[0]);
  CHECK(svg.find("prefers-color-scheme:dark") != std::string::npos);
  CHECK(svg.find("class=\"line s0\" stroke=\"#0072b2\"") != std::string::npos);
  CHECK(render_svg(demo::variance_section().figures[0], {.standalone = false}).find("<style>") ==
        std::string::npos);
}

TEST_CASE("points of a line lie where the scales say") {
  Panel panel{.x = {.low = 0, .high = 10}, .y = {.low = 0, .high = 1}};
  panel.lines = {{.name = "a", .x = {0, 5, 10}, .y = {0, 1, 0}}};
  const std::string svg = render_svg(one_panel(panel), {.standalone = false});
  const size_t box = svg.find("data-box=\"") + 10;
  double x = 0, y = 0, width = 0, height = 0;
  REQUIRE(std::sscanf(svg.c_str() + box, "%lf %lf %lf %lf", &x, &y, &width, &height) == 4);
  const std::string expected = "d=\"M" + px(x) + "," + px(y + height) + "L" + px(x + width / 2) +
                               "," + px(y) + "L" + px(x + width) + "," + px(y + height) + "\"";
  CHECK(svg.find(expected) != std::string::npos);
}

TEST_CASE("layer names with a common beginning become short labels over brackets") {
  const std::string svg = render_svg(demo::layer_figure());
  CHECK(count_of(svg, ">stage3</text>") == 1);
  CHECK(count_of(svg, ">block1</text>") == 4);
  CHECK(svg.find(">stage3.block1</text>") == std::string::npos);
  CHECK(svg.find("at stage3.block1</title>") != std::string::npos);  // hover keeps the whole name
}

TEST_CASE("malformed figures are refused by name") {
  Panel panel;
  panel.lines = {{.name = "short", .x = {0, 1}, .y = {1}}};
  CHECK_THROWS_WITH_AS(render_svg(one_panel(panel)),
                       doctest::Contains("figure 'test': 'short' has 2 x but 1 y values"), Error);
  Figure named = one_panel({});
  named.name = "../escape";
  CHECK_THROWS_WITH_AS(render_svg(named), doctest::Contains("because it names a file"), Error);
  CHECK_THROWS_AS(
      render_svg(one_panel({.heatmap = Heatmap{.rows = 2, .columns = 2, .values = {1}}})), Error);
  CHECK_THROWS_AS(render_svg(one_panel({.x = {.low = 2, .high = 1}})), Error);
}

TEST_CASE("empty, constant and non-finite data still draw") {
  Panel panel{.y = {.scale = Scale::log10}};
  panel.lines = {{.name = "none"}, {.name = "flat", .x = {1, 2, 3}, .y = {0, -1, NAN}}};
  CHECK(demo::XmlChecker(render_svg(one_panel(panel)), false).problem() == "");
  Panel flat;
  flat.points = {{.name = "p", .x = {1}, .y = {5}}};
  CHECK(render_svg(one_panel(flat)).find("nan") == std::string::npos);
  Heatmap dead{.rows = 2, .columns = 2, .values = {NAN, NAN, NAN, NAN}};
  CHECK(render_svg(one_panel({.heatmap = dead})).find("url(#test-720-hatch0)") !=
        std::string::npos);
}
