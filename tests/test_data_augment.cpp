// Batches from pictures: normalisation, crops, flips, scaling, whatever the thread count.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/augment.h"
#include "data/image.h"
#include "tests/picture_files.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;

namespace {

std::vector<int64_t> first_indices(int64_t count) {
  std::vector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

std::vector<float> train_batch(const Dataset& data, const AugmentOptions& options, int64_t size,
                               RandomKey key = {1, 2, 3}, int threads = 1) {
  const std::vector<int64_t> indices = first_indices(data.count);
  std::vector<float> out(data.count * size * size * 3);
  make_train_batch(data, indices, options, key, size, out.data(), threads);
  return out;
}

// The byte that a float of a counting_dataset (mean 0, std 1) was made from.
int byte_of(float value) { return static_cast<int>(std::lround(value * 255)); }

}  // namespace

TEST_CASE("an evaluation batch is (pixel / 255 - mean) / std") {
  Dataset data = counting_dataset(5, 8, 8);
  data.mean = {0.5f, 0.25f, 0.125f};
  data.std = {0.5f, 0.2f, 0.1f};
  const std::vector<int64_t> indices = {4, 0, 4};
  std::vector<float> out(3 * 8 * 8 * 3);
  make_eval_batch(data, indices, 8, out.data());
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t c = i % 3, picture = i / (8 * 8 * 3);
    const double pixel = data.image(indices[picture])[i % (8 * 8 * 3)];
    CHECK(out[i] == doctest::Approx((pixel / 255 - data.mean[c]) / data.std[c]).epsilon(1e-5));
  }
}

TEST_CASE("an evaluation batch of larger pictures is their centre") {
  const Dataset data = counting_dataset(2, 10, 12);
  const std::vector<int64_t> indices = {1};
  std::vector<float> out(6 * 6 * 3);
  make_eval_batch(data, indices, 6, out.data());
  CHECK(byte_of(out[0]) == 2);
  CHECK(byte_of(out[1]) == 2 + 1);  // (10 - 6) / 2 rows above
  CHECK(byte_of(out[2]) == 3 + 1);  // (12 - 6) / 2 columns to the left
}

TEST_CASE("without padding and flips a training batch equals the evaluation batch") {
  const Dataset data = counting_dataset(7, 16, 16);
  std::vector<float> plain(7 * 16 * 16 * 3);
  make_eval_batch(data, first_indices(7), 16, plain.data());
  CHECK(train_batch(data, {.pad = 0, .flip = 0}, 16) == plain);
}

TEST_CASE("a flip mirrors each row, and twice is the identity") {
  const Dataset data = counting_dataset(3, 9, 9);
  const std::vector<float> plain = train_batch(data, {.pad = 0, .flip = 0}, 9);
  const std::vector<float> flipped = train_batch(data, {.pad = 0, .flip = 1}, 9);
  Dataset mirrored = data;
  for (size_t i = 0; i < flipped.size(); ++i)
    mirrored.images[i] = static_cast<uint8_t>(byte_of(flipped[i]));
  CHECK(train_batch(mirrored, {.pad = 0, .flip = 1}, 9) == plain);
  for (int y = 0; y < 9; ++y)
    for (int x = 0; x < 9; ++x) CHECK(byte_of(flipped[(y * 9 + x) * 3 + 2]) == 9 - x);
}

TEST_CASE("half of the pictures are flipped") {
  const Dataset data = counting_dataset(4000, 3, 3);
  const std::vector<float> batch = train_batch(data, {.pad = 0}, 3);
  int flipped = 0;
  for (int i = 0; i < 4000; ++i) flipped += byte_of(batch[i * 27 + 2]) == 3;
  CHECK(std::abs(flipped - 2000) < 130);  // 4 standard deviations
}

