// Filters, scaling and colour spaces of the corruptions.
#include "data/corruption_filters.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/core/error.h"

namespace passband {
namespace {

// One-dimensional correlation along rows or columns.
Raster correlate_line(const Raster& in, const std::vector<double>& kernel, bool along_rows,
                      Border border) {
  const auto radius = (std::ssize(kernel) - 1) / 2;
  Raster out(in.height, in.width, in.channels);
  for (int64_t y = 0; y < in.height; ++y)
    for (int64_t x = 0; x < in.width; ++x)
      for (int64_t k = -radius; k <= radius; ++k) {
        const int64_t from_y = along_rows ? y : beyond(y + k, in.height, border);
        const int64_t from_x = along_rows ? beyond(x + k, in.width, border) : x;
        const double weight = kernel[static_cast<size_t>(k + radius)];
        for (int64_t c = 0; c < in.channels; ++c)
          out.at(y, x, c) += weight * in.at(from_y, from_x, c);
      }
  return out;
}

std::vector<double> gaussian_kernel(int64_t radius, double sigma) {
  std::vector<double> kernel;
  double total = 0;
  for (int64_t k = -radius; k <= radius; ++k) {
    const auto distance = static_cast<double>(k);
    kernel.push_back(std::exp(-distance * distance / (2 * sigma * sigma)));
    total += kernel.back();
  }
  for (double& weight : kernel) weight /= total;
  return kernel;
}

}  // namespace

int64_t beyond(int64_t at, int64_t extent, Border border) {
  if (border == Border::nearest) return std::clamp<int64_t>(at, 0, extent - 1);
  if (extent == 1) return 0;
  const int64_t period = border == Border::reflect ? 2 * extent : 2 * extent - 2;
  const int64_t folded = (at % period + period) % period;
  return folded < extent ? folded : (border == Border::reflect ? period - 1 : period) - folded;
}

Raster gaussian_filter(const Raster& in, double sigma, Border border, double truncate) {
  const auto radius = static_cast<int64_t>(truncate * sigma + 0.5);
  if (radius == 0) return in;
  const std::vector<double> kernel = gaussian_kernel(radius, sigma);
  return correlate_line(correlate_line(in, kernel, false, border), kernel, true, border);
}

Raster correlate(const Raster& in, const std::vector<double>& kernel, int64_t size, Border border) {
  const int64_t radius = size / 2;
  Raster out(in.height, in.width, in.channels);
  for (int64_t ky = 0; ky < size; ++ky)
    for (int64_t kx = 0; kx < size; ++kx) {
      const double weight = kernel[static_cast<size_t>(ky * size + kx)];
      if (weight == 0) continue;
      for (int64_t y = 0; y < in.height; ++y) {
        const int64_t from_y = beyond(y + ky - radius, in.height, border);
        for (int64_t x = 0; x < in.width; ++x) {
          const int64_t from_x = beyond(x + kx - radius, in.width, border);
          for (int64_t c = 0; c < in.channels; ++c)
            out.at(y, x, c) += weight * in.at(from_y, from_x, c);
        }
      }
    }
  return out;
}

Raster box_blur(const Raster& in) {
  return correlate(in, std::vector<double>(9, 1.0 / 9), 3, Border::reflect101);
}

std::vector<double> disk_kernel(double radius, double alias, int64_t& size) {
  const int64_t half = radius <= 8 ? 8 : static_cast<int64_t>(radius);
  size = 2 * half + 1;
  Raster disk(size, size, 1);
  double total = 0;
  for (int64_t y = -half; y <= half; ++y)
    for (int64_t x = -half; x <= half; ++x) {
      const bool inside = static_cast<double>(x * x + y * y) <= radius * radius;
      disk.at(y + half, x + half) = inside;
      total += inside;
    }
  for (double& v : disk.values) v /= total;
  const std::vector<double> soft = gaussian_kernel(radius <= 8 ? 1 : 2, alias);
  return correlate_line(correlate_line(disk, soft, false, Border::reflect101), soft, true,
                        Border::reflect101)
      .values;
}

Raster motion_filter(const Raster& in, double radius, double sigma, double angle) {
  const auto taps = static_cast<int64_t>(2 * std::ceil(radius) + 1);
  std::vector<double> kernel;
  double total = 0;
  for (int64_t i = 0; i < taps; ++i) {
    const auto distance = static_cast<double>(i);
    kernel.push_back(std::exp(-distance * distance / (2 * sigma * sigma)));
    total += kernel.back();
  }
  const double turn = angle * std::numbers::pi / 180;
  Raster out(in.height, in.width, in.channels);
  for (int64_t i = 0; i < taps; ++i) {
    const auto along = static_cast<double>(i);
    const auto dx = static_cast<int64_t>(std::ceil(along * std::cos(turn) - 0.5));
    const auto dy = static_cast<int64_t>(std::ceil(along * std::sin(turn) - 0.5));
    const double weight = kernel[static_cast<size_t>(i)] / total;
    for (int64_t y = 0; y < in.height; ++y)
      for (int64_t x = 0; x < in.width; ++x)
        for (int64_t c = 0; c < in.channels; ++c)
          out.at(y, x, c) += weight * in.at(beyond(y + dy, in.height, Border::nearest),
                                            beyond(x + dx, in.width, Border::nearest), c);
  }
  return out;
}

double sample(const Raster& in, double y, double x, int64_t c, Border border) {
  const double top = std::floor(y), left = std::floor(x), fy = y - top, fx = x - left;
  const auto row = static_cast<int64_t>(top), column = static_cast<int64_t>(left);
  const int64_t y0 = beyond(row, in.height, border), y1 = beyond(row + 1, in.height, border);
  const int64_t x0 = beyond(column, in.width, border), x1 = beyond(column + 1, in.width, border);
  return (1 - fy) * ((1 - fx) * in.at(y0, x0, c) + fx * in.at(y0, x1, c)) +
         fy * ((1 - fx) * in.at(y1, x0, c) + fx * in.at(y1, x1, c));
}

Raster clipped_zoom(const Raster& in, double factor) {
  const int64_t side = in.height;
  const auto crop = static_cast<int64_t>(std::ceil(static_cast<double>(side) / factor));
  const auto zoomed = static_cast<int64_t>(std::nearbyint(static_cast<double>(crop) * factor));
  const int64_t top = (side - crop) / 2, trim = (zoomed - side) / 2;
  const double step =
      zoomed > 1 ? static_cast<double>(crop - 1) / static_cast<double>(zoomed - 1) : 0;
  Raster out(side, side, in.channels);
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x)
      for (int64_t c = 0; c < in.channels; ++c)
        out.at(y, x, c) = sample(
            in, static_cast<double>(top) + static_cast<double>(y + trim) * step,
            static_cast<double>(top) + static_cast<double>(x + trim) * step, c, Border::nearest);
  return out;
}

