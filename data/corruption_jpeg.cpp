// What a JPEG file of a given quality does to a picture: everything that loses, nothing of the
// coding. As libjpeg does it by default: chroma at half the resolution, Annex K's tables,
// upsampling by a triangle.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/corruption_recipes.h"

namespace passband {
namespace {

using Table = std::array<int, 64>;

constexpr Table kLuminance = {16,  11,  10,  16,  24, 40, 51,  61,  12,  12,  14,  19,  26,
                              58,  60,  55,  14,  13, 16, 24,  40,  57,  69,  56,  14,  17,
                              22,  29,  51,  87,  80, 62, 18,  22,  37,  56,  68,  109, 103,
                              77,  24,  35,  55,  64, 81, 104, 113, 92,  49,  64,  78,  87,
                              103, 121, 120, 101, 72, 92, 95,  98,  112, 100, 103, 99};
constexpr Table kChrominance = {17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
                                24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
                                99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
                                99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};

Table scaled(const Table& table, int quality) {
  const int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  Table result{};
  for (size_t i = 0; i < 64; ++i) result[i] = std::clamp((table[i] * scale + 50) / 100, 1, 255);
  return result;
}

// The orthonormal cosines: row u holds the wave of frequency u.
const std::array<std::array<double, 8>, 8>& cosines() {
  static const auto table = [] {
    std::array<std::array<double, 8>, 8> t{};
    for (size_t u = 0; u < 8; ++u)
      for (size_t x = 0; x < 8; ++x)
        t[u][x] = (u == 0 ? std::sqrt(0.125) : 0.5) *
                  std::cos((2 * static_cast<double>(x) + 1) * static_cast<double>(u) *
                           std::numbers::pi / 16);
    return t;
  }();
  return table;
}

using Block = std::array<std::array<double, 8>, 8>;

// C B C' or, back, C' B C.
Block transformed(const Block& block, bool back) {
  const auto& c = cosines();
  const auto weight = [&](size_t to, size_t from) { return back ? c[from][to] : c[to][from]; };
  Block half{}, result{};
  for (size_t i = 0; i < 8; ++i)
    for (size_t j = 0; j < 8; ++j)
      for (size_t k = 0; k < 8; ++k) half[i][j] += weight(i, k) * block[k][j];
  for (size_t i = 0; i < 8; ++i)
    for (size_t j = 0; j < 8; ++j)
      for (size_t k = 0; k < 8; ++k) result[i][j] += half[i][k] * weight(j, k);
  return result;
}

double to_byte(double v) { return std::clamp(std::nearbyint(v), 0.0, 255.0); }

// Quantises a plane whose sides are multiples of 8.
void quantise(Raster& plane, const Table& table) {
  for (int64_t top = 0; top < plane.height; top += 8)
    for (int64_t left = 0; left < plane.width; left += 8) {
      Block block{};
      const auto pixel = [&](size_t i, size_t j) -> double& {
        return plane.at(top + static_cast<int64_t>(i), left + static_cast<int64_t>(j));
      };
      for (size_t i = 0; i < 8; ++i)
        for (size_t j = 0; j < 8; ++j) block[i][j] = pixel(i, j) - 128;
      block = transformed(block, false);
      for (size_t i = 0; i < 8; ++i)
        for (size_t j = 0; j < 8; ++j) {
          const double q = table[8 * i + j];
          block[i][j] = q * std::round(block[i][j] / q);
        }
      block = transformed(block, true);
      for (size_t i = 0; i < 8; ++i)
        for (size_t j = 0; j < 8; ++j) pixel(i, j) = to_byte(block[i][j] + 128);
    }
}

Raster halved(const Raster& plane) {
  Raster out(plane.height / 2, plane.width / 2, 1);
  for (int64_t y = 0; y < out.height; ++y)
    for (int64_t x = 0; x < out.width; ++x) {
      const double sum = plane.at(2 * y, 2 * x) + plane.at(2 * y, 2 * x + 1) +
                         plane.at(2 * y + 1, 2 * x) + plane.at(2 * y + 1, 2 * x + 1);
      // libjpeg's alternating rounding
      out.at(y, x) = std::floor((sum + (x % 2 == 0 ? 1 : 2)) / 4);
    }
  return out;
}

// Doubles the first rows x columns of a plane: three parts of the nearest, one of the next, both
// ways.
Raster doubled(const Raster& plane, int64_t rows, int64_t columns) {
  Raster out(2 * plane.height, 2 * plane.width, 1);
  for (int64_t y = 0; y < 2 * rows; ++y)
    for (int64_t x = 0; x < 2 * columns; ++x) {
      const int64_t near_y = y / 2, near_x = x / 2;
      const int64_t far_y = std::clamp<int64_t>(near_y + (y % 2 ? 1 : -1), 0, rows - 1);
      const int64_t far_x = std::clamp<int64_t>(near_x + (x % 2 ? 1 : -1), 0, columns - 1);
      const double near = 3 * plane.at(near_y, near_x) + plane.at(far_y, near_x);
      const double far = 3 * plane.at(near_y, far_x) + plane.at(far_y, far_x);
      out.at(y, x) = std::floor((3 * near + far + (x % 2 ? 7 : 8)) / 16);
    }
  return out;
}

}  // namespace

void jpeg_compression(CorruptionJob& job) {
  const int quality = job.pick<int>({80, 65, 58, 50, 40}, {25, 18, 15, 10, 7});
  const int64_t side = job.side(), padded = (side + 15) / 16 * 16;
  const Raster bytes = rounded_to_bytes(job.x);
  std::array<Raster, 3> planes;
  for (Raster& plane : planes) plane = Raster(padded, padded, 1);
  for (int64_t y = 0; y < padded; ++y)
    for (int64_t x = 0; x < padded; ++x) {
      const int64_t from_y = std::min(y, side - 1), from_x = std::min(x, side - 1);
      const double r = bytes.at(from_y, from_x, 0), g = bytes.at(from_y, from_x, 1),
                   b = bytes.at(from_y, from_x, 2);
      planes[0].at(y, x) = to_byte(0.299 * r + 0.587 * g + 0.114 * b);
      planes[1].at(y, x) = to_byte(-0.168735892 * r - 0.331264108 * g + 0.5 * b + 128);
      planes[2].at(y, x) = to_byte(0.5 * r - 0.418687589 * g - 0.081312411 * b + 128);
    }
  quantise(planes[0], scaled(kLuminance, quality));
  for (size_t k = 1; k < 3; ++k) {
    planes[k] = halved(planes[k]);
    quantise(planes[k], scaled(kChrominance, quality));
    planes[k] = doubled(planes[k], (side + 1) / 2, (side + 1) / 2);
  }
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x) {
      const double l = planes[0].at(y, x), cb = planes[1].at(y, x) - 128,
                   cr = planes[2].at(y, x) - 128;
      job.x.at(y, x, 0) = to_byte(l + 1.402 * cr) / 255;
      job.x.at(y, x, 1) = to_byte(l - 0.344136286 * cb - 0.714136286 * cr) / 255;
      job.x.at(y, x, 2) = to_byte(l + 1.772 * cb) / 255;
    }
}

}  // namespace passband
