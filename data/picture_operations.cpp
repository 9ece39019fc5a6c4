// The arithmetic is Pillow's down to its roundings: 8 bits between operations, truncated blends.
#include "data/picture_operations.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace passband {
namespace {

using Table = std::array<uint8_t, 256>;

template <class T> uint8_t to_byte(T value) {
  return static_cast<uint8_t>(std::clamp<T>(value, 0, 255));
}

int64_t floor_of(double value) { return static_cast<int64_t>(std::floor(value)); }

const uint8_t* pixel_at(const BytePicture& p, int64_t y, int64_t x) {
  return &p.pixels[static_cast<size_t>(
      (std::clamp<int64_t>(y, 0, p.height - 1) * p.width + std::clamp<int64_t>(x, 0, p.width - 1)) *
      3)];
}

// --- reading between pixels ---

double linear(const double* v, double t) { return v[0] + (v[1] - v[0]) * t; }

double cubic(const double* v, double t) {
  const double p1 = v[1], p2 = -v[0] + v[2];
  const double p3 = 2 * (v[0] - v[1]) + v[2] - v[3], p4 = -v[0] + v[1] - v[2] + v[3];
  return p1 + t * (p2 + t * (p3 + t * p4));
}

// A place within the picture; `taps` pixels a row, of as many rows.
template <int taps> void read_between(const BytePicture& p, double x, double y, uint8_t* out) {
  constexpr int kBefore = taps / 2 - 1;
  const auto between = taps == 2 ? linear : cubic;
  const int64_t column = floor_of(x - 0.5), row = floor_of(y - 0.5);
  const double dx = x - 0.5 - static_cast<double>(column), dy = y - 0.5 - static_cast<double>(row);
  for (int c = 0; c < 3; ++c) {
    std::array<double, taps> rows{}, values{};
    for (int i = 0; i < taps; ++i) {
      for (int k = 0; k < taps; ++k)
        values[k] = pixel_at(p, row - kBefore + i, column - kBefore + k)[c];
      rows[i] = between(values.data(), dx);
    }
    out[c] = to_byte(between(rows.data(), dy));
  }
}

// Pillow steps from pixel to pixel in 16.16 fixed point.
struct FixedPlaces {
  explicit FixedPlaces(const Affine& w)
      : a(of(w.a)),
        b(of(w.b)),
        c(of(w.c + w.a * 0.5 + w.b * 0.5)),
        d(of(w.d)),
        e(of(w.e)),
        f(of(w.f + w.d * 0.5 + w.e * 0.5)) {}
  static int64_t of(double value) { return floor_of(value * 65536 + 0.5); }
  int64_t column(int64_t x, int64_t y) const { return (c + a * x + b * y) >> 16; }
  int64_t row(int64_t x, int64_t y) const { return (f + d * x + e * y) >> 16; }

