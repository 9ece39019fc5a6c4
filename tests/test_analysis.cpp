// Closed forms for the spectrum, variance, attention and calibration analyses.
#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "analysis/decisions/calibration.h"
#include "analysis/frequency/spectrum.h"
#include "analysis/reach/attention_reach.h"
#include "tensor/core/random.h"

using namespace passband;

namespace {

// Feature maps (1, n, n, 1) from a function of row and column.
template <class F> Tensor map_of(int64_t n, F&& f) {
  Tensor map = Tensor::empty({1, n, n, 1});
  for (int64_t y = 0; y < n; ++y)
    for (int64_t x = 0; x < n; ++x) map.data<float>()[y * n + x] = static_cast<float>(f(y, x));
  return map;
}

Tensor uniform_attention(int64_t windows, int64_t heads, int64_t tokens) {
  return Tensor::full({windows, heads, tokens, tokens}, 1.0 / static_cast<double>(tokens));
}

Tensor identity_attention(int64_t tokens) {
  Tensor a = Tensor::zeros({1, 1, tokens, tokens});
  for (int64_t i = 0; i < tokens; ++i) a.data<float>()[i * tokens + i] = 1;
  return a;
}

TapSite grid(int64_t side, double patch, int64_t window = 0, int64_t shift = 0,
             int64_t prefix = 0) {
  TapSite site;
  site.path = "block.attention";
  site.name = "attention";
  site.kind = BlockKind::msa;
  site.height = site.width = side;
  site.patch = patch;
  site.window = window;
  site.shift = shift;
  site.prefix = prefix;
  return site;
}

double distance(const TapSite& site, const Tensor& attention) {
  AttentionDistance sums;
  sums.add(site, attention);
  return sums.distances()[0];
}

}  // namespace

TEST_CASE("the spectrum of a 2 x 2 box blur falls by 2 ln|cos(w/2)| along the diagonal") {
  const double expected[] = {0, -0.158347, -0.693147, -1.921094};  // w = 0, pi/4, pi/2, 3 pi/4
  const int64_t n = 8;
  const auto box = map_of(n, [](int64_t y, int64_t x) { return y < 2 && x < 2 ? 0.25 : 0.0; });
  LogAmplitude sums;
  sums.add(box);
  const std::vector<double> diagonal = sums.diagonal();
  REQUIRE(diagonal.size() == 4);
  for (size_t i = 0; i < 4; ++i) CHECK(std::abs(diagonal[i] - expected[i]) < 1e-4);
}

TEST_CASE("the spectrum of a 3 x 3 box blur falls by 2 ln|(1 + 2 cos w)/3| along the diagonal") {
  const auto box = map_of(
      8, [](int64_t y, int64_t x) { return (y + 1) % 8 < 3 && (x + 1) % 8 < 3 ? 1 / 9.0 : 0.0; });
  LogAmplitude sums;
  sums.add(box);
  const std::vector<double> diagonal = sums.diagonal();
  CHECK(diagonal[1] == doctest::Approx(-0.434477).epsilon(1e-4));
  CHECK(diagonal[2] == doctest::Approx(-2.197225).epsilon(1e-4));
  CHECK(diagonal[3] == doctest::Approx(-3.959972).epsilon(1e-3));
}

TEST_CASE("white noise reads half a logarithm of two above zero frequency") {
  Tensor noise = Tensor::empty({64, 16, 16, 8});
  for (int64_t i = 0; i < noise.numel(); ++i)
    noise.data<float>()[i] = random_normal({5, 0, 1}, static_cast<uint64_t>(i));
  LogAmplitude sums;
  sums.add(noise);
  const std::vector<double> diagonal = sums.diagonal();
  // 512 maps: the mean logarithm at zero frequency scatters by 1.11 / sqrt(512) = 0.05.
  for (size_t i = 1; i < diagonal.size(); ++i)
    CHECK(std::abs(diagonal[i] - kWhiteNoiseLogAmplitude) < 0.2);
}

