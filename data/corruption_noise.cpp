// Noises and blurs.
#include <algorithm>
#include <cmath>

#include "data/corruption_recipes.h"

namespace passband {
namespace {

// A Poisson number by inversion of one uniform number of 53 bits.
double poisson(double mean, RandomSequence& random) {
  const uint64_t high = random.next(), low = random.next();
  const double u = static_cast<double>((high << 21) ^ (low >> 11)) * 0x1p-53;
  double probability = std::exp(-mean), below = probability;
  int64_t k = 0;
  while (u > below && probability > 0) {
    probability *= mean / static_cast<double>(++k);
    below += probability;
  }
  return static_cast<double>(k);
}

}  // namespace

void gaussian_noise(CorruptionJob& job) {
  const double c = job.pick<double>({.04, .06, .08, .09, .10}, {.08, .12, .18, .26, .38});
  for (double& v : job.x.values) v += c * static_cast<double>(job.random.normal());
}

void shot_noise(CorruptionJob& job) {
  const double c = job.pick<double>({500, 250, 100, 75, 50}, {60, 25, 12, 5, 3});
  for (double& v : job.x.values) v = poisson(v * c, job.random) / c;
}

void impulse_noise(CorruptionJob& job) {
  const double c = job.pick<double>({.01, .02, .03, .05, .07}, {.03, .06, .09, .17, .27});
  for (double& v : job.x.values) {
    const double hit = job.random.uniform(), salt = job.random.uniform();
    if (hit <= c) v = salt <= 0.5 ? 1 : 0;
  }
}

void speckle_noise(CorruptionJob& job) {
  const double c = job.pick<double>({.06, .1, .12, .16, .2}, {.15, .2, .35, .45, .6});
  for (double& v : job.x.values) v += v * c * static_cast<double>(job.random.normal());
}

void gaussian_blur(CorruptionJob& job) {
  job.x = gaussian_filter(job.x, job.pick<double>({.4, .6, .7, .8, 1}, {1, 2, 3, 4, 6}));
}

void defocus_blur(CorruptionJob& job) {
  struct Disk {
    double radius, alias;
  };
  const Disk c = job.pick<Disk>({{{.3, .4}, {.4, .5}, {.5, .6}, {1, .2}, {1.5, .1}}},
                                {{{3, .1}, {4, .5}, {6, .5}, {8, .5}, {10, .5}}});
  int64_t size = 0;
  const std::vector<double> kernel = disk_kernel(c.radius, c.alias, size);
  job.x = correlate(job.x, kernel, size, Border::reflect101);
}

void glass_blur(CorruptionJob& job) {
  struct Glass {
    double sigma;
    int64_t reach, rounds;
  };
  const Glass c = job.pick<Glass>({{{.05, 1, 1}, {.25, 1, 1}, {.4, 1, 1}, {.25, 1, 2}, {.4, 1, 2}}},
                                  {{{.7, 1, 2}, {.9, 2, 1}, {1, 2, 3}, {1.1, 3, 2}, {1.5, 4, 2}}});
  Raster x = truncated_to_bytes(gaussian_filter(job.x, c.sigma));
  for (int64_t round = 0; round < c.rounds; ++round)
    for (int64_t y = job.side() - c.reach; y > c.reach; --y)
      for (int64_t column = job.side() - c.reach; column > c.reach; --column) {
        const int64_t dx = job.random.below(2 * c.reach) - c.reach,
                      dy = job.random.below(2 * c.reach) - c.reach;
        // The published swap reads through views of one array: its second half copies what the
        // first half wrote.
        for (int64_t k = 0; k < 3; ++k) x.at(y, column, k) = x.at(y + dy, column + dx, k);
      }
  for (double& v : x.values) v /= 255;
  job.x = gaussian_filter(x, c.sigma);
}

void motion_blur(CorruptionJob& job) {
  struct Motion {
    double radius, sigma;
  };
  const Motion c = job.pick<Motion>({{{6, 1}, {6, 1.5}, {6, 2}, {8, 2}, {9, 2.5}}},
                                    {{{10, 3}, {15, 5}, {15, 8}, {15, 12}, {20, 15}}});
  const double angle = job.random.uniform(-45, 45);
  job.x = motion_filter(job.x, c.radius, c.sigma, angle);
}

void zoom_blur(CorruptionJob& job) {
  // How many zooms there are, from 1 up: as many as numpy.arange gives for the published ends,
  // which rounding makes include two of the ends that it should leave out.
  struct Zoom {
    int count;
    double step;
  };
  const Zoom c = job.pick<Zoom>({{{7, .01}, {12, .01}, {16, .01}, {21, .01}, {26, .01}}},
                                {{{12, .01}, {16, .01}, {11, .02}, {13, .02}, {11, .03}}});
  Raster total = job.x;
  for (int i = 0; i < c.count; ++i) {
    const Raster zoomed = clipped_zoom(job.x, 1 + i * c.step);
    for (size_t k = 0; k < total.values.size(); ++k) total.values[k] += zoomed.values[k];
  }
  for (double& v : total.values) v /= c.count + 1;
  job.x = std::move(total);
}

}  // namespace passband
