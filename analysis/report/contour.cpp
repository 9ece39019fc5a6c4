// Marching squares on the grid framed by nodes that lie outside of every level, so that all
// outlines close.
#include "analysis/report/contour.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "analysis/report/text.h"
#include "analysis/report/ticks.h"

namespace passband::plot {
namespace {

// The grid with one more node on each side. Frame nodes share the place of their neighbour inside.
class FramedGrid {
 public:
  FramedGrid(const Contour& contour, double level)
      : columns(std::ssize(contour.x) + 2),
        rows(std::ssize(contour.y) + 2),
        contour_(contour),
        level_(level) {}

  const int64_t columns, rows;

  double value(int64_t r, int64_t c) const {
    if (r == 0 || c == 0 || r == rows - 1 || c == columns - 1) return NAN;
    const double v = contour_.values[static_cast<size_t>((r - 1) * (columns - 2) + c - 1)];
    return std::isfinite(v) ? v : NAN;
  }
  bool inside(int64_t r, int64_t c) const { return value(r, c) >= level_; }
  PlanePoint place(int64_t r, int64_t c) const {
    const auto clamped = [](const std::vector<double>& axis, int64_t i) {
      return axis[static_cast<size_t>(std::clamp<int64_t>(i - 1, 0, std::ssize(axis) - 1))];
    };
    return {clamped(contour_.x, c), clamped(contour_.y, r)};
  }

  // Where the outline crosses the edge between two nodes, one inside and one not.
  PlanePoint crossing(int64_t r0, int64_t c0, int64_t r1, int64_t c1) const {
    if (!inside(r0, c0)) std::swap(r0, r1), std::swap(c0, c1);
    const PlanePoint in = place(r0, c0), out = place(r1, c1);
    const double high = value(r0, c0), low = value(r1, c1);
    const double t = std::isfinite(low) && high > low ? (high - level_) / (high - low) : 0;
    return {in.x + t * (out.x - in.x), in.y + t * (out.y - in.y)};
  }

 private:
  const Contour& contour_;
  double level_;
};

// The four corners of a cell in circular order, and the edges between each and the next.
constexpr std::array<std::pair<int, int>, 4> kCorners = {{{0, 0}, {0, 1}, {1, 1}, {1, 0}}};

struct Segment {
  int64_t to = 0;  // the edge at its end
  PlanePoint begin;
};
// By the edge at the segment's begin. The region lies on the same side of all of them, so that each
// edge begins one segment and ends one.
using Segments = std::unordered_map<int64_t, Segment>;

// Every edge has a number: the one to the right of a node is even, the one below it odd.
int64_t edge_number(const FramedGrid& grid, int64_t r, int64_t c, int edge) {
  switch (edge) {
    case 0: return 2 * (r * grid.columns + c);
    case 1: return 2 * (r * grid.columns + c + 1) + 1;
    case 2: return 2 * ((r + 1) * grid.columns + c);
    default: return 2 * (r * grid.columns + c) + 1;
  }
}

bool centre_inside(const FramedGrid& grid, int64_t r, int64_t c, double level) {
  double total = 0;
  for (const auto& [dr, dc] : kCorners) total += grid.value(r + dr, c + dc);
  return total / 4 >= level;  // false where a corner has no value
}

void add_cell(const FramedGrid& grid, int64_t r, int64_t c, double level, Segments& segments) {
  std::array<bool, 4> in{};
  for (size_t k = 0; k < 4; ++k) in[k] = grid.inside(r + kCorners[k].first, c + kCorners[k].second);
  std::array<int, 2> enters{}, leaves{};
  size_t count = 0, left = 0;
  for (int k = 0; k < 4; ++k) {
    const auto a = static_cast<size_t>(k), b = static_cast<size_t>((k + 1) % 4);
    if (!in[a] && in[b]) enters[count++] = k;
    if (in[a] && !in[b]) leaves[left++] = k;
  }
  for (size_t i = 0; i < count; ++i) {
    // An outline that enters the region along the cell's rim goes back to where the rim left it:
    // the previous leave when the centre joins both corners, else the next one.
    int to = leaves[i];
    if (count == 2) {
      const int after = (leaves[0] - enters[i] + 4) % 4 < (leaves[1] - enters[i] + 4) % 4 ? 0 : 1;
      to = leaves[static_cast<size_t>(centre_inside(grid, r, c, level) ? 1 - after : after)];
    }
    const auto k = static_cast<size_t>(enters[i]), next = (k + 1) % 4;
    segments[edge_number(grid, r, c, enters[i])] = {
        edge_number(grid, r, c, to),
        grid.crossing(r + kCorners[k].first, c + kCorners[k].second, r + kCorners[next].first,
                      c + kCorners[next].second)};
  }
}

}  // namespace

std::vector<Loop> level_loops(const Contour& contour, double level) {
  const FramedGrid grid(contour, level);
  Segments segments;
  for (int64_t r = 0; r + 1 < grid.rows; ++r)
    for (int64_t c = 0; c + 1 < grid.columns; ++c) add_cell(grid, r, c, level, segments);
  // In the order of the edges, so that equal figures have equal bytes.
  std::vector<int64_t> order;
  for (const auto& [edge, segment] : segments) order.push_back(edge);
  std::ranges::sort(order);
  std::vector<Loop> loops;
  for (const int64_t first : order) {
    Loop loop;
    auto at = segments.find(first);
    while (at != segments.end()) {
      loop.push_back(at->second.begin);
      const int64_t next = at->second.to;
      segments.erase(at);
      at = segments.find(next);
    }
    if (loop.size() > 2) loops.push_back(std::move(loop));
  }
  return loops;
}

Interval value_range(const Contour& contour) {
  Interval range{INFINITY, -INFINITY};
  for (const double v : contour.values)
    if (std::isfinite(v)) range = {std::min(range.low, v), std::max(range.high, v)};
  return range.low <= range.high ? range : Interval{};
}

std::vector<double> levels_between(double low, double high) {
  std::vector<double> levels;
  for (const double tick : make_ticks({low, high > low ? high : low + 1}, Scale::linear, 12).at)
    if (tick > low && tick < high) levels.push_back(tick);
  return levels;
}

std::vector<double> levels_of(const Contour& contour) {
  if (!contour.levels.empty()) return contour.levels;
  const auto [low, high] = value_range(contour);
  if (low > 0 && high > 20 * low) {
    std::vector<double> levels;
    const double factor = std::pow(high / low, 1.0 / 11);
    for (int i = 1; i <= 10; ++i) levels.push_back(low * std::pow(factor, i));
    return levels;
  }
  return levels_between(low, high);
}

Heatmap as_heatmap(const Contour& contour) {
  Heatmap map{.rows = std::ssize(contour.y),
              .columns = std::ssize(contour.x),
              .values = contour.values,
              .value = contour.value,
              .map = contour.map,
              .origin_bottom = true};
  for (const double y : contour.y) map.row_labels.push_back(format_number(y));
  for (const double x : contour.x) map.column_labels.push_back(format_number(x));
  return map;
}

}  // namespace passband::plot