TEST_CASE("alternating flips show every picture once each way in two epochs") {
  const Dataset data = counting_dataset(4000, 3, 3);
  for (const bool resized : {false, true}) {
    const AugmentOptions options{
        .pad = 0, .alternating_flip = true, .resized_crop = resized, .scale_low = 1};
    int first = 0, changed = 0, back = 0;
    const auto epoch = [&](int64_t number) {
      return train_batch(data, options, 3, augment_key(7, number));
    };
    const std::vector<float> zero = epoch(0), one = epoch(1), two = epoch(2);
    for (int i = 0; i < 4000; ++i) {
      const auto mirrored = [&](const std::vector<float>& batch) {
        return byte_of(batch[i * 27 + 2]) == 3;
      };
      first += mirrored(zero);
      changed += mirrored(zero) != mirrored(one);
      back += mirrored(zero) == mirrored(two);
    }
    CHECK(std::abs(first - 2000) < 130);  // 4 standard deviations
    CHECK(changed == 4000);
    CHECK(back == 4000);
  }
}

TEST_CASE("brightness is added to normalised pixels, which contrast multiplies, for each picture") {
  Dataset data = counting_dataset(500, 4, 4);
  data.mean = {0.5f, 0.25f, 0.125f};
  data.std = {0.5f, 0.2f, 0.1f};
  const std::vector<float> plain = train_batch(data, {.pad = 0, .flip = 0}, 4);
  const std::vector<float> lit =
      train_batch(data, {.pad = 0, .flip = 0, .brightness = 0.14f, .contrast = 0.13f}, 4);
  double brightest = -1, darkest = 1, most = 0, least = 2;
  for (int64_t i = 0; i < data.count; ++i) {
    const float *x = &plain[i * 48], *y = &lit[i * 48];
    const double contrast = (y[1] - y[0]) / (x[1] - x[0]), brightness = y[0] / contrast - x[0];
    for (int j = 0; j < 48; ++j)
      CHECK(y[j] == doctest::Approx((x[j] + brightness) * contrast).epsilon(1e-4));
    brightest = std::max(brightest, brightness), darkest = std::min(darkest, brightness);
    most = std::max(most, contrast), least = std::min(least, contrast);
  }
  CHECK(brightest == doctest::Approx(0.14).epsilon(0.03));
  CHECK(darkest == doctest::Approx(-0.14).epsilon(0.03));
  CHECK(most == doctest::Approx(1.13).epsilon(0.01));
  CHECK(least == doctest::Approx(0.87).epsilon(0.01));
}

TEST_CASE("a padded crop is a shifted window of the picture with zeros around it") {
  const Dataset data = counting_dataset(200, 12, 12);
  const std::vector<float> batch = train_batch(data, {.pad = 3, .flip = 0}, 12);
  for (int64_t i = 0; i < data.count; ++i) {
    const float* out = &batch[i * 12 * 12 * 3];
    const float* centre = out + (6 * 12 + 6) * 3;  // always inside the picture
    const int top = byte_of(centre[1]) - 1 - 6, left = byte_of(centre[2]) - 1 - 6;
    REQUIRE(std::abs(top) <= 3);
    REQUIRE(std::abs(left) <= 3);
    bool right = true;
    for (int y = 0; y < 12; ++y)
      for (int x = 0; x < 12; ++x) {
        const int sy = y + top, sx = x + left;
        const bool inside = sy >= 0 && sy < 12 && sx >= 0 && sx < 12;
        const int expected[3] = {inside ? static_cast<int>((i + 1) % 256) : 0, inside ? sy + 1 : 0,
                                 inside ? sx + 1 : 0};
        for (int c = 0; c < 3; ++c)
          right = right && byte_of(out[(y * 12 + x) * 3 + c]) == expected[c];
      }
    CHECK(right);
  }
}

