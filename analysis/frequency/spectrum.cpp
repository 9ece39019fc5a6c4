#include "analysis/frequency/spectrum.h"

#include <algorithm>
#include <cmath>

#include "models/ring_spectrum.h"
#include "tensor/autograd/node.h"
#include "tensor/ops/fft.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/vecdot.h"

namespace passband {

namespace {

void append(const Tensor& values, std::vector<double>& to) {
  const std::vector<double> read = values.values();
  to.insert(to.end(), read.begin(), read.end());
}

// Of each picture, mean over channels, at bin (at, at): (N) f64.
Tensor at_bin(const Tensor& amplitude, int64_t at) {
  const Tensor bin = slice(slice(amplitude, 1, at, 1), 2, at, 1);  // (N, 1, 1, C)
  return mean(cast(bin, DType::f64), {1, 2, 3});
}

}  // namespace

void LogAmplitude::add(const Tensor& maps) {
  NoGrad no_grad;
  const int64_t height = maps.size(1), width = maps.size(2);
  if (!sum_.defined()) {
    height_ = height;
    width_ = width;
    sum_ = Tensor::zeros({height, width}, DType::f64, maps.device());
  }
  CHECK(height == height_ && width == width_, "fourier: the layer's maps are ", maps,
        ", before they were ", height_, " x ", width_);
  const Tensor amplitude = log(fft2_magnitude(maps) + 1e-6);
  add_(sum_, cast(sum(amplitude, {0, 3}), DType::f64));
  count_ += static_cast<double>(maps.size(0) * maps.size(3));
  const int64_t last = (std::min(height_, width_) + 1) / 2 - 1;
  append(last > 0 ? at_bin(amplitude, last) - at_bin(amplitude, 0)
                  : Tensor::full({maps.size(0)}, std::nan(""), DType::f64, maps.device()),
         pictures_);
}

void LogAmplitude::join(const OwnPart& part) {
  part.join(sum_);
  part.join(count_);
  part.append(pictures_);
}

std::vector<double> LogAmplitude::diagonal_of(const std::vector<double>& map) const {
  std::vector<double> result;
  for (int64_t i = 0; i < (std::min(height_, width_) + 1) / 2; ++i)
    result.push_back(map[static_cast<size_t>(i * width_ + i)] - map[0]);
  return result;
}

std::vector<double> LogAmplitude::white_noise() const {
  std::vector<double> map;
  for (int64_t u = 0; u < height_; ++u)
    for (int64_t v = 0; v < width_; ++v)
      map.push_back(2 * u % height_ == 0 && 2 * v % width_ == 0 ? 0 : kWhiteNoiseLogAmplitude);
  return map;
}

namespace {

std::vector<double> divided(std::vector<double> values, double by) {
  for (double& value : values) value /= by;
  return values;
}

}  // namespace

std::vector<double> LogAmplitude::diagonal() const {
  return divided(diagonal_of(sum_.values()), count_);
}

std::vector<double> LogAmplitude::radial() const {
  return divided(ring_means(sum_.values(), height_, width_), count_);
}

std::vector<double> LogAmplitude::white_noise_diagonal() const {
  return diagonal_of(white_noise());
}

std::vector<double> LogAmplitude::white_noise_radial() const {
  return ring_means(white_noise(), height_, width_);
}

void MapVariance::add(const Tensor& maps) {
  NoGrad no_grad;
  const int64_t positions = maps.size(1) * maps.size(2);
  if (positions < 2) return;
  const Tensor centred = sub(maps, mean(maps, {1, 2}, /*keepdim=*/true));
  const Tensor flat = reshape(centred, Shape{maps.numel()});
  const Tensor squares = cast(vecdot(flat, flat), DType::f64) / static_cast<double>(positions - 1);
  sum_ = sum_.defined() ? sum_ + squares : squares;
  count_ += static_cast<double>(maps.size(0) * maps.size(3));
  const Tensor rows = reshape(centred, Shape{maps.size(0), positions * maps.size(3)});
  append(cast(vecdot(rows, rows), DType::f64) / static_cast<double>((positions - 1) * maps.size(3)),
         pictures_);
}

void MapVariance::join(const OwnPart& part) {
  part.join(sum_);
  part.join(count_);
  part.append(pictures_);
}

}  // namespace passband
