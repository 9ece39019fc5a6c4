// Ridge probes: closed forms, primal against dual, the normal equations, and probes on networks
// whose layers are known.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "analysis/places/probes.h"
#include "analysis/places/ridge.h"
#include "tensor/core/random.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
#include "tests/numeric.h"

using namespace passband;
using numeric::max_difference;

namespace {

Tensor noise(int64_t n, int64_t d, uint64_t seed, double offset = 0) {
  std::vector<double> values(static_cast<size_t>(n * d));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = offset + static_cast<double>(random_normal({seed, 0, 5}, i));
  return Tensor::from(values, {n, d}, DType::f64);
}

std::vector<int32_t> random_labels(int64_t n, int64_t classes) {
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < n; ++i) labels.push_back(static_cast<int32_t>((i * 7 + i / 3) % classes));
  return labels;
}

RidgePath primal(const Tensor& x, const std::vector<int32_t>& labels, int64_t classes,
                 const RidgeOptions& options) {
  RidgeSums sums(x.size(1), classes);
  const int64_t third = x.size(0) / 3;
  for (const auto& [first, count] :
       {std::pair{int64_t{0}, third}, std::pair{third, x.size(0) - third}})
    sums.add(slice(x, 0, first, count), {labels.begin() + first, labels.begin() + first + count});
  return sums.solve(options);
}

}  // namespace

TEST_CASE("orthonormal features: W = X^T Y / (1 + lambda)") {
  // Columns of a scaled Hadamard matrix: X^T X = I.
  const int64_t n = 8, d = 3, classes = 2;
  std::vector<double> x;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < d; ++j) x.push_back((i >> j & 1 ? -1 : 1) / std::sqrt(8.0));
  const std::vector<int32_t> labels = {0, 1, 1, 0, 1, 0, 0, 0};
  const RidgePath path =
      primal(Tensor::from(x, {n, d}, DType::f64), labels, classes, {.standardise = false});
  for (const double lambda : {0.0, 0.5, 3.0}) {
    const std::vector<double> w = path.weights(lambda);
    for (int64_t j = 0; j < d; ++j)
      for (int64_t c = 0; c < classes; ++c) {
        double expected = 0;
        for (int64_t i = 0; i < n; ++i)
          expected +=
              x[static_cast<size_t>(i * d + j)] * (labels[static_cast<size_t>(i)] == c ? 1 : -1);
        CHECK(w[static_cast<size_t>(j * classes + c)] ==
              doctest::Approx(expected / (1 + lambda)).epsilon(1e-12));
      }
    for (int64_t c = 0; c < classes; ++c)
      CHECK(std::abs(w[static_cast<size_t>(d * classes + c)]) < 1e-14);
  }
}

TEST_CASE("primal and dual forms agree to 1e-10, standardised or not, for every lambda") {
  const Tensor x = noise(20, 31, 1, 2.0);
  const std::vector<int32_t> labels = random_labels(20, 4);
  for (const bool standardise : {true, false}) {
    const RidgePath dual = ridge_of_examples(x, labels, 4, {standardise});
    const RidgePath sums = primal(x, labels, 4, {standardise});
    for (const double lambda : {1e-2, 1.0, 100.0})
      CHECK(max_difference(dual.weights(lambda), sums.weights(lambda)) < 1e-10);
  }
}

TEST_CASE("the solution satisfies the normal equations of the raw problem with a free intercept") {
  const int64_t n = 50, d = 6, classes = 3;
  const Tensor x = noise(n, d, 2, 5.0);
  const std::vector<int32_t> labels = random_labels(n, classes);
  const double lambda = 2.5;
  const std::vector<double> w = primal(x, labels, classes, {}).weights(lambda), v = x.values();
  for (int64_t c = 0; c < classes; ++c) {
    std::vector<double> residual;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      double score = w[static_cast<size_t>(d * classes + c)];
      for (int64_t j = 0; j < d; ++j)
        score += v[static_cast<size_t>(i * d + j)] * w[static_cast<size_t>(j * classes + c)];
      residual.push_back((labels[static_cast<size_t>(i)] == c ? 1 : -1) - score);
      sum += residual.back();
    }
    CHECK(std::abs(sum) < 1e-9);  // the intercept is free
    for (int64_t j = 0; j < d; ++j) {
      double mean = 0, variance = 0, pull = 0;
      for (int64_t i = 0; i < n; ++i) mean += v[static_cast<size_t>(i * d + j)] / n;
      for (int64_t i = 0; i < n; ++i) {
        const double centred = v[static_cast<size_t>(i * d + j)] - mean;
        variance += centred * centred / n;
        pull += centred * residual[static_cast<size_t>(i)];
      }
      // X^T r = lambda w in units of the deviation: pull / s = lambda w s.
      CHECK(pull == doctest::Approx(lambda * w[static_cast<size_t>(j * classes + c)] * variance)
                        .epsilon(1e-8));
    }
  }
}

