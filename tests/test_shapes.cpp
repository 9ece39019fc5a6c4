// The built-in `shapes` set: frequencies of its textures, its cues, its reproducibility.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <map>
#include <numbers>

#include "data/fingerprint.h"
#include "tensor/core/parallel.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;

namespace {

// |DFT|^2 of a size x size image by the definition, for 0 <= fy <= size / 2 and -size / 2 < fx <=
// size / 2.
std::map<std::pair<int, int>, double> power_spectrum(const std::vector<double>& image, int size) {
  std::map<std::pair<int, int>, double> power;
  const double step = 2 * std::numbers::pi / size;
  for (int fx = -size / 2 + 1; fx <= size / 2; ++fx) {
    std::vector<std::complex<double>> rows(size);
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x)
        rows[y] += image[y * size + x] * std::polar(1.0, -step * fx * x);
    for (int fy = 0; fy <= size / 2; ++fy) {
      std::complex<double> sum = 0;
      for (int y = 0; y < size; ++y) sum += rows[y] * std::polar(1.0, -step * fy * y);
      power[{fx, fy}] = std::norm(sum);
    }
  }
  return power;
}

std::vector<double> widen(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

double radius(std::pair<int, int> f) { return std::hypot(f.first, f.second); }

// Mean grey spectrum of the pictures with one texture.
std::map<std::pair<int, int>, double> mean_spectrum(const Dataset& data, int texture, int limit) {
  std::map<std::pair<int, int>, double> mean;
  const int size = static_cast<int>(data.height);
  int used = 0;
  for (int64_t i = 0; i < data.count && used < limit; ++i) {
    if (data.texture_ids[i] != texture) continue;
    std::vector<double> grey(size * size);
    for (int p = 0; p < size * size; ++p)
      for (int c = 0; c < 3; ++c) grey[p] += data.image(i)[p * 3 + c] / 3.0;
    for (const auto& [f, power] : power_spectrum(grey, size)) mean[f] += power;
    ++used;
  }
  for (auto& [f, power] : mean) power /= used;
  return mean;
}

// The frequencies a header promises for textures that are a few waves, each with one of (f, -f)
// listed.
const std::map<int, std::vector<std::pair<int, int>>> kPeaks = {
    {0, {{0, 5}}},  {1, {{11, 0}}}, {2, {{4, 4}, {-4, 4}}},
    {4, {{0, 11}}}, {5, {{5, 0}}},  {6, {{8, 8}, {-8, 8}}}};

}  // namespace

TEST_CASE("a texture has power at its documented frequencies and nowhere else, at any size") {
  for (const int size : {32, 48})
    for (const auto& [id, peaks] : kPeaks)
      for (const uint64_t seed : {1u, 2u, 3u}) {
        const auto power =
            power_spectrum(widen(render_texture(texture_waves(id, seed), size)), size);
        double inside = 0, total = 0;
        for (const auto& [f, value] : power) {
          const bool mirrored = f.second == 0 && f.first < 0;  // (-fx, 0) repeats (fx, 0)
          if (mirrored) continue;
          total += value;
          if (std::ranges::find(peaks, f) != peaks.end()) inside += value;
        }
        INFO("texture ", id, " size ", size);
        CHECK(inside / total > 1 - 1e-9);
      }
}

TEST_CASE("the diagonal texture is one of (6, 6) and (6, -6), and both occur") {
  int rising = 0, falling = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const auto power = power_spectrum(widen(render_texture(texture_waves(8, seed), 32)), 32);
    const auto peak =
        std::ranges::max_element(power, {}, [](const auto& entry) { return entry.second; })->first;
    rising += peak == std::pair(6, 6);
    falling += peak == std::pair(-6, 6);
  }
  CHECK(rising + falling == 40);
  CHECK(rising > 5);
  CHECK(falling > 5);
}