Raster plasma(int64_t side, double decay, RandomSequence& random) {
  Raster map(side, side, 1);
  double wobble = 100;
  const auto moved = [&](double sum) {
    return sum / 4 + wobble * (-wobble + 2 * wobble * static_cast<double>(random.uniform()));
  };
  const auto wrapped = [&](int64_t y, int64_t x) {
    return map.at((y + side) % side, (x + side) % side);
  };
  const auto fill = [&](int64_t step, int64_t top, int64_t left, auto&& sum) {
    for (int64_t y = top; y < side; y += step)
      for (int64_t x = left; x < side; x += step) map.at(y, x) = moved(sum(y, x));
  };
  for (int64_t step = side; step >= 2; step /= 2, wobble /= decay) {
    const int64_t half = step / 2;
    fill(step, half, half, [&](int64_t y, int64_t x) {
      return wrapped(y - half, x - half) + wrapped(y - half, x + half) +
             wrapped(y + half, x - half) + wrapped(y + half, x + half);
    });
    const auto cross = [&](int64_t y, int64_t x) {
      return wrapped(y - half, x) + wrapped(y + half, x) + wrapped(y, x - half) +
             wrapped(y, x + half);
    };
    fill(step, 0, half, cross);
    fill(step, half, 0, cross);
  }
  const auto [low, high] = std::ranges::minmax(map.values);
  for (double& v : map.values) v = high > low ? (v - low) / (high - low) : 0;
  return map;
}

void rgb_to_hsv(double* pixel) {
  const double r = pixel[0], g = pixel[1], b = pixel[2];
  const double high = std::max({r, g, b}), delta = high - std::min({r, g, b});
  double hue = 0;
  if (delta > 0) {
    if (b == high) hue = 4 + (r - g) / delta;
    else if (g == high) hue = 2 + (b - r) / delta;
    else hue = (g - b) / delta;
    hue /= 6;
    hue -= std::floor(hue);
  }
  pixel[0] = hue;
  pixel[1] = high > 0 ? delta / high : 0;
  pixel[2] = high;
}

void hsv_to_rgb(double* pixel) {
  const double hue = 6 * pixel[0], s = pixel[1], v = pixel[2];
  const double sector = std::floor(hue), f = hue - sector;
  const double p = v * (1 - s), q = v * (1 - f * s), t = v * (1 - (1 - f) * s);
  const std::array<std::array<double, 3>, 6> colors = {
      {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}}};
  const auto& color = colors[static_cast<size_t>(static_cast<int64_t>(sector) % 6)];
  std::ranges::copy(color, pixel);
}

}  // namespace passband