  int64_t a, b, c, d, e, f;
};

bool holds(const BytePicture& p, auto x, auto y) {
  return x >= 0 && y >= 0 && x < static_cast<decltype(x)>(p.width) &&
         y < static_cast<decltype(y)>(p.height);
}

void read_nearest(const BytePicture& in, const Affine& where, BytePicture& out) {
  const FixedPlaces places(where);
  for (int64_t y = 0; y < in.height; ++y)
    for (int64_t x = 0; x < in.width; ++x) {
      const int64_t column = places.column(x, y), row = places.row(x, y);
      if (holds(in, column, row))
        std::copy_n(pixel_at(in, row, column), 3, &out.pixels[(y * in.width + x) * 3]);
    }
}

template <int taps> void read_smoothly(const BytePicture& in, const Affine& w, BytePicture& out) {
  for (int64_t row = 0; row < in.height; ++row)
    for (int64_t column = 0; column < in.width; ++column) {
      const double x = static_cast<double>(column) + 0.5, y = static_cast<double>(row) + 0.5;
      const double at_x = w.a * x + w.b * y + w.c, at_y = w.d * x + w.e * y + w.f;
      if (holds(in, at_x, at_y))
        read_between<taps>(in, at_x, at_y, &out.pixels[(row * in.width + column) * 3]);
    }
}

// --- tables of values ---

std::array<int64_t, 256> histogram(const BytePicture& p, int channel) {
  std::array<int64_t, 256> counts{};
  for (size_t i = channel; i < p.pixels.size(); i += 3) ++counts[p.pixels[i]];
  return counts;
}

void apply(BytePicture& p, int channel, const Table& table) {
  for (size_t i = channel; i < p.pixels.size(); i += 3) p.pixels[i] = table[p.pixels[i]];
}

void apply_to_all(BytePicture& p, auto&& value_of) {
  Table table{};
  for (int v = 0; v < 256; ++v) table[v] = to_byte<int>(value_of(v));
  for (uint8_t& value : p.pixels) value = table[value];
}

// --- blends ---

// Image.blend: plain + factor (picture - plain), truncated.
uint8_t blend(int plain, int value, float factor) {
  return to_byte(static_cast<float>(plain) + factor * static_cast<float>(value - plain));
}

int grey_of(const uint8_t* rgb) {
  return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
}

// --- blurs ---

// The radius of a box, with a fraction, of which three make a Gaussian.
float box_radius(float radius) {
  const float variance = radius * radius / 3;
  const auto length = static_cast<float>(std::sqrt(12.0 * variance + 1.0));
  const auto whole = static_cast<float>(std::floor((length - 1.0) / 2.0));
  const float part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance) /
                     (6 * (variance - (whole + 1) * (whole + 1)));
  return whole + part;
}

// Along `count` values `stride` bytes apart.
void box_blur_line(uint8_t* line, int64_t count, int64_t stride, float radius) {
  const auto whole = static_cast<int64_t>(radius);
  const auto weight = static_cast<uint32_t>((1 << 24) / (radius * 2 + 1));
  const auto edge_weight =
      static_cast<uint32_t>(((1 << 24) - (2 * whole + 1) * static_cast<int64_t>(weight)) / 2);
  std::vector<uint32_t> in(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) in[i] = line[i * stride];
  const auto at = [&](int64_t i) { return in[std::clamp<int64_t>(i, 0, count - 1)]; };
  for (int64_t i = 0; i < count; ++i) {
    uint32_t sum = 0;
    for (int64_t k = -whole; k <= whole; ++k) sum += at(i + k);
    const uint32_t value =
        sum * weight + (at(i - whole - 1) + at(i + whole + 1)) * edge_weight + (1u << 23);
    line[i * stride] = static_cast<uint8_t>(value >> 24);
  }
}

double rounded_to_15_digits(double value) { return std::nearbyint(value * 1e15) / 1e15; }

}  // namespace

