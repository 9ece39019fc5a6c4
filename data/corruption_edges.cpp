// What OpenCV does to 8-bit planes: Canny edges, chamfer distances, histogram equalisation.
#include <algorithm>
#include <cmath>

#include "data/corruption_filters.h"

namespace passband {
namespace {

struct Gradient {
  std::vector<int> dx, dy, size;  // size = |dx| + |dy|
};

Gradient sobel(const Raster& in) {
  Gradient g;
  const auto pixel = [&](int64_t y, int64_t x) {
    return static_cast<int>(
        in.at(beyond(y, in.height, Border::nearest), beyond(x, in.width, Border::nearest)));
  };
  for (int64_t y = 0; y < in.height; ++y)
    for (int64_t x = 0; x < in.width; ++x) {
      const int dx = pixel(y - 1, x + 1) + 2 * pixel(y, x + 1) + pixel(y + 1, x + 1) -
                     pixel(y - 1, x - 1) - 2 * pixel(y, x - 1) - pixel(y + 1, x - 1);
      const int dy = pixel(y + 1, x - 1) + 2 * pixel(y + 1, x) + pixel(y + 1, x + 1) -
                     pixel(y - 1, x - 1) - 2 * pixel(y - 1, x) - pixel(y - 1, x + 1);
      g.dx.push_back(dx);
      g.dy.push_back(dy);
      g.size.push_back(std::abs(dx) + std::abs(dy));
    }
  return g;
}

// Is the gradient at a pixel the largest across its edge? Ties go to the left and the upper pixel.
bool is_ridge(const Raster& in, const Gradient& g, int64_t y, int64_t x) {
  const auto size = [&](int64_t yy, int64_t xx) {
    const bool inside = yy >= 0 && xx >= 0 && yy < in.height && xx < in.width;
    return inside ? g.size[static_cast<size_t>(yy * in.width + xx)] : 0;
  };
  const auto at = static_cast<size_t>(y * in.width + x);
  const int here = g.size[at];
  constexpr int64_t kTangent = 13573;  // tan(22.5 degrees) * 2^15
  const int64_t run = std::abs(g.dx[at]), rise = int64_t{std::abs(g.dy[at])} << 15;
  const int64_t flat = run * kTangent;
  if (rise < flat) return here > size(y, x - 1) && here >= size(y, x + 1);
  if (rise > flat + (run << 16)) return here > size(y - 1, x) && here >= size(y + 1, x);
  const int64_t slant = (g.dx[at] ^ g.dy[at]) < 0 ? -1 : 1;
  return here > size(y - 1, x - slant) && here > size(y + 1, x + slant);
}

}  // namespace

Raster canny(const Raster& in, double low, double high) {
  const Gradient g = sobel(in);
  Raster edges(in.height, in.width, 1);
  std::vector<uint8_t> candidate(g.size.size());
  std::vector<size_t> open;
  for (int64_t y = 0; y < in.height; ++y)
    for (int64_t x = 0; x < in.width; ++x) {
      const auto at = static_cast<size_t>(y * in.width + x);
      candidate[at] = g.size[at] > low && is_ridge(in, g, y, x);
      if (candidate[at] && g.size[at] > high) open.push_back(at);
    }
  for (const size_t at : open) edges.values[at] = 255;
  while (!open.empty()) {
    const auto at = static_cast<int64_t>(open.back());
    open.pop_back();
    for (int64_t y = std::max<int64_t>(0, at / in.width - 1);
         y <= std::min(in.height - 1, at / in.width + 1); ++y)
      for (int64_t x = std::max<int64_t>(0, at % in.width - 1);
           x <= std::min(in.width - 1, at % in.width + 1); ++x) {
        const auto next = static_cast<size_t>(y * in.width + x);
        if (!candidate[next] || edges.values[next] > 0) continue;
        edges.values[next] = 255;
        open.push_back(next);
      }
  }
  return edges;
}

Raster chamfer_distance(const Raster& in) {
  struct Step {
    int64_t dy, dx;
    double length;
  };
  constexpr double a = 1, b = 1.4, c = 2.1969;
  constexpr Step steps[] = {{-2, -1, c}, {-2, 1, c}, {-1, -2, c}, {-1, -1, b},
                            {-1, 0, a},  {-1, 1, b}, {-1, 2, c},  {0, -1, a}};
  Raster distance(in.height, in.width, 1);
  for (size_t i = 0; i < in.values.size(); ++i) distance.values[i] = in.values[i] == 0 ? 0 : 1e6;
  const auto relax = [&](int64_t y, int64_t x, int64_t sign) {
    for (const Step& step : steps) {
      const int64_t yy = y + sign * step.dy, xx = x + sign * step.dx;
      if (yy < 0 || xx < 0 || yy >= in.height || xx >= in.width) continue;
      distance.at(y, x) = std::min(distance.at(y, x), distance.at(yy, xx) + step.length);
    }
  };
  for (int64_t y = 0; y < in.height; ++y)
    for (int64_t x = 0; x < in.width; ++x) relax(y, x, 1);
  for (int64_t y = in.height - 1; y >= 0; --y)
    for (int64_t x = in.width - 1; x >= 0; --x) relax(y, x, -1);
  return distance;
}

Raster equalised(const Raster& in) {
  std::array<int64_t, 256> histogram{};
  for (const double v : in.values) ++histogram[static_cast<size_t>(v)];
  const auto total = std::ssize(in.values);
  const auto first = static_cast<size_t>(
      std::ranges::find_if(histogram, [](int64_t n) { return n > 0; }) - histogram.begin());
  Raster out = in;
  if (histogram[first] == total) return out;
  const double scale = 255.0 / static_cast<double>(total - histogram[first]);
  std::array<double, 256> table{};
  int64_t sum = 0;
  for (size_t i = first + 1; i < 256; ++i) {
    sum += histogram[i];
    table[i] = std::nearbyint(static_cast<double>(sum) * scale);
  }
  for (double& v : out.values) v = table[static_cast<size_t>(v)];
  return out;
}

}  // namespace passband
