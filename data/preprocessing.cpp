// Pillow's libImaging/Resample.c, restated: weights of a filter that is widened by the ratio when
// shrinking, as fixed-point numbers of 22 bits.
#include "data/preprocessing.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "data/dataset.h"
#include "tensor/core/error.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

constexpr int kPrecision = 22;
constexpr double kDefaultCrop = 0.875;

double pillow_triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

// a = -0.5
double pillow_cubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0;
}

// The input pixels that one output pixel is made of.
struct PillowTaps {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

std::vector<PillowTaps> pillow_taps(int64_t in, const OutputRange& out, PictureFilter filter) {
  const bool is_cubic = filter == PictureFilter::bicubic;
  const double ratio = static_cast<double>(in) / static_cast<double>(out.all);
  const double widening = std::max(ratio, 1.0), support = (is_cubic ? 2.0 : 1.0) * widening;
  std::vector<PillowTaps> taps;
  std::vector<double> weights;
  for (int64_t o = out.first; o < out.first + out.count; ++o) {
    const double centre = (static_cast<double>(o) + 0.5) * ratio;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t end = std::min(in, static_cast<int64_t>(centre + support + 0.5));
    weights.clear();
    double sum = 0;
    for (int64_t i = first; i < end; ++i) {
      const double x = (static_cast<double>(i) - centre + 0.5) * (1 / widening);
      weights.push_back(is_cubic ? pillow_cubic(x) : pillow_triangle(x));
      sum += weights.back();
    }
    PillowTaps& of_pixel = taps.emplace_back();
    of_pixel.first = first;
    for (const double weight : weights) {
      const double fixed = (sum != 0 ? weight / sum : weight) * (1 << kPrecision);
      of_pixel.weights.push_back(static_cast<int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5));
    }
  }
  return taps;
}

uint8_t rounded(int64_t sum) {
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> kPrecision, 0, 255));
}

// Lines of pixels of three bytes, along or across the rows of a picture.
struct Axis {
  const uint8_t* from;
  int64_t line_bytes, pixel_bytes;  // of the input
  uint8_t* to;
  int64_t to_line_bytes, to_pixel_bytes;
};

void filter_axis(const Axis& axis, int64_t lines, const std::vector<PillowTaps>& taps) {
  constexpr int64_t kHalf = int64_t{1} << (kPrecision - 1);
  for (int64_t line = 0; line < lines; ++line)
    for (size_t o = 0; o < taps.size(); ++o) {
      const uint8_t* pixel = axis.from + line * axis.line_bytes + taps[o].first * axis.pixel_bytes;
      int64_t sums[3] = {kHalf, kHalf, kHalf};
      for (const int32_t weight : taps[o].weights) {
        for (int c = 0; c < 3; ++c) sums[c] += int64_t{weight} * pixel[c];
        pixel += axis.pixel_bytes;
      }
      uint8_t* const out =
          axis.to + line * axis.to_line_bytes + static_cast<int64_t>(o) * axis.to_pixel_bytes;
      for (int c = 0; c < 3; ++c) out[c] = rounded(sums[c]);
    }
}

}  // namespace

std::array<float, 3> three_numbers(const std::string& text, const std::string& name,
                                   bool deviation) {
  std::vector<float> numbers;
  for (const std::string& part : split_text(text, ',')) {
    float value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    const bool fits = error == std::errc{} && end == part.data() + part.size() && value >= 0 &&
                      value <= 1 && (value > 0 || !deviation);
    if (!fits)
      throw UsageError(concat_text(name, ": ", quote(part), " is no number ",
                                   deviation ? "above 0 and up to 1" : "from 0 to 1"));
    numbers.push_back(value);
  }
  if (numbers.size() == 1) return {numbers[0], numbers[0], numbers[0]};
  if (numbers.size() != 3)
    throw UsageError(concat_text(name, ": give one number, or three for red, green and blue (",
                                 name, " 0.485,0.456,0.406), not ", numbers.size()));
  return {numbers[0], numbers[1], numbers[2]};
}

std::vector<uint8_t> resize_as_pillow(const PixelView& in, const OutputRange& rows,
                                      const OutputRange& columns, PictureFilter filter) {
  CHECK(filter != PictureFilter::automatic, "resize_as_pillow: name a filter");
  std::vector<PillowTaps> down = pillow_taps(in.height, rows, filter);
  const int64_t top = down.front().first;  // rows of the input that are looked at
  const int64_t height = down.back().first + std::ssize(down.back().weights) - top;
  for (PillowTaps& taps : down) taps.first -= top;
  std::vector<uint8_t> wide(static_cast<size_t>(height * columns.count * 3));
  filter_axis({in.pixels + top * in.row_bytes, in.row_bytes, 3, wide.data(), columns.count * 3, 3},
              height, pillow_taps(in.width, columns, filter));
  std::vector<uint8_t> out(static_cast<size_t>(rows.count * columns.count * 3));
  filter_axis({wide.data(), 3, columns.count * 3, out.data(), 3, columns.count * 3}, columns.count,
              down);
  return out;
}

void scale_picture(const PixelView& in, PictureFilter filter, uint8_t* out, int64_t side) {
  if (filter == PictureFilter::automatic)
    return resize_bilinear(in.pixels, in.height, in.width, in.row_bytes, out, side, side);
  std::ranges::copy(resize_as_pillow(in, {0, side, side}, {0, side, side}, filter), out);
}

void preprocess(const PixelView& in, const Preprocessing& how, int64_t side, uint8_t* out) {
  const double crop = how.crop_pct > 0 ? how.crop_pct : kDefaultCrop;
  const auto shorter = static_cast<int64_t>(std::floor(static_cast<double>(side) / crop + 1e-9));
  const bool wide = in.width > in.height;
  const int64_t longer = wide ? shorter * in.width / in.height : shorter * in.height / in.width;
  // Python's round(): halves go to the even number.
  const auto middle = [&](int64_t all) {
    return OutputRange{static_cast<int64_t>(std::nearbyint(static_cast<double>(all - side) / 2)),
                       side, all};
  };
  const std::vector<uint8_t> crop_of_resized = resize_as_pillow(
      in, middle(wide ? shorter : longer), middle(wide ? longer : shorter), how.interpolation);
  std::ranges::copy(crop_of_resized, out);
}

void prepare_pictures(DataSplits& splits, const Preprocessing& how, int64_t side) {
  for (Dataset* const data : {&splits.train, &splits.val, &splits.test}) {
    if (how.mean) data->mean = *how.mean;
    if (how.std) data->std = *how.std;
    data->preprocessing = how;
    // Crops for training are taken of the whole picture.
    const bool tested = data != &splits.train;
    if (data->streamed() && tested && how.interpolation != PictureFilter::automatic)
      data->height = data->width = side;
  }
}

std::string words(const Preprocessing& how) {
  std::vector<std::string> parts;
  const auto three = [](const std::array<float, 3>& v) {
    return concat_text(v[0], ' ', v[1], ' ', v[2]);
  };
  if (how.mean) parts.push_back("mean " + three(*how.mean));
  if (how.std) parts.push_back("deviation " + three(*how.std));
  if (how.interpolation == PictureFilter::bilinear) parts.emplace_back("bilinear");
  if (how.interpolation == PictureFilter::bicubic) parts.emplace_back("bicubic");
  if (how.crop_pct > 0) parts.push_back(concat_text("crop ", how.crop_pct));
  return join(parts);
}

}  // namespace passband
