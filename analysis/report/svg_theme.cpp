// The look of figures: theme variables for light and dark paper, and the classes that use them.
#include "analysis/report/svg_theme.h"

#include <fmt/format.h>

#include "analysis/report/color.h"
#include "analysis/report/svg_canvas.h"

namespace passband::plot {
namespace {

constexpr std::string_view kRules = R"css(
.fig{font-family:"Helvetica Neue",Helvetica,Arial,"Liberation Sans",sans-serif;
font-size:12px;overflow:visible}
.fig text{fill:var(--ink)}
.fig .tick{font-size:11px;fill:var(--muted);font-variant-numeric:tabular-nums}
.fig .label{fill:var(--muted)}
.fig .title{font-weight:600}
.fig .wrong{fill:var(--ink);font-weight:600}
.fig .strip{font-size:10px;font-weight:600}
.fig .note{font-size:11px;fill:var(--muted)}
.fig .halo{paint-order:stroke;stroke:var(--paper);stroke-width:3.5px;stroke-linejoin:round}
.fig .cell{font-size:11px;font-variant-numeric:tabular-nums}
.fig .on-light{fill:#1b1b1a}
.fig .on-dark{fill:#fff}
.fig .on-tint{fill:var(--paper)}
.fig .paper{fill:var(--paper)}
.fig .rim path:not(.rule){stroke:var(--paper);stroke-width:.75}
.fig .grid{stroke:var(--grid);stroke-width:1}
.fig .axis{stroke:var(--axis);stroke-width:1}
.fig .rule{stroke:var(--muted);stroke-width:1}
.fig .break{stroke:var(--paper);stroke-width:1.5}
.fig .tint{fill:var(--accent)}
.fig .hatch{stroke:var(--muted)}
.fig .line{fill:none;stroke-width:1.75;stroke-linejoin:round;stroke-linecap:round}
.fig .faint{stroke-width:1;stroke-opacity:.45}
.fig .crisp{image-rendering:pixelated}
)css";

std::string family(std::string_view prefix, int index, std::string_view color) {
  return fmt::format("--{}{}:{};", prefix, index, color);
}

std::string variables(bool dark) {
  std::string out =
      dark ? "--paper:#16181b;--ink:#e7e5e0;--muted:#a5a39c;--grid:#2d3034;--axis:#70726f;"
           : "--paper:#fff;--ink:#1b1b1a;--muted:#5d5d57;--grid:#e7e6e2;--axis:#85857d;";
  out += fmt::format("--accent:{};", hex(dark ? kAccentDark : kAccentLight));
  for (int i = 0; i < kSeriesColors; ++i)
    out += family("s", i, hex((dark ? kSeriesDark : kSeriesLight)[static_cast<size_t>(i)]));
  // Curves ordered by depth avoid the end of the map that the paper would swallow.
  for (int i = 0; i < kShades; ++i) {
    const double t = static_cast<double>(i) / (kShades - 1);
    out += family("v", i, hex(color_of(ColorMap::viridis, dark ? 0.28 + 0.72 * t : 0.88 * t)));
    out += family("m", i, hex(color_of(ColorMap::magma, dark ? 0.35 + 0.63 * t : 0.05 + 0.75 * t)));
  }
  return out;
}

std::string color_classes() {
  std::string out;
  const auto add = [&](std::string_view name) {
    out += fmt::format(".fig .s{0}{{stroke:var(--{1})}}.fig .f{0}{{fill:var(--{1})}}\n",
                       name.substr(name[0] == 's'), name);
  };
  for (int i = 0; i < kSeriesColors; ++i) add(fmt::format("s{}", i));
  for (int i = 0; i < kShades; ++i) {
    add(fmt::format("v{}", i));
    add(fmt::format("m{}", i));
  }
  return out;
}

}  // namespace

// Paper is light: dark themes are for screens.
std::string theme_rules(std::string_view root) {
  return fmt::format(
      "{0}{{{1}}}\n@media screen and "
      "(prefers-color-scheme:dark){{{0}:not([data-theme=light]){{{2}}}"
      "}}\n@media screen{{{0}[data-theme=dark]{{{2}}}}}\n{3}{4}",
      root, variables(false), variables(true), kRules.substr(1), color_classes());
}

std::string svg_theme() { return theme_rules(":root"); }

}  // namespace passband::plot
