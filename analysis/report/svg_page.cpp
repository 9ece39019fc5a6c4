// Drawings of a figure one by one, for the page.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/report/png.h"
#include "analysis/report/svg.h"
#include "analysis/report/svg_parts.h"
#include "analysis/report/text.h"

namespace passband::plot {
namespace {

constexpr double kColumn = 720, kViewMargin = 2, kKeyHeight = 18, kPictureSide = 100;
constexpr int64_t kMostPixels = 112;  // along a side of a picture on the page
constexpr double kBroad = 460;        // px: what is wider does not shrink to a telephone's width

std::string open_svg(const Box& view, std::string_view cls, const std::string& label, bool sized) {
  std::string out = fmt::format(R"(<svg class="fig {}" viewBox="{} {} {} {}")", cls, px(view.x),
                                px(view.y), px(view.width), px(view.height));
  if (sized) out += fmt::format(R"( width="{}" height="{}")", px(view.width), px(view.height));
  return out + fmt::format(R"( role="img" aria-label="{}">)", escape_xml(label)) + "\n";
}

std::string key_drawing(const LegendEntry& entry) {
  Canvas canvas;
  const double width = entry_width(entry) + kViewMargin;
  draw_legend(canvas, width, {entry}, {});
  return open_svg({0, 0, width, kKeyHeight}, "key", entry.label, true) + canvas.take() + "</svg>\n";
}

// The average of so many pixels that no side is longer than kMostPixels.
Picture shrunk(const Picture& picture) {
  const int64_t longest = std::max(picture.width, picture.height);
  const int64_t step = (longest + kMostPixels - 1) / kMostPixels;
  if (step <= 1) return picture;
  Picture small = picture;
  small.width = picture.width / step;
  small.height = picture.height / step;
  small.rgb.clear();
  for (int64_t y = 0; y < small.height; ++y)
    for (int64_t x = 0; x < small.width; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        double sum = 0;
        for (int64_t dy = 0; dy < step; ++dy)
          for (int64_t dx = 0; dx < step; ++dx)
            sum += picture.rgb[static_cast<size_t>(
                ((y * step + dy) * picture.width + x * step + dx) * 3 + c)];
        small.rgb.push_back(
            static_cast<uint8_t>(std::lround(sum / static_cast<double>(step * step))));
      }
  return small;
}

std::vector<uint8_t> map_bytes(const Picture& picture, double most) {
  std::vector<uint8_t> bytes;
  for (const double value : picture.overlay) {
    const double share = std::isfinite(value) && most > 0 ? std::clamp(value / most, 0.0, 1.0) : 0;
    bytes.push_back(static_cast<uint8_t>(std::lround(255 * share)));
  }
  return bytes;
}

// As wide in the enlarged picture as in the small one.
constexpr std::string_view kOutline =
    "fill=\"none\" stroke=\"#ffffff\" stroke-width=\"1.6\" vector-effect=\"non-scaling-stroke\"";

PictureDrawing picture_drawing(const Picture& picture) {
  PictureDrawing drawing{.caption = picture_caption(picture), .wrong = picture.wrong};
  const Picture small = shrunk(picture);
  const bool mapped = !picture.overlay.empty();
  drawing.base = mapped ? png_data_uri(grey_of(small), small.width, small.height, 1)
                        : png_data_uri(small.rgb, small.width, small.height, 3);
  const double longest = static_cast<double>(std::max(picture.width, picture.height));
  const double width = kPictureSide * static_cast<double>(picture.width) / longest,
               height = kPictureSide * static_cast<double>(picture.height) / longest;
  const Box box{(kPictureSide - width) / 2, (kPictureSide - height) / 2, width, height};
  Canvas canvas;
  if (mapped) {
    drawing.most = largest(picture);
    drawing.map_width = picture.overlay_width;
    drawing.map_height = picture.overlay_height;
    canvas.image(box,
                 png_data_uri(map_bytes(picture, drawing.most), picture.overlay_width,
                              picture.overlay_height, 1),
                 false, "class=\"heat\"");
    const std::string d = top_quarter_path(picture, box);
    if (!d.empty()) canvas.path(d, kOutline);
  }
  if (picture.wrong)
    canvas.rect({box.x + 1, box.y + 1, box.width - 2, box.height - 2},
                look_of(1).stroke +
                    " stroke-width=\"3\" fill=\"none\" vector-effect=\"non-scaling-stroke\"");
  const std::string& alt = picture.alt.empty() ? picture.caption : picture.alt;
  drawing.over = open_svg({0, 0, kPictureSide, kPictureSide}, "picture",
                          alt.empty() ? "picture" : alt, false) +
                 canvas.take() + "</svg>\n";
  return drawing;
}

}  // namespace

std::string heat_filter(ColorMap map) {
  constexpr int kStops = 17;
  std::string red, green, blue;
  for (int i = 0; i < kStops; ++i) {
    const Rgb color = color_of(map, static_cast<double>(i) / (kStops - 1));
    red += fmt::format("{:.3f} ", color.r / 255.0);
    green += fmt::format("{:.3f} ", color.g / 255.0);
    blue += fmt::format("{:.3f} ", color.b / 255.0);
  }
  return fmt::format(
      R"(<svg class="filters" width="0" height="0" aria-hidden="true"><filter id="heat" )"
      R"(x="0" y="0" width="1" height="1" color-interpolation-filters="sRGB">)"
      R"(<feColorMatrix values="1 0 0 0 0  0 1 0 0 0  0 0 1 0 0  {0} 0 0 0 {1}"/>)"
      R"(<feComponentTransfer><feFuncR type="table" tableValues="{2}"/>)"
      R"(<feFuncG type="table" tableValues="{3}"/><feFuncB type="table" tableValues="{4}"/>)"
      R"(</feComponentTransfer></filter></svg>)",
      0.65 * kOverlayOpacity, 0.35 * kOverlayOpacity, red, green, blue);
}

PageDrawings page_drawings(const Figure& figure) {
  check(figure);
  PageDrawings result;
  const Drawing drawing = drawing_of(figure, kColumn);
  for (const LegendEntry& entry : legend_of(drawing)) result.keys.push_back(key_drawing(entry));
  double bottom = 0;
  const std::vector<PlacedPanel> panels = lay_out(drawing, 0, bottom);
  for (size_t i = 0; i < panels.size(); ++i) {
    Canvas canvas;
    draw_placed(canvas, drawing, i, panels[i]);
    const Box view{panels[i].origin.x - kViewMargin, panels[i].origin.y,
                   panels[i].width() + 2 * kViewMargin, panels[i].layout.height() + 4};
    const std::string& title = figure.panels[i].title;
    result.panels.push_back(open_svg(view, view.width > kBroad ? "broad" : "slim",
                                     title.empty() ? figure.title : title + ": " + figure.title,
                                     true) +
                            canvas.take() + "</svg>\n");
  }
  for (const Picture& picture : figure.pictures.cells)
    result.pictures.push_back(picture_drawing(picture));
  return result;
}

}  // namespace passband::plot