TEST_CASE("noise textures stay inside their documented bands") {
  for (const auto& [id, low, high] : {std::tuple{3, 10.0, 13.0}, std::tuple{7, 4.0, 6.0}}) {
    const auto power = power_spectrum(widen(render_texture(texture_waves(id, 9), 32)), 32);
    double inside = 0, total = 0;
    for (const auto& [f, value] : power) {
      total += value;
      if (radius(f) >= low && radius(f) <= high) inside += value;
    }
    CHECK(inside / total > 1 - 1e-9);
  }
}

TEST_CASE("every texture but the plain one has unit RMS") {
  for (int id = 0; id < kShapeCues; ++id) {
    double sum = 0;
    for (const float value : render_texture(texture_waves(id, 5), 32)) sum += value * value;
    CHECK(std::sqrt(sum / (32 * 32)) == doctest::Approx(id == 9 ? 0 : 1).epsilon(1e-5));
  }
}

TEST_CASE(
    "in whole pictures, the power that a texture adds to the "
    "plain one peaks at its documented frequency") {
  const Dataset data = make_shapes({.train_count = 3000, .test_count = 1}).train;
  const auto plain = mean_spectrum(data, 9, 200);
  for (const auto& [id, peaks] : kPeaks) {
    const auto spectrum = mean_spectrum(data, id, 200);
    std::pair<int, int> best{};
    double most = 0;
    for (const auto& [f, power] : spectrum)
      if (f.second > 0 || f.first > 0)
        if (power - plain.at(f) > most && radius(f) > 2) most = power - plain.at(f), best = f;
    INFO("texture ", id, " peaks at ", best.first, ", ", best.second);
    CHECK(std::ranges::find(peaks, best) != peaks.end());
  }
}

TEST_CASE("plain figures keep over nine tenths of their power below four cycles per image") {
  const Dataset data = make_shapes({.train_count = 2000, .test_count = 1}).train;
  double low = 0, total = 0;
  for (const auto& [f, power] : mean_spectrum(data, 9, 200)) {
    if (f == std::pair(0, 0)) continue;
    total += power;
    if (radius(f) < 4) low += power;
  }
  CHECK(low / total > 0.9);
}

TEST_CASE("signed distances are negative inside, positive outside, and areas agree with geometry") {
  const double pi = std::numbers::pi;
  const double ring = pi * (0.92 * 0.92 - 0.44 * 0.44);
  const std::map<int, double> area = {{0, pi * 0.81},
                                      {1, 2.25},
                                      {2, 0.75 * std::sqrt(3.0)},
                                      {3, 4 * 0.65 * 0.6 + 0.36},
                                      {5, ring},
                                      {9, pi * 0.98 * 0.98 / 2}};
  for (int id = 0; id < kShapeCues; ++id) {
    int inside = 0;
    const int n = 400;
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x) {
        const float u = 2.4f * (static_cast<float>(x) + 0.5f) / n - 1.2f,
                    v = 2.4f * (static_cast<float>(y) + 0.5f) / n - 1.2f;
        inside += shape_distance(id, u, v) < 0;
        if (std::hypot(u, v) > 1.1f) CHECK(shape_distance(id, u, v) > 0);
      }
    const double measured = inside * 2.4 * 2.4 / (n * n);
    INFO("figure ", kShapeNames[id]);
    CHECK(measured > 0.5);
    if (area.contains(id)) CHECK(measured == doctest::Approx(area.at(id)).epsilon(0.01));
  }
}

TEST_CASE("the distance to a square equals its closed form") {
  for (const auto& [x, y] : {std::pair{1.0f, 0.0f}, {0.0f, 0.2f}, {1.75f, 1.75f}, {-0.5f, 0.1f}}) {
    const float qx = std::abs(x) - 0.75f, qy = std::abs(y) - 0.75f;
    const float outside = std::hypot(std::max(qx, 0.0f), std::max(qy, 0.0f)),
                within = std::min(std::max(qx, qy), 0.0f);
    CHECK(shape_distance(1, x, y) == doctest::Approx(outside + within).epsilon(1e-6));
  }
}

