// Filled levels with thin lines between them, and the level's number on every other line.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/report/contour.h"
#include "analysis/report/svg_parts.h"
#include "analysis/report/text.h"

namespace passband::plot {
namespace {

// All that is drawn with: where the data lie on the page.
struct Plane {
  const AxisMap &x, &y;
  Point operator()(const PlanePoint& p) const { return {x(p.x), y(p.y)}; }
};

std::string path_of(const std::vector<Loop>& loops, const Plane& plane) {
  std::string d;
  for (const Loop& loop : loops) {
    for (size_t i = 0; i < loop.size(); ++i) {
      const Point p = plane(loop[i]);
      d += fmt::format("{}{},{}", i == 0 ? "M" : "L", px(p.x), px(p.y));
    }
    d += "Z";
  }
  return d;
}

// The point of the outline that is nearest to `wish` among those away from the plot's rim.
const PlanePoint* place_of(const std::vector<Loop>& loops, const Plane& plane, const Box& area,
                           Point wish) {
  const PlanePoint* best = nullptr;
  double least = INFINITY;
  for (const Loop& loop : loops)
    for (const PlanePoint& point : loop) {
      const Point p = plane(point);
      if (p.x < area.x + 16 || p.x > area.right() - 16 || p.y < area.y + 12 ||
          p.y > area.bottom() - 12)
        continue;
      const double distance = std::hypot(p.x - wish.x, p.y - wish.y);
      if (distance < least) least = distance, best = &point;
    }
  return best;
}

}  // namespace

void draw_contour(Canvas& canvas, const Contour& contour, const AxisMap& x, const AxisMap& y,
                  const Box& area) {
  const Plane plane{x, y};
  const std::vector<double> levels = levels_of(contour);
  const auto bands = static_cast<double>(std::max<size_t>(1, levels.size()));
  const std::string everywhere =
      path_of(level_loops(contour, std::numeric_limits<double>::lowest()), plane);
  canvas.path(everywhere, fill_of(contour.map, 0) + " fill-rule=\"evenodd\"");
  std::vector<std::vector<Loop>> outlines;
  for (size_t i = 0; i < levels.size(); ++i) {
    outlines.push_back(level_loops(contour, levels[i]));
    const std::string d = path_of(outlines.back(), plane);
    if (d.empty()) continue;
    canvas.path(d, fill_of(contour.map, static_cast<double>(i + 1) / bands) +
                       " fill-rule=\"evenodd\" stroke=\"#ffffff\" stroke-opacity=\"0.45\" "
                       "stroke-width=\"0.6\"");
  }
  std::vector<Point> taken;
  for (size_t i = 0; i < levels.size(); i += 2) {
    // Numbers run from the middle towards the upper right, where lines of a bowl are crossed one by
    // one.
    const double t = 0.5 + 0.5 * static_cast<double>(i + 1) / bands;
    const Point wish{area.x + t * area.width, area.bottom() - t * area.height};
    const PlanePoint* place = place_of(outlines[i], plane, area, wish);
    if (!place) continue;
    const Point p = plane(*place);
    const auto near = [&](const Point& q) {
      return std::abs(p.x - q.x) < 30 && std::abs(p.y - q.y) < 13;
    };
    if (std::ranges::any_of(taken, near)) continue;
    taken.push_back(p);
    canvas.text(p.x, p.y + 3.8, format_number(levels[i], 3), Anchor::middle, "note halo");
  }
}

}  // namespace passband::plot