void transform(BytePicture& picture, const Affine& where, Sampling sampling, const Colour& fill) {
  BytePicture out = picture;
  for (size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = fill[i % 3];
  if (sampling == Sampling::nearest) read_nearest(picture, where, out);
  else if (sampling == Sampling::bilinear) read_smoothly<2>(picture, where, out);
  else read_smoothly<4>(picture, where, out);
  picture = std::move(out);
}

void rotate_about_centre(BytePicture& picture, double degrees, Sampling sampling,
                         const Colour& fill) {
  const double turned = std::fmod(std::fmod(degrees, 360) + 360, 360);
  const double angle = -(turned * (std::numbers::pi / 180));
  const double cos = rounded_to_15_digits(std::cos(angle));
  const double sin = rounded_to_15_digits(std::sin(angle));
  const double x = static_cast<double>(picture.width) / 2;
  const double y = static_cast<double>(picture.height) / 2;
  transform(picture, {cos, sin, cos * -x + sin * -y + x, -sin, cos, -sin * -x + cos * -y + y},
            sampling, fill);
}

void stretch_contrast(BytePicture& picture) {
  for (int c = 0; c < 3; ++c) {
    const auto counts = histogram(picture, c);
    int low = 0, high = 255;
    while (low < 255 && counts[low] == 0) ++low;
    while (high > 0 && counts[high] == 0) --high;
    if (high <= low) continue;
    const double scale = 255.0 / (high - low), offset = -low * scale;
    Table table{};
    for (int v = 0; v < 256; ++v) table[v] = to_byte(static_cast<int>(v * scale + offset));
    apply(picture, c, table);
  }
}

void equalise(BytePicture& picture) {
  for (int c = 0; c < 3; ++c) {
    const auto counts = histogram(picture, c);
    const auto last = std::find_if(counts.rbegin(), counts.rend(), [](auto n) { return n > 0; });
    const int64_t all = picture.height * picture.width, step = (all - *last) / 255;
    if (step == 0) continue;
    Table table{};
    int64_t seen = step / 2;
    for (int v = 0; v < 256; seen += counts[v++]) table[v] = to_byte(seen / step);
    apply(picture, c, table);
  }
}

void invert_values(BytePicture& picture) {
  apply_to_all(picture, [](int v) { return 255 - v; });
}

void posterise(BytePicture& picture, int bits) {
  const int mask = ~((1 << (8 - std::clamp(bits, 0, 8))) - 1);
  apply_to_all(picture, [&](int v) { return v & mask; });
}

void solarise(BytePicture& picture, int threshold) {
  apply_to_all(picture, [&](int v) { return v < threshold ? v : 255 - v; });
}

void solarise_add(BytePicture& picture, int amount) {
  apply_to_all(picture, [&](int v) { return v < 128 ? std::min(255, v + amount) : v; });
}

void adjust_brightness(BytePicture& picture, double factor) {
  apply_to_all(picture, [&](int v) { return blend(0, v, static_cast<float>(factor)); });
}

void adjust_contrast(BytePicture& picture, double factor) {
  int64_t sum = 0;
  for (size_t i = 0; i < picture.pixels.size(); i += 3) sum += grey_of(&picture.pixels[i]);
  const double mean = static_cast<double>(sum) / static_cast<double>(picture.pixels.size() / 3);
  const int plain = static_cast<int>(mean + 0.5);
  apply_to_all(picture, [&](int v) { return blend(plain, v, static_cast<float>(factor)); });
}

void adjust_colour(BytePicture& picture, double factor) {
  for (size_t i = 0; i < picture.pixels.size(); i += 3) {
    const int plain = grey_of(&picture.pixels[i]);
    for (size_t c = i; c < i + 3; ++c)
      picture.pixels[c] = blend(plain, picture.pixels[c], static_cast<float>(factor));
  }
}

// The plain picture is ImageFilter.SMOOTH, which leaves the outermost pixels.
void adjust_sharpness(BytePicture& picture, double factor) {
  const BytePicture in = picture;
  for (int64_t y = 1; y + 1 < in.height; ++y)
    for (int64_t x = 1; x + 1 < in.width; ++x)
      for (int c = 0; c < 3; ++c) {
        int sum = 4 * pixel_at(in, y, x)[c];
        for (int64_t dy = -1; dy <= 1; ++dy)
          for (int64_t dx = -1; dx <= 1; ++dx) sum += pixel_at(in, y + dy, x + dx)[c];
        uint8_t& value = picture.pixels[(y * in.width + x) * 3 + c];
        value = blend((2 * sum + 13) / 26, value, static_cast<float>(factor));
      }
}

void blur(BytePicture& picture, double radius) {
  const float box = box_radius(static_cast<float>(radius));
  const int64_t row = picture.width * 3;
  for (int pass = 0; pass < 3; ++pass)
    for (int64_t y = 0; y < picture.height; ++y)
      for (int c = 0; c < 3; ++c)
        box_blur_line(&picture.pixels[y * row + c], picture.width, 3, box);
  for (int pass = 0; pass < 3; ++pass)
    for (int64_t x = 0; x < row; ++x) box_blur_line(&picture.pixels[x], picture.height, row, box);
}

}  // namespace passband
