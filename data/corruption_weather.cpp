// Snow, frost, fog and spatter.
#include <algorithm>
#include <cmath>

#include "data/corruption_recipes.h"

namespace passband {
namespace {

int64_t power_of_two(int64_t least) {
  int64_t side = 1;
  while (side < least) side *= 2;
  return side;
}

double grey(const Raster& x, int64_t at) {
  const double* pixel = x.values.data() + 3 * at;
  return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
}

Raster normal_plane(int64_t side, double mean, double deviation, RandomSequence& random) {
  Raster plane(side, side, 1);
  for (double& v : plane.values) v = mean + deviation * static_cast<double>(random.normal());
  return plane;
}

Raster clipped(Raster x) {
  for (double& v : x.values) v = std::clamp(v, 0.0, 1.0);
  return x;
}

struct Spatter {
  double mean, deviation, blur, threshold, strength;
  bool mud;
};

// How thick the water is at each pixel: strongest some way inside the drops, drawn from the
// distance to their rims.
Raster water(const Raster& liquid) {
  const Raster drops = truncated_to_bytes(liquid);
  Raster away = canny(drops, 50, 150);
  for (double& v : away.values) v = 255 - v;
  Raster distance = chamfer_distance(away);
  for (double& v : distance.values) v = std::min(v, 20.0);
  distance = box_blur(distance);
  for (double& v : distance.values) v = std::floor(v + 1e-9);
  Raster relief =
      correlate(equalised(distance), {-2, -1, 0, -1, 1, 1, 0, 1, 2}, 3, Border::reflect101);
  for (double& v : relief.values) v = std::clamp(v, 0.0, 255.0);
  relief = box_blur(relief);
  for (size_t i = 0; i < relief.values.size(); ++i)
    relief.values[i] = std::nearbyint(relief.values[i]) * drops.values[i];
  return relief;
}

}  // namespace

void fog(CorruptionJob& job) {
  struct Fog {
    double amount, decay;
  };
  const Fog c = job.pick<Fog>({{{.2, 3}, {.5, 3}, {.75, 2.5}, {1, 2}, {1.5, 1.75}}},
                              {{{1.5, 2}, {2, 2}, {2.5, 1.7}, {2.5, 1.5}, {3, 1.4}}});
  const Raster map = plasma(power_of_two(job.side()), c.decay, job.random);
  const double brightest = *std::ranges::max_element(job.x.values);
  for (int64_t y = 0; y < job.side(); ++y)
    for (int64_t x = 0; x < job.side(); ++x)
      for (int64_t k = 0; k < 3; ++k) {
        double& v = job.x.at(y, x, k);
        v = (v + c.amount * map.at(y, x)) * brightest / (brightest + c.amount);
      }
}

// In place of the published photographs: bluish crystals, the ridges of two plasma fractals, one
// coarse and one fine.
void frost(CorruptionJob& job) {
  struct Frost {
    double picture, frost;
  };
  const Frost c = job.pick<Frost>({{{1, .2}, {1, .3}, {.9, .4}, {.85, .4}, {.75, .45}}},
                                  {{{1, .4}, {.8, .6}, {.7, .7}, {.65, .7}, {.6, .75}}});
  const int64_t side = power_of_two(job.side());
  const Raster coarse = plasma(side, 1.8, job.random), fine = plasma(side, 1.35, job.random);
  constexpr std::array<double, 3> tint = {0.82, 0.91, 1.0};
  for (int64_t y = 0; y < job.side(); ++y)
    for (int64_t x = 0; x < job.side(); ++x) {
      const auto ridge = [](double v) { return 1 - std::abs(2 * v - 1); };
      const double crystal =
          0.25 + 0.75 * std::pow(ridge(coarse.at(y, x)), 2) * (0.4 + 0.6 * ridge(fine.at(y, x)));
      for (size_t k = 0; k < 3; ++k) {
        double& v = job.x.at(y, x, static_cast<int64_t>(k));
        v = c.picture * v + c.frost * crystal * tint[k];
      }
    }
}

void snow(CorruptionJob& job) {
  struct Snow {
    double mean, deviation, zoom, threshold, radius, sigma, keep;
  };
  const Snow c = job.pick<Snow>({{{.1, .2, 1, .6, 8, 3, .95},
                                  {.1, .2, 1, .5, 10, 4, .9},
                                  {.15, .3, 1.75, .55, 10, 4, .9},
                                  {.25, .3, 2.25, .6, 12, 6, .85},
                                  {.3, .3, 1.25, .65, 14, 12, .8}}},
                                {{{.1, .3, 3, .5, 10, 4, .8},
                                  {.2, .3, 2, .5, 12, 4, .7},
                                  {.55, .3, 4, .9, 12, 8, .7},
                                  {.55, .3, 4.5, .85, 12, 8, .65},
                                  {.55, .3, 2.5, .85, 12, 12, .55}}});
  Raster flakes = clipped_zoom(normal_plane(job.side(), c.mean, c.deviation, job.random), c.zoom);
  for (double& v : flakes.values) v = v < c.threshold ? 0 : v;
  const double angle = job.random.uniform(-135, -45);
  flakes = truncated_to_bytes(clipped(std::move(flakes)));
  for (double& v : flakes.values) v /= 255;
  flakes = rounded_to_bytes(motion_filter(flakes, c.radius, c.sigma, angle));
  const auto pixels = job.side() * job.side();
  for (int64_t i = 0; i < pixels; ++i) {
    const double bright = 1.5 * grey(job.x, i) + 0.5;
    const double fall = (flakes.values[static_cast<size_t>(i)] +
                         flakes.values[static_cast<size_t>(pixels - 1 - i)]) /
                        255;
    for (int64_t k = 0; k < 3; ++k) {
      double& v = job.x.values[static_cast<size_t>(3 * i + k)];
      v = c.keep * v + (1 - c.keep) * std::max(v, bright) + fall;
    }
  }
}

void spatter(CorruptionJob& job) {
  const Spatter c = job.pick<Spatter>({{{.62, .1, .7, .7, .5, false},
                                        {.65, .1, .8, .7, .5, false},
                                        {.65, .3, 1, .69, .5, false},
                                        {.65, .1, .7, .69, .6, true},
                                        {.65, .1, .5, .68, .6, true}}},
                                      {{{.65, .3, 4, .69, .6, false},
                                        {.65, .3, 3, .68, .6, false},
                                        {.65, .3, 2, .68, .5, false},
                                        {.65, .3, 1, .65, 1.5, true},
                                        {.67, .4, 1, .65, 1.5, true}}});
  Raster liquid =
      gaussian_filter(normal_plane(job.side(), c.mean, c.deviation, job.random), c.blur);
  for (double& v : liquid.values) v = v < c.threshold ? 0 : v;
  Raster cover = liquid;
  std::array<double, 3> color = {175 / 255.0, 238 / 255.0, 238 / 255.0};  // pale turquoise
  if (c.mud) {
    for (double& v : cover.values) v = v > c.threshold;
    cover = gaussian_filter(cover, c.strength);
    for (double& v : cover.values) v = v < 0.8 ? 0 : v;
    color = {63 / 255.0, 42 / 255.0, 20 / 255.0};
  } else {
    cover = water(liquid);
    const double most = *std::ranges::max_element(cover.values);
    for (double& v : cover.values) v = most > 0 ? c.strength * v / most : 0;
  }
  for (size_t i = 0; i < job.x.values.size(); ++i) {
    const double m = cover.values[i / 3];
    job.x.values[i] = (c.mud ? 1 - m : 1) * job.x.values[i] + m * color[i % 3];
  }
}

}  // namespace passband
