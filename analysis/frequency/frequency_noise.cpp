#include "analysis/frequency/frequency_noise.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/core/parallel.h"
#include "tensor/ops/fft.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr double kTwoPi = 2 * std::numbers::pi;

// Frequency of bin `i` of `side`, from -side/2 to (side - 1)/2.
int64_t signed_bin(int64_t i, int64_t side) { return i < (side + 1) / 2 ? i : i - side; }

bool in_symmetric(const FrequencyBand& band, double u, double v, double height, double width) {
  const double omega = kTwoPi * std::max(std::abs(u) / height, std::abs(v) / width);
  return omega >= band.centre - band.half_width && omega < band.centre + band.half_width;
}

bool in_published(const FrequencyBand& band, int64_t u, int64_t v, int64_t height, int64_t width) {
  const auto inside = [](int64_t bin, int64_t side, double edge) {
    const auto half = static_cast<int64_t>(edge * static_cast<double>(side) / kTwoPi);
    const int64_t most = std::clamp<int64_t>(half, 0, side / 2);
    return bin >= -most && bin < most;
  };
  const double low = band.centre - band.half_width, high = band.centre + band.half_width;
  return inside(u, height, high) && inside(v, width, high) &&
         !(inside(u, height, low) && inside(v, width, low));
}

// epsilon times random signs, one picture per index; the number of pictures in `shape` is filled
// in.
Tensor sign_noise(RandomKey key, const std::vector<int64_t>& indices, Shape shape, double epsilon) {
  shape[0] = static_cast<int64_t>(indices.size());
  const int64_t values = shape.inner(0);
  Tensor white = Tensor::empty(shape);
  float* out = white.data<float>();
  for_each_index(shape[0], [&](int64_t n) {
    const auto first = static_cast<uint64_t>(indices[static_cast<size_t>(n)] * values);
    for (int64_t i = 0; i < values; ++i) {
      const bool negative = random_uniform(key, first + static_cast<uint64_t>(i)) < 0.5f;
      out[n * values + i] = static_cast<float>(negative ? -epsilon : epsilon);
    }
  });
  return white;
}

}  // namespace

std::vector<double> band_mask(const FrequencyBand& band, int64_t height, int64_t width,
                              RingShape shape) {
  std::vector<double> mask;
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      const int64_t u = signed_bin(i, height), v = signed_bin(j, width);
      const bool inside =
          shape == RingShape::park_kim
              ? in_published(band, u, v, height, width)
              : in_symmetric(band, static_cast<double>(u), static_cast<double>(v),
                             static_cast<double>(height), static_cast<double>(width));
      mask.push_back(inside ? 1 : 0);
    }
  }
  return mask;
}

BandNoise::BandNoise(const Tensor& white)
    : real_(fft2_real(white)), imaginary_(fft2_imaginary(white)) {}

BandNoise::BandNoise(RandomKey key, const std::vector<int64_t>& indices, int64_t height,
                     int64_t width, int64_t channels, double epsilon, Device device)
    : BandNoise(sign_noise(key, indices, {0, height, width, channels}, epsilon).to(device)) {}

Tensor BandNoise::in_band(const std::vector<double>& mask) const {
  NoGrad no_grad;
  const int64_t height = real_.size(1), width = real_.size(2);
  const Tensor kept = Tensor::from(mask, {1, height, width, 1}, DType::f32, real_.device());
  // Re F^-1(z) = (Re F(Re z) + Im F(Im z)) / HW, because Im F holds -sin.
  const Tensor sum = fft2_real(real_ * kept) + fft2_imaginary(imaginary_ * kept);
  return sum / static_cast<double>(height * width);
}

Tensor with_rms(const Tensor& noise, double rms) {
  NoGrad no_grad;
  const Tensor power = mean(square(noise), {1, 2, 3}, /*keepdim=*/true);
  const Tensor least = Tensor::full({1, 1, 1, 1}, 1e-30, DType::f32, noise.device());
  return noise * (rms * rsqrt(maximum(power, least)));
}

Tensor fourier_basis(int64_t u, int64_t v, int64_t height, int64_t width) {
  Tensor basis = Tensor::empty({height, width});
  const double scale = 1 / std::sqrt(static_cast<double>(height * width));
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      // Reduced to one period in whole numbers first: the phase stays exact for large sides.
      const double turns =
          static_cast<double>((u * y % height + height) % height) / static_cast<double>(height) +
          static_cast<double>((v * x % width + width) % width) / static_cast<double>(width);
      basis.data<float>()[y * width + x] =
          static_cast<float>(scale * (std::cos(kTwoPi * turns) + std::sin(kTwoPi * turns)));
    }
  }
  return basis;
}

}  // namespace passband