TEST_CASE("reflection pads with the mirror image, the edge pixel once") {
  const Dataset data = counting_dataset(100, 8, 8);
  const std::vector<float> batch =
      train_batch(data, {.pad = 3, .crop_mode = CropMode::reflect, .flip = 0}, 8);
  const auto mirrored = [](int at) { return at < 0 ? -at : at > 7 ? 14 - at : at; };
  for (int64_t i = 0; i < data.count; ++i) {
    const float* out = &batch[i * 8 * 8 * 3];
    const int top = byte_of(out[(4 * 8 + 4) * 3 + 1]) - 1 - 4,
              left = byte_of(out[(4 * 8 + 4) * 3 + 2]) - 1 - 4;
    bool right = true;
    for (int y = 0; y < 8; ++y)
      for (int x = 0; x < 8; ++x)
        right = right && byte_of(out[(y * 8 + x) * 3 + 1]) == mirrored(y + top) + 1 &&
                byte_of(out[(y * 8 + x) * 3 + 2]) == mirrored(x + left) + 1;
    CHECK(right);
  }
}

TEST_CASE("crop positions are uniform over all (2 pad + 1)^2 places") {
  const int count = 8100;
  Dataset data = counting_dataset(1, 9, 9);
  std::vector<int> seen(81);
  std::vector<float> out(9 * 9 * 3);
  const std::vector<int64_t> indices = {0};
  for (int trial = 0; trial < count; ++trial) {
    make_train_batch(data, indices, {.pad = 4, .flip = 0}, {7, static_cast<uint64_t>(trial), 1}, 9,
                     out.data(), 1);
    const float* centre = &out[(4 * 9 + 4) * 3];
    ++seen[(byte_of(centre[1]) - 1) * 9 + byte_of(centre[2]) - 1];
  }
  double chi_square = 0;
  for (const int n : seen) chi_square += (n - count / 81.0) * (n - count / 81.0) / (count / 81.0);
  CHECK(chi_square < 130);  // 80 degrees of freedom: mean 80, 99.97 % below 130
}

TEST_CASE("larger stored pictures are cropped inside themselves") {
  const Dataset data = counting_dataset(300, 10, 10);
  const std::vector<float> batch = train_batch(data, {.pad = 4, .flip = 0}, 8);
  int seen = 0;
  for (int64_t i = 0; i < data.count; ++i) {
    const int top = byte_of(batch[i * 192 + 1]) - 1, left = byte_of(batch[i * 192 + 2]) - 1;
    CHECK((top >= 0 && top <= 2 && left >= 0 && left <= 2));
    seen |= 1 << (top * 3 + left);
  }
  CHECK(seen == 0x1FF);
}

TEST_CASE("cutout sets a square to zero after normalising and clips it at the border") {
  Dataset data = counting_dataset(100, 16, 16);
  data.mean = {-1, -1, -1};  // so that no normalised pixel is zero
  const std::vector<float> batch = train_batch(data, {.pad = 0, .flip = 0, .cutout = 6}, 16);
  int full = 0;
  for (int64_t i = 0; i < data.count; ++i) {
    int zeros = 0, x0 = 16, x1 = -1, y0 = 16, y1 = -1;
    for (int p = 0; p < 256; ++p) {
      if (batch[(i * 256 + p) * 3] != 0) continue;
      ++zeros;
      x0 = std::min(x0, p % 16), x1 = std::max(x1, p % 16), y0 = std::min(y0, p / 16),
      y1 = std::max(y1, p / 16);
    }
    CHECK(zeros == (x1 - x0 + 1) * (y1 - y0 + 1));
    CHECK((x1 - x0 + 1 <= 6 && y1 - y0 + 1 <= 6 && x1 - x0 + 1 >= 3 && y1 - y0 + 1 >= 3));
    full += zeros == 36;
  }
  CHECK(full > 20);
}

TEST_CASE("a resized crop of the whole picture is the picture") {
  const Dataset data = counting_dataset(3, 20, 20);
  const AugmentOptions options{.flip = 0,
                               .resized_crop = true,
                               .scale_low = 1,
                               .scale_high = 1,
                               .ratio_low = 1,
                               .ratio_high = 1};
  CHECK(train_batch(data, options, 20) == train_batch(data, {.pad = 0, .flip = 0}, 20));
}

