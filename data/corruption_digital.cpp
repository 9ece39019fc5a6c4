// Colours, elastic deformation and coarse pixels.
#include <algorithm>
#include <cmath>

#include "data/corruption_recipes.h"

namespace passband {
namespace {

struct Place {
  double x = 0, y = 0;
};

// dst -> src of the affine map that takes three places `from` to `to`.
struct PlaceMap {
  double xx, xy, x0, yx, yy, y0;
  Place operator()(double x, double y) const {
    return {xx * x + xy * y + x0, yx * x + yy * y + y0};
  }
};

PlaceMap inverse_map(const std::array<Place, 3>& from, const std::array<Place, 3>& to) {
  const double ax = to[1].x - to[0].x, ay = to[1].y - to[0].y, bx = to[2].x - to[0].x,
               by = to[2].y - to[0].y;
  const double determinant = ax * by - bx * ay;
  const auto row = [&](double f0, double f1, double f2, double& along_x, double& along_y,
                       double& start) {
    along_x = ((f1 - f0) * by - (f2 - f0) * ay) / determinant;
    along_y = ((f2 - f0) * ax - (f1 - f0) * bx) / determinant;
    start = f0 - along_x * to[0].x - along_y * to[0].y;
  };
  PlaceMap map{};
  row(from[0].x, from[1].x, from[2].x, map.xx, map.xy, map.x0);
  row(from[0].y, from[1].y, from[2].y, map.yx, map.yy, map.y0);
  return map;
}

// How far each pixel is displaced along one axis.
Raster displacement(CorruptionJob& job, double amount, double sigma) {
  Raster field(job.side(), job.side(), 1);
  for (double& v : field.values) v = -1 + 2 * static_cast<double>(job.random.uniform());
  field = gaussian_filter(field, sigma, Border::reflect, 3);
  for (double& v : field.values) v *= amount;
  return field;
}

// One axis of Pillow's BOX filter, rounded to bytes: each new pixel is the mean of the old ones
// whose centres it covers.
Raster boxed_rows(const Raster& in, int64_t height) {
  const double scale = static_cast<double>(in.height) / static_cast<double>(height);
  const double support = 0.5 * std::max(scale, 1.0);
  Raster out(height, in.width, in.channels);
  for (int64_t y = 0; y < height; ++y) {
    const double centre = (static_cast<double>(y) + 0.5) * scale;
    const auto begin = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const auto end = std::min(in.height, static_cast<int64_t>(centre + support + 0.5));
    std::vector<int64_t> covered;
    for (int64_t from = begin; from < end; ++from) {
      const double at = (static_cast<double>(from) - centre + 0.5) * 0.5 / support;
      if (at > -0.5 && at <= 0.5) covered.push_back(from);
    }
    for (int64_t x = 0; x < in.width; ++x)
      for (int64_t c = 0; c < in.channels; ++c) {
        double total = 0;
        for (const int64_t from : covered) total += in.at(from, x, c);
        out.at(y, x, c) = std::floor(total / static_cast<double>(covered.size()) + 0.5);
      }
  }
  return out;
}

Raster transposed(const Raster& in) {
  Raster out(in.width, in.height, in.channels);
  for (int64_t y = 0; y < in.height; ++y)
    for (int64_t x = 0; x < in.width; ++x)
      for (int64_t c = 0; c < in.channels; ++c) out.at(x, y, c) = in.at(y, x, c);
  return out;
}

Raster box_resized(const Raster& bytes, int64_t side) {
  return boxed_rows(transposed(boxed_rows(transposed(bytes), side)), side);
}

template <class Change> void change_colours(Raster& x, Change&& change) {
  for (size_t i = 0; i < x.values.size(); i += 3) {
    rgb_to_hsv(&x.values[i]);
    change(&x.values[i]);
    hsv_to_rgb(&x.values[i]);
  }
}

}  // namespace

void brightness(CorruptionJob& job) {
  const double c = job.pick<double>({.05, .1, .15, .2, .3}, {.1, .2, .3, .4, .5});
  change_colours(job.x, [c](double* hsv) { hsv[2] = std::clamp(hsv[2] + c, 0.0, 1.0); });
}

void saturate(CorruptionJob& job) {
  struct Saturate {
    double factor, offset;
  };
  const Saturate c = job.pick<Saturate>({{{.3, 0}, {.1, 0}, {1.5, 0}, {2, .1}, {2.5, .2}}},
                                        {{{.3, 0}, {.1, 0}, {2, 0}, {5, .1}, {20, .2}}});
  change_colours(job.x,
                 [c](double* hsv) { hsv[1] = std::clamp(hsv[1] * c.factor + c.offset, 0.0, 1.0); });
}

void contrast(CorruptionJob& job) {
  const double c = job.pick<double>({.75, .5, .4, .3, .15}, {.4, .3, .2, .1, .05});
  std::array<double, 3> mean{};
  const auto n = static_cast<double>(job.x.values.size() / 3);
  for (size_t i = 0; i < job.x.values.size(); ++i) mean[i % 3] += job.x.values[i] / n;
  for (size_t i = 0; i < job.x.values.size(); ++i) {
    double& v = job.x.values[i];
    v = (v - mean[i % 3]) * c + mean[i % 3];
  }
}

void elastic_transform(CorruptionJob& job) {
  struct Elastic {  // in sides of the picture
    double amount, sigma, affine;
  };
  constexpr double kLarge = 244.0 / 224;  // the published programs count in 244 pixels
  Elastic c = job.pick<Elastic>(
      {{{0, 0, .08}, {.05, .2, .07}, {.08, .06, .06}, {.1, .04, .05}, {.1, .03, .03}}},
      {{{2, .7, .1}, {2, .08, .2}, {.05, .01, .02}, {.07, .01, .02}, {.12, .01, .02}}});
  const double unit = static_cast<double>(job.side()) * (job.small ? 1 : kLarge);
  const auto centre = static_cast<double>(job.side() / 2),
             reach = static_cast<double>(job.side() / 3);
  const std::array<Place, 3> from = {{{centre + reach, centre + reach},
                                      {centre + reach, centre - reach},
                                      {centre - reach, centre - reach}}};
  std::array<Place, 3> to = from;
  for (Place& place : to) {
    const auto jitter = [&] {
      return c.affine * unit * (-1 + 2 * static_cast<double>(job.random.uniform()));
    };
    place.x += jitter();
    place.y += jitter();
  }
  const PlaceMap back = inverse_map(from, to);
  Raster turned(job.side(), job.side());
  for (int64_t y = 0; y < job.side(); ++y)
    for (int64_t x = 0; x < job.side(); ++x) {
      const Place place = back(static_cast<double>(x), static_cast<double>(y));
      for (int64_t k = 0; k < 3; ++k)
        turned.at(y, x, k) = sample(job.x, place.y, place.x, k, Border::reflect101);
    }
  const Raster dx = displacement(job, c.amount * unit, c.sigma * unit);
  const Raster dy = displacement(job, c.amount * unit, c.sigma * unit);
  for (int64_t y = 0; y < job.side(); ++y)
    for (int64_t x = 0; x < job.side(); ++x)
      for (int64_t k = 0; k < 3; ++k)
        job.x.at(y, x, k) = sample(turned, static_cast<double>(y) + dy.at(y, x),
                                   static_cast<double>(x) + dx.at(y, x), k, Border::reflect);
}

void pixelate(CorruptionJob& job) {
  const double c = job.pick<double>({.95, .9, .85, .75, .65}, {.6, .5, .4, .3, .25});
  const auto coarse = static_cast<int64_t>(static_cast<double>(job.side()) * c);
  job.x = box_resized(box_resized(rounded_to_bytes(job.x), coarse), job.side());
  for (double& v : job.x.values) v /= 255;
}

}  // namespace passband