TEST_CASE("cues agree, disagree or are independent as asked") {
  const auto agreement = [](std::optional<double> conflict) {
    const Dataset data =
        make_shapes({.train_count = 4000, .test_count = 1, .conflict = conflict}).train;
    double equal = 0;
    for (int64_t i = 0; i < data.count; ++i) equal += data.shape_ids[i] == data.texture_ids[i];
    return equal / static_cast<double>(data.count);
  };
  CHECK(agreement(0.0) == 1);
  CHECK(agreement(1.0) == 0);
  CHECK(std::abs(agreement(0.3) - 0.7) < 0.03);  // 4 standard deviations of 4000 draws
  CHECK(std::abs(agreement(std::nullopt) - 0.1) < 0.02);
}

TEST_CASE("a test conflict leaves the training pictures alone") {
  const DataSplits splits =
      make_shapes({.train_count = 100, .test_count = 100, .conflict = 0, .test_conflict = 1});
  CHECK(splits.train.shape_ids == splits.train.texture_ids);
  for (int64_t i = 0; i < 100; ++i) CHECK(splits.test.shape_ids[i] != splits.test.texture_ids[i]);
}

TEST_CASE("the label names the chosen cue") {
  for (const Cue cue : {Cue::shape, Cue::texture}) {
    const Dataset data =
        make_shapes({.classes = 4, .train_count = 200, .test_count = 1, .label = cue}).train;
    CHECK(data.labels == (cue == Cue::shape ? data.shape_ids : data.texture_ids));
    CHECK(data.classes[2] == (cue == Cue::shape ? kShapeNames[2] : kTextureNames[2]));
    CHECK(data.num_classes() == 4);
    CHECK(std::ranges::max(data.shape_ids) == 3);
    CHECK(std::ranges::max(data.texture_ids) == 3);
    for (int label = 0; label < 4; ++label) CHECK(std::ranges::count(data.labels, label) == 50);
  }
}

TEST_CASE("pictures depend on seed and index alone, not on counts or threads") {
  const int threads = thread_count();
  set_thread_count(1);
  const DataSplits one = make_shapes({.train_count = 60, .test_count = 20, .seed = 3});
  set_thread_count(3);
  const DataSplits many = make_shapes({.train_count = 80, .test_count = 20, .seed = 3});
  const DataSplits other = make_shapes({.train_count = 60, .test_count = 20, .seed = 4});
  set_thread_count(threads);
  CHECK(std::equal(one.train.images.begin(), one.train.images.end(), many.train.images.begin()));
  CHECK(one.test.images == many.test.images);
  CHECK(fingerprint(one.train) != fingerprint(other.train));
  CHECK(!std::equal(one.test.images.begin(), one.test.images.end(), one.train.images.begin()));
}

TEST_CASE("mean and standard deviation in the description are those of the pictures") {
  const DatasetInfo info = dataset_info("shapes");
  const Dataset data = make_shapes({}).train;
  CHECK(data.count == info.train_count);
  for (int c = 0; c < 3; ++c) {
    double sum = 0, square = 0;
    for (size_t i = c; i < data.images.size(); i += 3) {
      const double value = data.images[i] / 255.0;
      sum += value;
      square += value * value;
    }
    const double n = static_cast<double>(data.images.size()) / 3, mean = sum / n;
    CHECK(std::abs(mean - info.mean[c]) < 0.01);
    CHECK(std::abs(std::sqrt(square / n - mean * mean) - info.std[c]) < 0.005);
  }
}

TEST_CASE("options out of range are refused in one line") {
  CHECK(message_of<UsageError>([] { make_shapes({.size = 16}); }) ==
        "shapes: size is 16; it must be 28 to 512 pixels");
  CHECK(message_of<UsageError>([] { make_shapes({.classes = 11}); }) ==
        "shapes: classes is 11; it must be 2 to 10");
  CHECK(message_of<UsageError>([] {
          make_shapes({.train_count = 0});
        }).starts_with("shapes: train_count is 0"));
  CHECK(contains(
      message_of<OutOfMemory>([] { make_shapes({.size = 512, .train_count = 10'000'000}); }),
      "choose a smaller"));
  CHECK(message_of<UsageError>([] {
          make_shapes({.conflict = 1.5});
        }).starts_with("shapes: conflict is 1.5"));
}