TEST_CASE("resized crops keep area and ratio within their bounds") {
  const int side = 100;
  const Dataset data = counting_dataset(300, side, side);
  const std::vector<float> batch = train_batch(data, {.flip = 0, .resized_crop = true}, 16);
  double smallest = 1, largest = 0;
  for (int64_t i = 0; i < data.count; ++i) {
    // The pictures are ramps: the slope along an axis is the size of the window there.
    const float* out = &batch[i * 16 * 16 * 3];
    const double h = (out[(12 * 16) * 3 + 1] - out[(4 * 16) * 3 + 1]) * 255 / 8 * 16;
    const double w = (out[12 * 3 + 2] - out[4 * 3 + 2]) * 255 / 8 * 16;
    CHECK(w / h > 0.75 - 0.2);
    CHECK(w / h < 4.0 / 3 + 0.2);
    smallest = std::min(smallest, w * h / (side * side)),
    largest = std::max(largest, w * h / (side * side));
  }
  CHECK(smallest > 0.05);
  CHECK(smallest < 0.2);
  CHECK(largest > 0.85);
  CHECK(largest < 1.1);
}

TEST_CASE("a batch depends on key and picture, not on threads, order or company") {
  const Dataset data = counting_dataset(33, 24, 24);
  for (const bool resized : {false, true}) {
    const AugmentOptions options{.cutout = 5, .resized_crop = resized};
    const std::vector<float> one = train_batch(data, options, 24),
                             three = train_batch(data, options, 24, {1, 2, 3}, 3);
    CHECK(one == three);
    const std::vector<int64_t> alone = {17};
    std::vector<float> out(24 * 24 * 3);
    make_train_batch(data, alone, options, {1, 2, 3}, 24, out.data(), 1);
    CHECK(std::equal(out.begin(), out.end(), one.begin() + 17 * 24 * 24 * 3));
    CHECK(train_batch(data, options, 24, {1, 3, 3}) != one);
    CHECK(train_batch(data, options, 24, {2, 2, 3}) != one);
  }
}

TEST_CASE("impossible batches are refused") {
  const Dataset data = counting_dataset(3, 8, 8);
  std::vector<float> out(16 * 16 * 3);
  const std::vector<int64_t> good = {0}, bad = {3};
  const auto text = [&](const std::vector<int64_t>& indices, AugmentOptions options, int64_t size) {
    return message_of<Error>(
        [&] { make_train_batch(data, indices, options, {}, size, out.data()); });
  };
  CHECK(contains(text(good, {}, 16), "pictures of 8 pixels are too small for a crop of 16"));
  CHECK(contains(text(bad, {}, 8), "picture 3 is not in counting (train) of 3"));
  CHECK(contains(text(good, {.pad = 8}, 8), "pad is 8; it must be 0 to 7"));
  CHECK(contains(text(good, {.flip = 2}, 8), "flip is 2"));
  CHECK(contains(text(good, {.resized_crop = true, .scale_low = 0}, 8), "crop areas are 0 to 1"));
}

// resize_bilinear as its header says it, in f64.
std::vector<double> by_triangles(const std::vector<uint8_t>& in, int64_t height, int64_t width,
                                 int64_t out_height, int64_t out_width) {
  const auto scale = [](const std::vector<double>& from, int64_t rows, int64_t length, int64_t step,
                        int64_t row_step, int64_t to) {
    std::vector<double> result;  // (rows, to, 3)
    const double ratio = static_cast<double>(length) / static_cast<double>(to);
    const double support = std::max(1.0, ratio);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t o = 0; o < to; ++o)
        for (int64_t c = 0; c < 3; ++c) {
          double sum = 0, weights = 0;
          for (int64_t i = 0; i < length; ++i) {
            const double centre = (static_cast<double>(o) + 0.5) * ratio;
            const double away = std::abs(static_cast<double>(i) + 0.5 - centre) / support;
            const double weight = std::max(0.0, 1 - away);
            sum += weight * from[static_cast<size_t>(row * row_step + i * step + c)];
            weights += weight;
          }
          result.push_back(sum / weights);
        }
    return result;
  };
  const std::vector<double> first =  // (width, out_height, 3)
      scale({in.begin(), in.end()}, width, height, width * 3, 3, out_height);
  return scale(first, out_height, width, out_height * 3, 3, out_width);
}

