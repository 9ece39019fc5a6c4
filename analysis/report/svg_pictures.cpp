// Grids of small pictures with crisp pixels and smooth heat overlays.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "analysis/report/contour.h"
#include "analysis/report/png.h"
#include "analysis/report/svg_parts.h"
#include "analysis/report/text.h"

namespace passband::plot {
namespace {

constexpr double kSpacing = 10, kCaption = 17, kTitle = 20;

// The grid as drawn. On a narrow page a wide grid is cut into blocks of columns, one below the
// other, so that what stands below a picture stays below it.
struct GridLayout {
  int columns = 1, rows = 1, whole_columns = 1, whole_rows = 1;
  double left = 0, top = 0, cell = 0, row_height = 0;
};

GridLayout layout_of(const Drawing& drawing) {
  const Pictures& pictures = drawing.figure.pictures;
  GridLayout grid;
  const bool keep = pictures.fixed_columns || !pictures.column_titles.empty();
  grid.whole_columns = pictures.columns;
  grid.whole_rows =
      (static_cast<int>(pictures.cells.size()) + pictures.columns - 1) / pictures.columns;
  grid.columns = drawing.narrow() && !keep ? std::min(pictures.columns, 4) : pictures.columns;
  grid.rows = grid.whole_rows * ((pictures.columns + grid.columns - 1) / grid.columns);
  for (const std::string& title : pictures.row_titles)
    grid.left = std::max(grid.left, text_width(title) * kSmallFont + 10);
  grid.left = std::min(grid.left, drawing.narrow() ? 70.0 : 130.0);
  grid.top = pictures.column_titles.empty() ? 2 : kTitle;
  grid.cell =
      std::min((drawing.width - grid.left - kSpacing * (grid.columns - 1)) / grid.columns, 168.0);
  const bool captions = std::any_of(pictures.cells.begin(), pictures.cells.end(),
                                    [](const Picture& p) { return !p.caption.empty(); });
  grid.row_height = grid.cell + kSpacing + (captions ? kCaption : 0);
  return grid;
}

// Overlay values at cell centres, continued to the rim, on the unit square.
Contour on_unit_square(const Picture& picture) {
  const auto places = [](int64_t n) {
    std::vector<double> at{0};
    for (int64_t i = 0; i < n; ++i)
      at.push_back((static_cast<double>(i) + 0.5) / static_cast<double>(n));
    at.push_back(1);
    return at;
  };
  Contour contour{.x = places(picture.overlay_width), .y = places(picture.overlay_height)};
  const auto inside = [](size_t i, int64_t n) {
    return std::clamp<int64_t>(static_cast<int64_t>(i) - 1, 0, n - 1);
  };
  for (size_t r = 0; r < contour.y.size(); ++r)
    for (size_t c = 0; c < contour.x.size(); ++c) {
      const int64_t row = inside(r, picture.overlay_height),
                    column = inside(c, picture.overlay_width);
      contour.values.push_back(
          picture.overlay[static_cast<size_t>(row * picture.overlay_width + column)]);
    }
  return contour;
}

void draw_picture(Canvas& canvas, const Pictures& pictures, const Picture& picture,
                  const Box& box) {
  canvas.open("class=\"picture\"");
  const std::string& alt = picture.alt.empty() ? picture.caption : picture.alt;
  if (!alt.empty()) canvas.raw("<title>" + escape_xml(alt) + "</title>\n");
  draw_pixels(canvas, pictures.map, picture, box);
  canvas.text(box.x + box.width / 2, box.bottom() + 13,
              fit_text(picture_caption(picture), box.width + kSpacing - 4, kSmallFont),
              Anchor::middle, picture.wrong ? "tick wrong" : "tick");
  canvas.close();
}

}  // namespace

double largest(const Picture& picture) {
  double most = 0;
  for (const double value : picture.overlay)
    if (std::isfinite(value)) most = std::max(most, value);
  return most;
}

std::vector<uint8_t> grey_of(const Picture& picture) {
  std::vector<uint8_t> grey;
  for (size_t i = 0; i + 2 < picture.rgb.size(); i += 3)
    grey.push_back(static_cast<uint8_t>(std::lround(
        0.299 * picture.rgb[i] + 0.587 * picture.rgb[i + 1] + 0.114 * picture.rgb[i + 2])));
  return grey;
}

std::string picture_caption(const Picture& picture) {
  return picture.wrong ? "\u2717 " + picture.caption : picture.caption;
}

std::string overlay_uri(const Picture& picture, ColorMap map) {
  const double most = largest(picture);
  std::vector<uint8_t> pixels;
  for (const double value : picture.overlay) {
    const double heat = most > 0 && std::isfinite(value) ? std::clamp(value / most, 0.0, 1.0) : 0;
    const Rgb color = color_of(map, heat);
    // Cold places stay see-through, so that the picture is recognised; hot ones reach the full
    // opacity.
    const double alpha = kOverlayOpacity * (0.35 + 0.65 * heat);
    pixels.insert(pixels.end(),
                  {color.r, color.g, color.b, static_cast<uint8_t>(std::lround(255 * alpha))});
  }
  return png_data_uri(pixels, picture.overlay_width, picture.overlay_height, 4);
}

std::string top_quarter_path(const Picture& picture, const Box& box) {
  const double most = largest(picture);
  std::vector<double> values = picture.overlay;
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (values.size() < 4 || most <= 0) return {};
  std::ranges::sort(values, std::greater<>());
  constexpr double kFlat = 1e-6;  // of the largest value
  if (values.front() - values.back() <= kFlat * most) return {};
  const double level = std::max(values[values.size() / 4 - 1], 1e-3 * most);
  std::string d;
  for (const Loop& loop : level_loops(on_unit_square(picture), level)) {
    for (size_t i = 0; i < loop.size(); ++i)
      d += fmt::format("{}{:.1f},{:.1f}", i == 0 ? "M" : "L", box.x + loop[i].x * box.width,
                       box.y + loop[i].y * box.height);
    d += "Z";
  }
  return d;
}

void draw_pixels(Canvas& canvas, ColorMap map, const Picture& picture, const Box& box) {
  // Letterboxed: the longer side fills the cell.
  const double scale = box.width / static_cast<double>(std::max(picture.width, picture.height));
  const double width = scale * static_cast<double>(picture.width),
               height = scale * static_cast<double>(picture.height);
  const Box inner{box.x + (box.width - width) / 2, box.y + (box.height - height) / 2, width,
                  height};
  if (picture.overlay.empty()) {
    canvas.image(inner, png_data_uri(picture.rgb, picture.width, picture.height, 3), true);
  } else {
    canvas.image(inner, png_data_uri(grey_of(picture), picture.width, picture.height, 1), true);
    canvas.image(inner, overlay_uri(picture, map), false);
    const std::string d = top_quarter_path(picture, inner);
    if (!d.empty()) canvas.path(d, "fill=\"none\" stroke=\"#ffffff\" stroke-width=\"1.2\"");
  }
  if (picture.wrong)
    canvas.rect({inner.x + 1, inner.y + 1, inner.width - 2, inner.height - 2},
                look_of(1).stroke + " stroke-width=\"2\" fill=\"none\"");
}

double pictures_height(const Drawing& drawing) {
  if (drawing.figure.pictures.cells.empty()) return 0;
  const GridLayout grid = layout_of(drawing);
  return grid.top + grid.rows * grid.row_height;
}

void draw_pictures(Canvas& canvas, const Drawing& drawing, double top) {
  const Pictures& pictures = drawing.figure.pictures;
  if (pictures.cells.empty()) return;
  const GridLayout grid = layout_of(drawing);
  const auto cell_x = [&](int column) { return grid.left + column * (grid.cell + kSpacing); };
  for (int c = 0; c < std::min(grid.columns, static_cast<int>(pictures.column_titles.size())); ++c)
    canvas.text(cell_x(c) + grid.cell / 2, top + 12,
                fit_text(pictures.column_titles[static_cast<size_t>(c)], grid.cell + kSpacing - 2,
                         kSmallFont),
                Anchor::middle, "note");
  for (size_t i = 0; i < pictures.cells.size(); ++i) {
    const int whole_column = static_cast<int>(i) % grid.whole_columns;
    const int whole_row = static_cast<int>(i) / grid.whole_columns;
    const int column = whole_column % grid.columns,
              row = whole_column / grid.columns * grid.whole_rows + whole_row;
    const Box box{cell_x(column), top + grid.top + row * grid.row_height, grid.cell, grid.cell};
    if (column == 0 && static_cast<size_t>(whole_row) < pictures.row_titles.size())
      canvas.text(
          0, box.y + box.height / 2 + 4,
          fit_text(pictures.row_titles[static_cast<size_t>(whole_row)], grid.left - 8, kSmallFont),
          Anchor::start, "note");
    draw_picture(canvas, pictures, pictures.cells[i], box);
  }
}

}  // namespace passband::plot
