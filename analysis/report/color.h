// Colours: a palette that survives colour blindness, and colour maps.
#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "analysis/report/figure.h"

namespace passband::plot {

struct Rgb {
  uint8_t r = 0, g = 0, b = 0;
  friend bool operator==(const Rgb&, const Rgb&) = default;
};

// "#0072b2"
std::string hex(const Rgb& color);

// Series colours in the light theme (Okabe and Ito 2008, without the yellow that white paper
// swallows) and their lighter counterparts for dark paper. Series i takes colour i modulo the
// count.
inline constexpr int kSeriesColors = 7;
extern const std::array<Rgb, kSeriesColors> kSeriesLight, kSeriesDark;

// The accent of the `tint` map.
inline constexpr Rgb kAccentLight{0x1f, 0x5f, 0x99}, kAccentDark{0x7f, 0xb8, 0xec};

// Colour of `t` in [0, 1], clamped. Piecewise linear between ten published stops (viridis, magma:
// van der Walt and Smith; diverging: ColorBrewer RdBu reversed, Brewer 2003); tint: white to the
// light accent.
Rgb color_of(ColorMap map, double t);

// Relative luminance by WCAG 2: 0 black, 1 white. Text in a cell is dark above 0.36 and light
// below.
double luminance(const Rgb& color);

}  // namespace passband::plot