TEST_CASE("pictures of any size are scaled as triangles in f64 have it, within rounding") {
  RandomSequence random({1, 2, 3});
  int64_t values = 0;
  for (int trial = 0; trial < 60; ++trial) {
    const int64_t height = 1 + random.below(50), width = 1 + random.below(50);
    const int64_t out_height = 1 + random.below(40), out_width = 1 + random.below(40);
    std::vector<uint8_t> in(static_cast<size_t>(height * width * 3));
    for (uint8_t& value : in) value = static_cast<uint8_t>(random.below(256));
    std::vector<uint8_t> out(static_cast<size_t>(out_height * out_width * 3 + 1), 77);
    resize_bilinear(in.data(), height, width, width * 3, out.data(), out_height, out_width);
    CHECK(out.back() == 77);  // not written to
    const std::vector<double> expected = by_triangles(in, height, width, out_height, out_width);
    for (size_t i = 0; i < expected.size(); ++i) {
      CHECK(std::abs(out[i] - expected[i]) < 0.502);
      ++values;
    }
  }
  CHECK(values > 10000);
}

TEST_CASE("scaling keeps constants, keeps ramps, and weighs 1 3 3 1 when halving") {
  std::vector<uint8_t> flat(7 * 9 * 3, 77), out(5 * 31 * 3);
  resize_bilinear(flat.data(), 7, 9, 27, out.data(), 5, 31);
  CHECK(std::ranges::all_of(out, [](uint8_t value) { return value == 77; }));

  std::vector<uint8_t> ramp(1 * 16 * 3), twice(1 * 32 * 3);
  for (int x = 0; x < 16; ++x)
    for (int c = 0; c < 3; ++c) ramp[x * 3 + c] = static_cast<uint8_t>(8 * x + c);
  resize_bilinear(ramp.data(), 1, 16, 48, twice.data(), 1, 32);
  // position (x + 0.5) / 2 - 0.5
  for (int x = 1; x < 31; ++x) CHECK(twice[x * 3 + 1] == 4 * x - 2 + 1);

  std::vector<uint8_t> row(8 * 3), half(4 * 3);
  const int values[8] = {0, 200, 8, 16, 240, 32, 40, 96};
  for (int x = 0; x < 8; ++x) row[x * 3] = static_cast<uint8_t>(values[x]);
  resize_bilinear(row.data(), 1, 8, 24, half.data(), 1, 4);
  for (int x = 1; x < 3; ++x) {
    const int* v = values + 2 * x;
    CHECK(half[x * 3] == static_cast<int>((v[-1] + 3 * v[0] + 3 * v[1] + v[2]) / 8.0 + 0.5));
  }
  CHECK(half[0] == static_cast<int>((3 * values[0] + 3 * values[1] + values[2]) / 7.0 + 0.5));
}

TEST_CASE("of an oblong picture the centre square is kept") {
  Image image{4, 12, std::vector<uint8_t>(4 * 12 * 3)};
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 12; ++x) image.pixels[(y * 12 + x) * 3] = static_cast<uint8_t>(x);
  std::vector<uint8_t> out(4 * 4 * 3);
  const PictureWindow w = centre_square(image.height, image.width);
  resize_bilinear(&image.pixels[(w.top * 12 + w.left) * 3], w.height, w.width, 12 * 3, out.data(),
                  4, 4);
  for (int x = 0; x < 4; ++x) CHECK(out[x * 3] == x + 4);
}