TEST_CASE("the diagonal has as many points as published: 7 for 14 x 14, 4 for 7 x 7") {
  for (const auto& [side, points] : {std::pair{14, 7}, std::pair{7, 4}, std::pair{28, 14}}) {
    LogAmplitude sums;
    sums.add(map_of(side, [](int64_t y, int64_t) { return static_cast<double>(y); }));
    CHECK(sums.diagonal().size() == static_cast<size_t>(points));
  }
}

TEST_CASE("the variance of a feature map is unbiased over positions") {
  MapVariance sums;
  // 0, 1, 2, 3
  sums.add(map_of(2, [](int64_t y, int64_t x) { return static_cast<double>(2 * y + x); }));
  CHECK(sums.value() == doctest::Approx(5.0 / 3));
}

TEST_CASE("uniform attention over 14 x 14 patches of 16 px looks 116.4922 px far") {
  CHECK(distance(grid(14, 16), uniform_attention(1, 1, 196)) ==
        doctest::Approx(116.4922).epsilon(1e-6));
  CHECK(16 * uniform_distance(14) == doctest::Approx(116.4922).epsilon(1e-6));
  CHECK(32 * uniform_distance(7) == doctest::Approx(115.5029).epsilon(1e-6));
  CHECK(2 * uniform_distance(16) == doctest::Approx(16.6522).epsilon(1e-5));
}

TEST_CASE(
    "keys that stand for cells of places are as far as their places, and as many as they are") {
  const Tensor uniform = Tensor::full({1, 2, 196, 49}, 1.0 / 49);
  CHECK(distance(grid(14, 16), uniform) == doctest::Approx(116.4922).epsilon(1e-6));
  Tensor own = Tensor::zeros({1, 1, 16, 4});  // 4 x 4 places, each looks at its own 2 x 2 cell
  for (int64_t i = 0; i < 16; ++i) own.data<float>()[i * 4 + i / 8 * 2 + i % 4 / 2] = 1;
  CHECK(distance(grid(4, 1), own) == doctest::Approx(uniform_distance(2)).epsilon(1e-6));
  AttentionEntropy sums;
  sums.add(grid(14, 16), uniform);
  CHECK(sums.keys() == 49);
  CHECK(sums.entropy()[0] == doctest::Approx(std::log(49.0)).epsilon(1e-6));
}

TEST_CASE("a class token that takes half of the attention does not shorten the distance") {
  Tensor a = Tensor::full({1, 1, 197, 197}, 0.5 / 196);
  for (int64_t i = 0; i < 197; ++i) a.data<float>()[i * 197] = 0.5f;
  AttentionDistance sums;
  sums.add(grid(14, 16, 0, 0, 1), a);
  CHECK(sums.distances()[0] == doctest::Approx(116.4922).epsilon(1e-5));
  CHECK(sums.class_mass()[0] == doctest::Approx(0.5).epsilon(1e-5));
}

TEST_CASE("each picture has its own distance, in windows too") {
  // Four windows of 7 x 7: of the first picture uniform, of the second each place sees itself.
  Tensor a = Tensor::full({8, 2, 49, 49}, 1.0 / 49);
  for (int64_t i = a.numel() / 2; i < a.numel(); ++i)
    a.data<float>()[i] = i % 2401 % 50 == 0 ? 1.0f : 0.0f;
  AttentionDistance sums;
  sums.add(grid(14, 4, 7), a);
  REQUIRE(sums.of_pictures().size() == 4);  // two pictures, two heads
  CHECK(sums.of_pictures()[1] == doctest::Approx(14.4379).epsilon(1e-5));
  CHECK(sums.of_pictures()[2] == 0);
  CHECK(sums.distances()[0] == doctest::Approx(14.4379 / 2).epsilon(1e-5));
}

TEST_CASE("attention to itself has distance 0") {
  CHECK(distance(grid(5, 8), identity_attention(25)) == 0);
}

TEST_CASE("attention to the right neighbour, the last column to itself, looks P (n - 1) / n far") {
  const int64_t n = 6;
  Tensor a = Tensor::zeros({1, 1, n * n, n * n});
  for (int64_t i = 0; i < n * n; ++i) a.data<float>()[i * n * n + (i % n + 1 < n ? i + 1 : i)] = 1;
  CHECK(distance(grid(n, 8), a) == doctest::Approx(8.0 * 5 / 6));
}

