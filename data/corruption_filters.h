// Image operations of the corruptions, each as the library the published programs call defines
// it.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "tensor/core/random.h"

namespace passband {

// Pixels in [0, 1] unless said otherwise, row-major, `channels` values each.
struct Raster {
  int64_t height = 0, width = 0, channels = 3;
  std::vector<double> values;

  Raster() = default;
  Raster(int64_t height, int64_t width, int64_t channels = 3)
      : height(height),
        width(width),
        channels(channels),
        values(static_cast<size_t>(height * width * channels)) {}
  double& at(int64_t y, int64_t x, int64_t c = 0) {
    return values[static_cast<size_t>((y * width + x) * channels + c)];
  }
  double at(int64_t y, int64_t x, int64_t c = 0) const {
    return values[static_cast<size_t>((y * width + x) * channels + c)];
  }
};

// How a picture goes on beyond its edge.
enum class Border {
  nearest,     // a a | a b c | c c
  reflect,     // b a | a b c | c b   (scipy's reflect)
  reflect101,  // c b | a b c | b a   (OpenCV's default)
};
int64_t beyond(int64_t at, int64_t extent, Border border);

// scipy.ndimage.gaussian_filter over height and width: radius int(truncate * sigma + 0.5).
Raster gaussian_filter(const Raster& in, double sigma, Border border = Border::nearest,
                       double truncate = 4);
// Correlation with an odd square kernel of side `size`, anchored at its centre.
Raster correlate(const Raster& in, const std::vector<double>& kernel, int64_t size, Border border);
// Mean over 3 x 3 pixels, edges reflected (OpenCV's blur).
Raster box_blur(const Raster& in);
// A disk of `radius` softened by a Gaussian of `alias`, sums to 1. `size`: its side.
std::vector<double> disk_kernel(double radius, double alias, int64_t& size);
// ImageMagick's motion blur: a one-sided Gaussian of round(2 ceil(radius)) + 1 taps along `angle`
// in degrees.
Raster motion_filter(const Raster& in, double radius, double sigma, double angle);
// Enlarges the middle of a square by `factor` with linear interpolation, keeping its size
// (scipy.ndimage.zoom).
Raster clipped_zoom(const Raster& in, double factor);
// Value at a fractional place, linear.
double sample(const Raster& in, double y, double x, int64_t c, Border border);

// Plasma fractal of a power-of-two side by diamonds and squares on a torus, scaled to [0, 1].
Raster plasma(int64_t side, double decay, RandomSequence& random);

// Hue, saturation and value in [0, 1], and back, in place.
void rgb_to_hsv(double* pixel);
void hsv_to_rgb(double* pixel);

// OpenCV on 8-bit planes (values 0 to 255): edges by Canny with 3 x 3 Sobel operators and |dx| +
// |dy|; distances to the nearest zero by the 5 x 5 chamfer; histogram equalisation.
Raster canny(const Raster& in, double low, double high);
Raster chamfer_distance(const Raster& in);
Raster equalised(const Raster& in);

}  // namespace passband