namespace {

// Of all differences between bytes.
struct Differences {
  double mean = 0;
  int most = 0;
};

Differences differences(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  REQUIRE(a.size() == b.size());
  Differences found;
  for (size_t i = 0; i < a.size(); ++i) {
    const int one = std::abs(a[i] - b[i]);
    found.mean += one / static_cast<double>(a.size());
    found.most = std::max(found.most, one);
  }
  return found;
}

std::vector<uint8_t> resized(const EncodedPicture& picture, const PictureWindow& window,
                             int64_t height, int64_t width,
                             PictureDecoder decoder = PictureDecoder::fastest) {
  std::vector<uint8_t> out(static_cast<size_t>(height * width * 3));
  picture.resize(window, out.data(), height, width, decoder);
  return out;
}

// The means over squares of `scale` pixels of a window.
std::vector<uint8_t> means(const Image& image, const PictureWindow& w, int64_t scale) {
  std::vector<uint8_t> result;
  for (int64_t y = 0; y < w.height / scale; ++y)
    for (int64_t x = 0; x < w.width / scale; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        double sum = 0.5 * static_cast<double>(scale * scale);
        for (int64_t j = 0; j < scale * scale; ++j)
          sum += image.pixels[((w.top + y * scale + j / scale) * image.width + w.left + x * scale +
                               j % scale) *
                                  3 +
                              c];
        result.push_back(static_cast<uint8_t>(sum / static_cast<double>(scale * scale)));
      }
  return result;
}

// The qualities are with colours at half the size and at full size.
constexpr std::array kQualities = {88, 95};

}  // namespace

TEST_CASE("both decoders read a JPEG alike, and a part of it is what the whole has there") {
  const TemporaryFolder folder;
  RandomSequence random({.seed = 4});
  for (const int quality : kQualities)
    for (const auto& [height, width] : {std::pair(61, 90), std::pair(128, 47), std::pair(9, 200)}) {
      CAPTURE(height);
      CAPTURE(quality);
      write_jpeg(folder / "a.jpg", width, height, 3, scenery(width, height), quality);
      const EncodedPicture picture(folder / "a.jpg");
      const Image whole = picture.decode(), by_stb = picture.decode(PictureDecoder::stb);
      const Differences between = differences(whole.pixels, by_stb.pixels);
      CHECK(between.mean < 0.6);
      CHECK(between.most <= 5);
      for (int trial = 0; trial < 30; ++trial) {
        PictureWindow w{.height = 1 + random.below(height), .width = 1 + random.below(width)};
        w.top = random.below(height - w.height + 1), w.left = random.below(width - w.width + 1);
        std::vector<uint8_t> expected;
        for (int64_t y = 0; y < w.height; ++y) {
          const auto row = whole.pixels.begin() + ((w.top + y) * width + w.left) * 3;
          expected.insert(expected.end(), row, row + w.width * 3);
        }
        CHECK(resized(picture, w, w.height, w.width) == expected);
      }
    }
}

TEST_CASE("a window that is decoded smaller is close to the means over its pixels") {
  const TemporaryFolder folder;
  for (const int quality : kQualities) {
    write_jpeg(folder / "a.jpg", 263, 201, 3, scenery(263, 201), quality);
    const EncodedPicture picture(folder / "a.jpg");
    const Image full = picture.decode(PictureDecoder::stb);
    for (const int64_t scale : {2, 4, 8}) {
      CAPTURE(scale);
      const PictureWindow w{16, 8, 160, 240};
      const Differences found = differences(resized(picture, w, w.height / scale, w.width / scale),
                                            means(full, w, scale));
      // A triangle filter is wider than the means.
      CHECK(found.mean < (jpeg_turbo_version() ? 0.7 : 3.5));
      CHECK(found.most <= (jpeg_turbo_version() ? 8 : 24));
    }
  }
}

TEST_CASE("a window between the pixels of a smaller picture is where it is in the large one") {
  const TemporaryFolder folder;
  for (const int quality : kQualities) {
    write_jpeg(folder / "a.jpg", 263, 201, 3, scenery(263, 201), quality);
    const EncodedPicture picture(folder / "a.jpg");
    for (const PictureWindow w :
         {PictureWindow{3, 5, 187, 250}, {0, 0, 201, 263}, {41, 7, 99, 130}})
      for (const int64_t size : {20, 33, 47, 64}) {
        CAPTURE(size);
        const Differences found = differences(resized(picture, w, size, size),
                                              resized(picture, w, size, size, PictureDecoder::stb));
        CHECK(found.mean < 2);
        CHECK(found.most <= 12);
      }
  }
}
