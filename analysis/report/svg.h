// Figures as SVG: one self-contained drawing that follows the light or dark theme of whoever shows
// it.
#pragma once
#include <string>

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

// The numbers behind a figure as JSON, for the page's read-out: per panel axes, series and heatmap
// values.
std::string hover_json(const Figure& figure);

}  // namespace passband::plot
