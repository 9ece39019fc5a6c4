// Noise in a band of frequencies and Fourier basis pictures: closed forms, Parseval, numpy.
#include <doctest/doctest.h>

#include <cmath>
#include <complex>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>

#include "analysis/frequency/frequency_noise.h"
#include "analysis/frequency/spectrum.h"
#include "tensor/ops/fft.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/golden_file.h"

using namespace passband;

namespace {

constexpr double kPi = std::numbers::pi;

double total(const std::vector<double>& mask) {
  return std::accumulate(mask.begin(), mask.end(), 0.0);
}

// |F|^2 of every bin, summed over pictures and channels.
std::vector<double> power(const Tensor& maps) {
  return sum(square(fft2_magnitude(maps)), {0, 3}).values();
}

using Waves = std::vector<std::pair<int64_t, int64_t>>;

double norm(const Tensor& x) { return std::sqrt(sum(square(x)).item()); }

}  // namespace

TEST_CASE("the rings of the published script have the published sides") {
  // Outer and inner side at 0.1, 0.5 and 0.9 pi.
  const struct {
    int64_t side;
    double f;
    int64_t outer, inner;
  } cases[] = {{224, 0.1, 36, 8}, {224, 0.5, 126, 96}, {224, 0.9, 214, 186},
               {32, 0.1, 4, 0},   {32, 0.5, 18, 12},   {32, 0.9, 30, 26}};
  for (const auto& c : cases) {
    const std::vector<double> mask =
        band_mask({c.f * kPi, 0.2}, c.side, c.side, RingShape::park_kim);
    CHECK(total(mask) == c.outer * c.outer - c.inner * c.inner);
  }
}

TEST_CASE("the published ring and what it leaves of known noise agree with numpy") {
  const nlohmann::json golden =
      nlohmann::json::parse(std::ifstream(golden_file("similarity.json")))["noise"];
  const auto mask = golden["mask"].get<std::vector<double>>();
  CHECK(band_mask({0.5 * kPi, 0.4}, 16, 16, RingShape::park_kim) == mask);
  const auto signs = golden["signs"].get<std::vector<double>>();
  const Tensor white = Tensor::from(signs, {1, 16, 16, 1});
  const std::vector<double> band = BandNoise(white).in_band(mask).values();
  const auto expected = golden["band"].get<std::vector<double>>();
  for (size_t i = 0; i < band.size(); ++i) CHECK(std::abs(band[i] - expected[i]) < 1e-5);
}

TEST_CASE("a symmetric ring contains every bin with its mirror, and never zero frequency") {
  for (const int64_t side : {7, 16, 32}) {
    for (const double f : {0.1, 0.5, 0.9}) {
      const std::vector<double> mask = band_mask({f * kPi, 0.2}, side, side);
      CHECK(mask[0] == 0);
      for (int64_t u = 0; u < side; ++u)
        for (int64_t v = 0; v < side; ++v)
          CHECK(mask[static_cast<size_t>(u * side + v)] ==
                mask[static_cast<size_t>((side - u) % side * side + (side - v) % side)]);
    }
  }
}

TEST_CASE("rings that meet cover every frequency once") {
  const int64_t side = 32;
  std::vector<double> covered(32 * 32, 0.0);
  for (int i = 0; i < 5; ++i) {
    const std::vector<double> mask = band_mask({(0.095 + 0.19 * i) * kPi, 0.095 * kPi}, side, side);
    for (size_t k = 0; k < mask.size(); ++k) covered[k] += mask[k];
  }
  // From zero up to 0.95 pi: bins -15 to 15 of both axes.
  CHECK(total(covered) == 31 * 31);
  CHECK(*std::max_element(covered.begin(), covered.end()) == 1);
}

TEST_CASE("band noise has energy inside its ring only, and as much as the white noise had there") {
  const std::vector<int64_t> indices = {0, 5};
  const BandNoise noise({3, 0, 0}, indices, 16, 16, 3, 0.7);
  const std::vector<double> everything(16 * 16, 1.0), mask = band_mask({0.5 * kPi, 0.4}, 16, 16);
  const std::vector<double> white = power(noise.in_band(everything));
  const std::vector<double> band = power(noise.in_band(mask));
  for (size_t i = 0; i < mask.size(); ++i)
    CHECK(std::abs(band[i] - mask[i] * white[i]) < 1e-3 * (1 + white[i]));
  // All bins: the signs themselves.
  for (const double value : noise.in_band(everything).values())
    CHECK(std::abs(std::abs(value) - 0.7) < 1e-5);
}

TEST_CASE("the noise of a picture does not depend on the batch it is in") {
  const std::vector<double> mask = band_mask({0.5 * kPi, 0.4}, 8, 8);
  const Tensor together = BandNoise({3, 0, 0}, {4, 9}, 8, 8, 3, 1).in_band(mask);
  const Tensor alone = BandNoise({3, 0, 0}, {9}, 8, 8, 3, 1).in_band(mask);
  const std::vector<double> a = slice(together, 0, 1, 1).values(), b = alone.values();
  for (size_t i = 0; i < b.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-5));
}

