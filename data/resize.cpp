// First down the columns, whole rows at once, then across, the three channels of a pixel at once.
#include "data/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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
  // No more centres of pixels than that lie within the triangle.
  Taps taps{.width = std::min<int64_t>(in, static_cast<int64_t>(std::ceil(2 * support)))};
  taps.first.resize(out);
  taps.weights.resize(out * taps.width);
  for (int64_t o = 0; o < out; ++o) {
    const double centre =
        (static_cast<double>(o) + 0.5) * ratio + begin - static_cast<double>(low_end);
    const auto low = static_cast<int64_t>(std::max(0.0, std::ceil(centre - support - 0.5)));
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

struct Work {
  const PixelView& in;
  const Taps &across, &down;
  int64_t left, width;  // the columns that are looked at
  uint8_t* out;
  int64_t out_height, out_width;

  // Where, of the sums of a row's columns, those that make pixel x begin.
  int64_t source(int64_t x) const { return (across.first[x] - left) * 3; }
};

// What is compiled twice, for any processor and for one with AVX2. Without fused multiply-adds both
// round alike.
#define ALWAYS_INLINE [[gnu::always_inline]] inline

// sum = weights * rows, of which `count` begin one after the other; += where `adds`.
template <int count, bool adds>
ALWAYS_INLINE void take_rows(const uint8_t* __restrict rows, int64_t row_bytes,
                             const float* weights, float* __restrict sum, int64_t n) {
  std::array<float, count> own;
  std::copy_n(weights, count, own.begin());
  for (int64_t i = 0; i < n; ++i) {
    float value = own[0] * static_cast<float>(rows[i]);
    if (adds) value += sum[i];
    for (int k = 1; k < count; ++k) value += own[k] * static_cast<float>(rows[k * row_bytes + i]);
    sum[i] = value;
  }
}

// The sums of output row y.
ALWAYS_INLINE void take_down(const Work& w, int64_t y, float* sum) {
  const int64_t n = w.width * 3, row_bytes = w.in.row_bytes, count = w.down.width;
  const uint8_t* rows = w.in.pixels + w.down.first[y] * row_bytes + w.left * 3;
  const float* weights = &w.down.weights[y * count];
  int64_t k = count % 4 > 0 ? count % 4 : 4;
  if (k == 1) take_rows<1, false>(rows, row_bytes, weights, sum, n);
  else if (k == 2) take_rows<2, false>(rows, row_bytes, weights, sum, n);
  else if (k == 3) take_rows<3, false>(rows, row_bytes, weights, sum, n);
  else take_rows<4, false>(rows, row_bytes, weights, sum, n);
  for (; k < count; k += 4)
    take_rows<4, true>(rows + k * row_bytes, row_bytes, weights + k, sum, n);
}

// Pixel x of a row from `sum`, of which one value more than those of its taps may be read; writes
// four bytes, of which the next pixel covers the last, or three.
template <int count>
ALWAYS_INLINE void take_pixel(const Work& w, const float* sum, int64_t x, uint8_t* out) {
  const int64_t width = count > 0 ? count : w.across.width;
  const float* source = sum + w.source(x);
  const float* weights = &w.across.weights[x * width];
  Float4 total = {0.5f, 0.5f, 0.5f, 0.5f};
  for (int64_t k = 0; k < width; ++k) total += weights[k] * load(source + k * 3);
  const Byte4 pixel = __builtin_convertvector(__builtin_convertvector(total, Int4), Byte4);
  std::memcpy(out + x * 3, &pixel, x + 1 < w.out_width ? 4 : 3);
}

template <int count> void take_across(const Work& w, const float* sum, uint8_t* out) {
  for (int64_t x = 0; x < w.out_width; ++x) take_pixel<count>(w, sum, x, out);
}

void scale_anywhere(const Work& w) {
  std::vector<float> sum(static_cast<size_t>(w.width * 3) + 1);
  for (int64_t y = 0; y < w.out_height; ++y) {
    take_down(w, y, sum.data());
    uint8_t* const out = w.out + y * w.out_width * 3;
    if (w.across.width == 2) take_across<2>(w, sum.data(), out);
    else if (w.across.width == 3) take_across<3>(w, sum.data(), out);
    else take_across<0>(w, sum.data(), out);
  }
}

#if defined(__x86_64__)

// Where four pixels at once begin in `sum`, and the weights of each of their taps: of the first and
// third pixel four times each, then of the second and fourth.
struct Quads {
  std::vector<int32_t> source;  // (pixels)
  std::vector<float> weights;   // (quads, taps, 16)

  explicit Quads(const Work& w) {
    const int64_t width = w.across.width, pixels = w.out_width / 4 * 4;
    source.resize(static_cast<size_t>(pixels));
    weights.resize(static_cast<size_t>(pixels * width * 4));
    for (int64_t x = 0; x < pixels; ++x) {
      source[static_cast<size_t>(x)] = static_cast<int32_t>(w.source(x));
      float* const quad = &weights[static_cast<size_t>(x / 4 * width * 16)];
      for (int64_t k = 0; k < width; ++k)
        std::fill_n(quad + k * 16 + x % 2 * 8 + x % 4 / 2 * 4, 4, w.across.weights[x * width + k]);
    }
  }
};

[[gnu::target("avx2")]] ALWAYS_INLINE __m256 two_pixels(const float* first, const float* second) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(first)), _mm_loadu_ps(second), 1);
}

// Writes eight bytes for every two pixels, which those after them cover.
template <int count>
[[gnu::target("avx2")]] ALWAYS_INLINE void take_quads(const Work& w, const Quads& quads,
                                                      const float* sum, uint8_t* out) {
  const int64_t width = count > 0 ? count : w.across.width;
  const float* weights = quads.weights.data();
  const __m256i no_fourth = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, 1, 2, 4, 5, 6, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  int64_t x = 0;
  for (; x + 4 < w.out_width; x += 4, weights += 16 * width) {
    const int32_t* const source = &quads.source[static_cast<size_t>(x)];
    __m256 even = _mm256_set1_ps(0.5f), odd = even;
    for (int64_t k = 0; k < width; ++k) {
      const float* const at = sum + k * 3;
      even = _mm256_add_ps(even, _mm256_mul_ps(two_pixels(at + source[0], at + source[2]),
                                               _mm256_loadu_ps(weights + k * 16)));
      odd = _mm256_add_ps(odd, _mm256_mul_ps(two_pixels(at + source[1], at + source[3]),
                                             _mm256_loadu_ps(weights + k * 16 + 8)));
    }
    const __m256i words = _mm256_packus_epi32(_mm256_cvttps_epi32(even), _mm256_cvttps_epi32(odd));
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_packus_epi16(words, words), no_fourth);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + x * 3), _mm256_castsi256_si128(bytes));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + x * 3 + 6),
                     _mm256_extracti128_si256(bytes, 1));
  }
  for (; x < w.out_width; ++x) take_pixel<count>(w, sum, x, out);
}

[[gnu::target("avx2")]] void scale_with_avx2(const Work& w) {
  const Quads quads(w);
  std::vector<float> sum(static_cast<size_t>(w.width * 3) + 1);
  for (int64_t y = 0; y < w.out_height; ++y) {
    take_down(w, y, sum.data());
    uint8_t* const out = w.out + y * w.out_width * 3;
    if (w.across.width == 2) take_quads<2>(w, quads, sum.data(), out);
    else if (w.across.width == 3) take_quads<3>(w, quads, sum.data(), out);
    else take_quads<0>(w, quads, sum.data(), out);
  }
}

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
