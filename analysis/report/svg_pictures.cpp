// Grids of small pictures with crisp pixels and smooth heat overlays.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/report/png.h"
#include "analysis/report/svg_parts.h"
#include "analysis/report/text.h"

namespace passband::plot {
namespace {

constexpr double kSpacing = 10, kCaption = 17, kTitle = 20;
constexpr int64_t kOverlayPixels = 64;

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

double overlay_at(const Picture& picture, double x, double y) {
  const auto at = [&](int64_t column, int64_t row) {
    column = std::clamp<int64_t>(column, 0, picture.overlay_width - 1);
    row = std::clamp<int64_t>(row, 0, picture.overlay_height - 1);
    const double v = picture.overlay[static_cast<size_t>(row * picture.overlay_width + column)];
    return std::isfinite(v) ? v : 0.0;
  };
  // Bilinear between cell centres.
  const double u = x * static_cast<double>(picture.overlay_width) - 0.5,
               v = y * static_cast<double>(picture.overlay_height) - 0.5;
  const auto column = static_cast<int64_t>(std::floor(u)),
             row = static_cast<int64_t>(std::floor(v));
  const double du = u - std::floor(u), dv = v - std::floor(v);
  return (1 - dv) * ((1 - du) * at(column, row) + du * at(column + 1, row)) +
         dv * ((1 - du) * at(column, row + 1) + du * at(column + 1, row + 1));
}

std::string overlay_uri(const Picture& picture, ColorMap map) {
  double most = 0;
  for (const double value : picture.overlay)
    if (std::isfinite(value)) most = std::max(most, value);
  std::vector<uint8_t> pixels;
  pixels.reserve(static_cast<size_t>(kOverlayPixels * kOverlayPixels * 4));
  for (int64_t row = 0; row < kOverlayPixels; ++row)
    for (int64_t column = 0; column < kOverlayPixels; ++column) {
      const double n = static_cast<double>(kOverlayPixels);
      const double value = overlay_at(picture, (static_cast<double>(column) + 0.5) / n,
                                      (static_cast<double>(row) + 0.5) / n);
      const double heat = most > 0 ? std::clamp(value / most, 0.0, 1.0) : 0;
      const Rgb color = color_of(map, heat);
      // Cold places stay see-through, so that the picture is recognised; hot ones reach the full
      // opacity.
      const double alpha = picture.overlay_opacity * (0.35 + 0.65 * heat);
      pixels.insert(pixels.end(),
                    {color.r, color.g, color.b, static_cast<uint8_t>(std::lround(255 * alpha))});
    }
  return png_data_uri(pixels, kOverlayPixels, kOverlayPixels, 4);
}

void draw_picture(Canvas& canvas, const Pictures& pictures, const Picture& picture,
                  const Box& box) {
  canvas.open("class=\"picture\"");
  const std::string& alt = picture.alt.empty() ? picture.caption : picture.alt;
  if (!alt.empty()) canvas.raw("<title>" + escape_xml(alt) + "</title>\n");
  // Letterboxed: the longer side fills the cell.
  const double scale = box.width / static_cast<double>(std::max(picture.width, picture.height));
  const double width = scale * static_cast<double>(picture.width),
               height = scale * static_cast<double>(picture.height);
  const Box inner{box.x + (box.width - width) / 2, box.y + (box.height - height) / 2, width,
                  height};
  canvas.image(inner, png_data_uri(picture.rgb, picture.width, picture.height, 3), true);
  if (!picture.overlay.empty()) canvas.image(inner, overlay_uri(picture, pictures.map), false);
  canvas.text(box.x + box.width / 2, box.bottom() + 13,
              fit_text(picture.caption, box.width + kSpacing - 4, kSmallFont), Anchor::middle,
              "tick");
  canvas.close();
}

}  // namespace

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