TEST_CASE("equal energy is equal for every picture") {
  Tensor noise =
      BandNoise({1, 0, 0}, {0, 1, 2}, 16, 16, 3, 0.7).in_band(band_mask({0.3 * kPi, 0.2}, 16, 16));
  const std::vector<double> means = mean(square(with_rms(noise, 0.25)), {1, 2, 3}).values();
  for (const double m : means) CHECK(m == doctest::Approx(0.0625).epsilon(1e-5));
}

TEST_CASE(
    "basis pictures are real, of unit norm, on one mirror pair, and orthogonal to one another") {
  for (const int64_t side : {8, 7}) {
    for (const auto& [u, v] : Waves{{0, 0}, {1, 2}, {3, -1}, {-2, 3}}) {
      const Tensor basis = fourier_basis(u, v, side, side);
      CHECK(norm(basis) == doctest::Approx(1).epsilon(1e-6));
      const std::vector<double> p = power(reshape(basis, Shape{1, side, side, 1}));
      for (int64_t i = 0; i < side; ++i)
        for (int64_t j = 0; j < side; ++j) {
          const bool on = (i == (u + side) % side && j == (v + side) % side) ||
                          (i == (side - u) % side && j == (side - v) % side);
          const double at = p[static_cast<size_t>(i * side + j)];
          if (on) CHECK(at > 1);
          else CHECK(at < 1e-8 * static_cast<double>(side * side));
        }
    }
  }
  CHECK(std::abs(sum(fourier_basis(1, 2, 8, 8) * fourier_basis(2, 1, 8, 8)).item()) < 1e-6);
  CHECK(std::abs(sum(fourier_basis(4, 4, 8, 8) * fourier_basis(0, 0, 8, 8)).item()) < 1e-6);
}

TEST_CASE(
    "a cosine of amplitude 3 on 16 x 16 pixels has |F| = 384 at "
    "its two bins, a constant all of it at zero") {
  std::vector<double> wave;
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 16; ++x)
      wave.push_back(3 * std::cos(2 * kPi * (2.0 * y / 16 + 5.0 * x / 16)));
  const std::vector<double> f = fft2_magnitude(Tensor::from(wave, {1, 16, 16, 1})).values();
  for (size_t i = 0; i < f.size(); ++i)
    CHECK(std::abs(f[i] - (i == 2 * 16 + 5 || i == 14 * 16 + 11 ? 384 : 0)) < 1e-3);
  const std::vector<double> flat = fft2_magnitude(Tensor::full({1, 16, 16, 1}, -2)).values();
  for (size_t i = 0; i < flat.size(); ++i) CHECK(std::abs(flat[i] - (i == 0 ? 512 : 0)) < 1e-3);
}

TEST_CASE("a basis picture of norm v moves a picture by exactly v before it is clipped") {
  const Tensor picture = with_rms(Tensor::full({1, 8, 8, 1}, 1), 0.5);
  const Tensor moved = picture + reshape(fourier_basis(1, 2, 8, 8), Shape{1, 8, 8, 1}) * 4.0;
  CHECK(norm(moved - picture) == doctest::Approx(4).epsilon(1e-6));
}

TEST_CASE("a Nyquist wave is the checkerboard, zero frequency a constant") {
  const std::vector<double> board = fourier_basis(2, 2, 4, 4).values();
  for (int64_t y = 0; y < 4; ++y)
    for (int64_t x = 0; x < 4; ++x)
      CHECK(board[static_cast<size_t>(y * 4 + x)] ==
            doctest::Approx((y + x) % 2 == 0 ? 0.25 : -0.25));
  for (const double value : fourier_basis(0, 0, 4, 4).values())
    CHECK(value == doctest::Approx(0.25));
}

TEST_CASE("white noise reads 0.3466 at complex bins, 0 at Nyquist and between them on rings") {
  Tensor noise = Tensor::empty({256, 8, 8, 16});
  for (int64_t i = 0; i < noise.numel(); ++i)
    noise.data<float>()[i] = random_normal({5, 0, 1}, static_cast<uint64_t>(i));
  LogAmplitude sums;
  sums.add(noise);
  const std::vector<double> radial = sums.radial(), expected = sums.white_noise_radial();
  // 4096 maps: the mean logarithm at zero frequency, which all share, scatters by 1.11 / 64.
  for (size_t i = 1; i < radial.size(); ++i) CHECK(std::abs(radial[i] - expected[i]) < 0.06);
  CHECK(expected[1] == doctest::Approx(kWhiteNoiseLogAmplitude));
  CHECK(expected[4] < kWhiteNoiseLogAmplitude);  // holds (0, 4) and (4, 0), which are real
  for (size_t i = 1; i < 4; ++i)
    CHECK(sums.white_noise_diagonal()[i] == doctest::Approx(kWhiteNoiseLogAmplitude));
}