TEST_CASE("features that name the class are read without an error, noise by chance") {
  const int64_t n = 400, classes = 5;
  const std::vector<int32_t> labels = random_labels(n, classes);
  Tensor named = noise(n, classes, 3) * 0.1;
  for (int64_t i = 0; i < n; ++i)
    named.data<double>()[i * classes + labels[static_cast<size_t>(i)]] += 1;
  CHECK(count_right(named, labels, ridge_of_examples(named, labels, classes).weights(1), classes) ==
        n);
  const Tensor blind = noise(n, 8, 4), fresh = noise(n, 8, 5);
  const int64_t right =
      count_right(fresh, labels, ridge_of_examples(blind, labels, classes).weights(1), classes);
  CHECK(right > n / 5 - 45);  // 80 +- 5 standard deviations of 8
  CHECK(right < n / 5 + 45);
}

TEST_CASE("a constant feature and a large offset do no harm") {
  const std::vector<int32_t> labels = random_labels(60, 3);
  Tensor x = noise(60, 4, 6);
  const std::vector<double> plain = primal(x, labels, 3, {}).weights(1);
  Tensor moved = x + 1e6;
  for (int64_t i = 0; i < 60; ++i) moved.data<double>()[i * 4 + 3] = 7;
  for (const double value : primal(moved, labels, 3, {}).weights(1)) CHECK(std::isfinite(value));
  const std::vector<double> shifted = primal(x + 1e6, labels, 3, {}).weights(1);
  for (size_t i = 0; i < 12; ++i) CHECK(shifted[i] == doctest::Approx(plain[i]).epsilon(1e-6));
}

namespace {

// Pictures whose class is the brightest quadrant (0 to 3), for networks of 8 x 8.
Dataset quadrants(int64_t count, uint64_t seed) {
  Dataset data{.name = "quadrants", .count = count, .height = 8, .width = 8};
  data.classes = {"a", "b", "c", "d"};
  data.mean = {0.5f, 0.5f, 0.5f};
  data.std = {0.25f, 0.25f, 0.25f};
  for (int64_t n = 0; n < count; ++n) {
    data.labels.push_back(static_cast<int32_t>(n % 4));
    for (int64_t y = 0; y < 8; ++y)
      for (int64_t x = 0; x < 8; ++x)
        for (int64_t c = 0; c < 3; ++c) {
          const auto index = static_cast<uint64_t>(((n * 8 + y) * 8 + x) * 3 + c);
          const double noise = 60.0 * static_cast<double>(random_uniform({seed, 0, 9}, index));
          const bool lit = (y / 4) * 2 + x / 4 == n % 4;
          data.images.push_back(static_cast<uint8_t>(60 + noise + (lit ? 100 : 0)));
        }
  }
  return data;
}

}  // namespace

TEST_CASE("cells average what lies in them and set sub-cells side by side while channels allow") {
  std::vector<double> values;
  for (int i = 0; i < 16; ++i) values.push_back(i);
  const Tensor map = Tensor::from(values, {1, 4, 4, 1});
  CHECK(cell_features(map, 2, 2, 1).values() == std::vector<double>{2.5, 4.5, 10.5, 12.5});
  const Tensor split = cell_features(map, 2, 2, 4);
  CHECK(split.shape() == Shape{1, 2, 2, 4});
  CHECK(split.values()[0] == 0);
  CHECK(split.values()[3] == 5);
  CHECK(split.values()[4] == 2);
}

TEST_CASE(
    "probes of an untrained network read a class that is linear in "
    "the picture, single places less than all") {
  const Dataset train = quadrants(400, 1), test = quadrants(200, 2);
  const auto model = make_model("C.C:basic,width=8", {.classes = 4, .image_size = 8, .seed = 3});
  const auto layers =
      probe_layers(*model, train, test, {.train = 300, .validation = 100, .test = 200, .shots = 5});
  REQUIRE(layers.size() == 3);  // stem and two blocks
  CHECK(layers[1].grid_h == 4);
  CHECK(layers[1].by_place.size() == 16);
  for (const ProbeLayer& layer : layers) {
    CHECK(layer.mean >= 0.25 - 0.1);
    CHECK(layer.mean <= 1);
    CHECK(layer.class_token == -1);
    REQUIRE(layer.right.size() == 200);
    CHECK(layer.mean ==
          doctest::Approx(static_cast<double>(std::ranges::count(layer.right, true)) / 200));
    // A place inside a quadrant knows whether that quadrant is lit: one class of four for sure, a
    // third of the rest.
    CHECK(layer.places > 0.4);
  }
}

TEST_CASE(
    "a class token that sees nothing reads by chance, places of an "
    "untrained transformer their own quadrant") {
  const Dataset train = quadrants(400, 1), test = quadrants(200, 2);
  const auto model = make_model("vit_tiny_patch4", {.classes = 4, .image_size = 8, .seed = 3});
  const auto layers =
      probe_layers(*model, train, test, {.train = 300, .validation = 100, .test = 200, .shots = 5});
  REQUIRE(layers.size() == 13);  // the embedding and twelve blocks
  CHECK(layers[0].class_token == doctest::Approx(0.25).epsilon(0.5));  // the same for every picture
  CHECK(layers[0].places > 0.4);  // one half at best: its own class for sure, a third of the rest
  CHECK(layers[0].by_place.size() == 4);
  CHECK(layers[0].kind == BlockKind::embedding);
  CHECK(layers[12].site.kind == BlockKind::mlp);
  CHECK(layers[12].kind == BlockKind::msa);                     // attention and MLP are one block
  CHECK(layers[12].class_token > layers[0].class_token + 0.1);  // gathered from all quadrants
}
