// First down the columns, whole rows at once, then across, the three channels of a pixel at once.
#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace passband {
namespace {

using Float4 [[gnu::vector_size(16)]] = float;
using Int4 [[gnu::vector_size(16)]] = int32_t;
using Byte4 [[gnu::vector_size(4)]] = uint8_t;

Float4 load(const float* at) {
  Float4 v;
  std::memcpy(&v, at, sizeof v);
  return v;
}

// The input pixels each output pixel looks at, along one axis: `width` weights from first[o] on,
// unused ones zero.
struct Taps {
  int64_t width = 0;
  std::vector<int64_t> first;  // (out)
  std::vector<float> weights;  // (out, width)
};

// Of the stretch [begin, begin + extent) of an axis.
Taps triangle_taps(double begin, double extent, int64_t out) {
  const auto low_end = static_cast<int64_t>(std::floor(begin));
  const auto in = static_cast<int64_t>(std::ceil(begin + extent)) - low_end;
  const double ratio = extent / static_cast<double>(out), support = std::max(ratio, 1.0);
  Taps taps{.width = std::min<int64_t>(in, static_cast<int64_t>(2 * support) + 2)};
  taps.first.resize(out);
  taps.weights.resize(out * taps.width);
  for (int64_t o = 0; o < out; ++o) {
    const double centre =
        (static_cast<double>(o) + 0.5) * ratio + begin - static_cast<double>(low_end);
    const auto low = static_cast<int64_t>(std::max(0.0, centre - support));
    const int64_t first = std::min(low, in - taps.width);
    taps.first[o] = low_end + first;
    float* weights = &taps.weights[o * taps.width];
    double sum = 0;
    for (int64_t k = 0; k < taps.width; ++k) {
      const double distance = std::abs(static_cast<double>(first + k) + 0.5 - centre) / support;
      weights[k] = static_cast<float>(std::max(0.0, 1.0 - distance));
      sum += weights[k];
    }
    for (int64_t k = 0; k < taps.width; ++k) weights[k] = static_cast<float>(weights[k] / sum);
  }
  return taps;
}

// What is compiled twice, for any processor and for one with AVX2. Without fused multiply-adds both
// round alike.
#define ALWAYS_INLINE [[gnu::always_inline]] inline

// sum = weights * rows, of which `count` begin one after the other; += where `adds`.
template <int count, bool adds> ALWAYS_INLINE void take_rows(const uint8_t* rows, int64_t row_bytes,
                                                             const float* weights, float* sum,
                                                             int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    float value = weights[0] * static_cast<float>(rows[i]);
    if (adds) value += sum[i];
    for (int k = 1; k < count; ++k)
      value += weights[k] * static_cast<float>(rows[k * row_bytes + i]);
    sum[i] = value;
  }
}

ALWAYS_INLINE void take_down(const uint8_t* rows, int64_t row_bytes, const float* weights,
                             int64_t count, float* sum, int64_t n) {
  int64_t k = count % 4 > 0 ? count % 4 : 4;
  if (k == 1) take_rows<1, false>(rows, row_bytes, weights, sum, n);
  else if (k == 2) take_rows<2, false>(rows, row_bytes, weights, sum, n);
  else if (k == 3) take_rows<3, false>(rows, row_bytes, weights, sum, n);
  else take_rows<4, false>(rows, row_bytes, weights, sum, n);
  for (; k < count; k += 4)
    take_rows<4, true>(rows + k * row_bytes, row_bytes, weights + k, sum, n);
}

// `sum`: three floats a pixel from pixel `left` on, and one more that may be read. `count`: the
// taps, where they are few, or 0.
template <int count> ALWAYS_INLINE void take_across(const float* sum, int64_t left,
                                                    const Taps& across, uint8_t* out,
                                                    int64_t out_width) {
  const int64_t width = count > 0 ? count : across.width;
  for (int64_t x = 0; x < out_width; ++x) {
    const float* source = sum + (across.first[x] - left) * 3;
    const float* weights = &across.weights[x * width];
    Float4 total = {0.5f, 0.5f, 0.5f, 0.5f};
    for (int64_t k = 0; k < width; ++k) total += weights[k] * load(source + k * 3);
    const Byte4 pixel = __builtin_convertvector(__builtin_convertvector(total, Int4), Byte4);
    std::memcpy(out + x * 3, &pixel,
                x + 1 < out_width ? 4 : 3);  // the next pixel covers the fourth
  }
}

ALWAYS_INLINE void take_across(const float* sum, int64_t left, const Taps& across, uint8_t* out,
                               int64_t out_width) {
  switch (across.width) {
    case 4: return take_across<4>(sum, left, across, out, out_width);
    case 5: return take_across<5>(sum, left, across, out, out_width);
    case 6: return take_across<6>(sum, left, across, out, out_width);
    default: return take_across<0>(sum, left, across, out, out_width);
  }
}

struct Work {
  const PixelView& in;
  const Taps &across, &down;
  int64_t left, width;  // the columns that are looked at
  uint8_t* out;
  int64_t out_height, out_width;
};

ALWAYS_INLINE void scale_by(const Work& w) {
  const int64_t n = w.width * 3;
  std::vector<float> sum(static_cast<size_t>(n) + 1);
  for (int64_t y = 0; y < w.out_height; ++y) {
    const uint8_t* rows = w.in.pixels + w.down.first[y] * w.in.row_bytes + w.left * 3;
    take_down(rows, w.in.row_bytes, &w.down.weights[y * w.down.width], w.down.width, sum.data(), n);
    take_across(sum.data(), w.left, w.across, w.out + y * w.out_width * 3, w.out_width);
  }
}

void scale_anywhere(const Work& work) { scale_by(work); }

#if defined(__x86_64__)
[[gnu::target("avx2")]] void scale_with_avx2(const Work& work) { scale_by(work); }
#endif

}  // namespace

void resize_bilinear(const PixelView& in, const Box& box, uint8_t* out, int64_t out_height,
                     int64_t out_width) {
  const Taps across = triangle_taps(box.left, box.width, out_width);
  const Taps down = triangle_taps(box.top, box.height, out_height);
  const auto left = static_cast<int64_t>(std::floor(box.left));
  const auto right = static_cast<int64_t>(std::ceil(box.left + box.width));
  const Work work{in, across, down, left, right - left, out, out_height, out_width};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return scale_with_avx2(work);
#endif
  scale_anywhere(work);
}

void resize_bilinear(const uint8_t* in, int64_t height, int64_t width, int64_t row_bytes,
                     uint8_t* out, int64_t out_height, int64_t out_width) {
  resize_bilinear({in, height, width, row_bytes},
                  {0, 0, static_cast<double>(height), static_cast<double>(width)}, out, out_height,
                  out_width);
}

}  // namespace passband