TEST_CASE(
    "uniform attention in 7 x 7 windows is 14.4379 px at stride "
    "4, and twice that at every further stage") {
  const std::pair<double, double> stages[] = {
      {4, 14.4379}, {8, 28.8757}, {16, 57.7514}, {32, 115.5029}};
  for (const auto& [stride, expected] : stages)
    CHECK(distance(grid(14, stride, 7), uniform_attention(4, 1, 49)) ==
          doctest::Approx(expected).epsilon(1e-5));
}

TEST_CASE("a shifted window is measured in the unrolled picture") {
  // Tokens of a shifted window that wrap around the border lie far apart there.
  const double plain = distance(grid(8, 1, 4), uniform_attention(4, 1, 16));
  const double shifted = distance(grid(8, 1, 4, 2), uniform_attention(4, 1, 16));
  CHECK(plain == doctest::Approx(uniform_distance(4)));
  CHECK(shifted > plain);
}

namespace {

// Adds `n` two-class predictions of confidence `confidence`, `right` of them correct.
void add_predictions(Calibration& sums, double confidence, int n, int right) {
  const double logit = std::log(confidence / (1 - confidence));
  for (int i = 0; i < n; ++i)
    sums.add(Tensor::from({logit, 0}, {1, 2}, DType::f64), {i < right ? 0 : 1});
}

}  // namespace

TEST_CASE(
    "100 predictions at 80 % of which 80 are right are "
    "calibrated, of which 60 are right off by 0.2") {
  Calibration honest(2), proud(2);
  add_predictions(honest, 0.8, 100, 80);
  add_predictions(proud, 0.8, 100, 60);
  CHECK(honest.result().ece == doctest::Approx(0).epsilon(1e-9));
  CHECK(proud.result().ece == doctest::Approx(0.2));
  CHECK(proud.result().signed_ece == doctest::Approx(0.2));
}

TEST_CASE("gaps of opposite sign add up in ECE and cancel in its signed form") {
  Calibration sums(2);
  add_predictions(sums, 0.9, 50, 40);     // says 0.9, is 0.8
  add_predictions(sums, 0.6001, 50, 35);  // says 0.6, is 0.7
  const CalibrationResult r = sums.result();
  CHECK(r.ece == doctest::Approx(0.1).epsilon(1e-3));
  CHECK(r.mce == doctest::Approx(0.1).epsilon(1e-3));
  CHECK(std::abs(r.signed_ece) < 1e-3);
}

TEST_CASE("equal logits over balanced classes: likelihood ln C, Brier 1 - 1/C, ECE 0") {
  Calibration sums(10);
  for (int32_t label = 0; label < 10; ++label) sums.add(Tensor::zeros({1, 10}), {label});
  const CalibrationResult r = sums.result();
  CHECK(r.nll == doctest::Approx(2.302585));
  CHECK(r.brier == doctest::Approx(0.9));
  CHECK(r.ece == doctest::Approx(0).epsilon(1e-9));
  CHECK(r.accuracy == doctest::Approx(0.1));
}

TEST_CASE("a confidence of exactly 1 lands in the last bin") {
  Calibration sums(2);
  sums.add(Tensor::from({1e6, 0}, {1, 2}, DType::f64), {0});
  const CalibrationResult r = sums.result();
  CHECK(r.bins.back().n == 1);
  CHECK(r.bins.back().confidence == doctest::Approx(1));
  CHECK(r.ece == doctest::Approx(0));
}

TEST_CASE("the floor of ECE is what a calibrated simulator of 1000 pictures shows: 0.0282") {
  Calibration sums(2);
  RandomSequence random({9, 0, 0});
  for (int i = 0; i < 1000; ++i) {
    const double p = 0.5 + 0.5 * (i + 0.5) / 1000;
    const double logit = std::log(p / (1 - p));
    sums.add(Tensor::from({logit, 0}, {1, 2}, DType::f64),
             {random.uniform() < static_cast<float>(p) ? 0 : 1});
  }
  CHECK(sums.result().ece_floor == doctest::Approx(0.0282).epsilon(0.05));
}
