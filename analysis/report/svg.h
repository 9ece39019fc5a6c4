// Figures as SVG: one self-contained drawing that follows the light or dark theme of whoever shows
// it.
#pragma once
#include <string>
#include <vector>

#include "analysis/report/figure.h"

namespace passband::plot {

struct SvgOptions {
  double width = 720;  // pixels; 720 fills the text column of the page, 360 a telephone
  // with XML declaration, theme and background; false: for a page with `svg_theme()`
  bool standalone = true;
};

// The drawing. Colours are literal attributes (for programs without CSS variables) overridden by
// theme variables.
std::string render_svg(const Figure& figure, const SvgOptions& options = {});

// One picture of a grid, drawn by itself: the picture as an image's address, of which the page
// keeps one copy, and what lies over it. A map is an image in grey, from 0 to `most`, that the
// page's filter `#heat` colours.
struct PictureDrawing {
  std::string base = {}, over = {}, caption = {};
  bool wrong = false;
  int64_t map_width = 0, map_height = 0;  // 0: no map
  double most = 0;
};
// The filter, as an SVG without a size: grey to the colours of `map`, see-through where it is 0.
std::string heat_filter(ColorMap map);

// The drawings of a figure one by one, for a page with `svg_theme()` that lays them out as its
// width allows: keys of the legend, panels, pictures.
struct PageDrawings {
  std::vector<std::string> keys = {}, panels = {};
  std::vector<PictureDrawing> pictures = {};  // row-major
};
PageDrawings page_drawings(const Figure& figure);

// The numbers behind a figure as JSON, for the page's read-out: per panel axes, series and heatmap
// values.
std::string hover_json(const Figure& figure);

}  // namespace passband::plot
