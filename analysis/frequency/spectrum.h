// Fourier analysis of feature maps (Park and Kim, ICLR 2022, figures 2a and 8) and their variance
// (figure 9).
#pragma once
#include <vector>

#include "analysis/study/own_part.h"
#include "tensor/core/tensor.h"

namespace passband {

// Mean over pictures and channels of log(|F| + 1e-6), natural logarithm, of feature maps of one
// layer. Time: one 2-D FFT per picture and channel. Memory: H * W doubles.
class LogAmplitude {
 public:
  // maps (N, H, W, C) f32. Throws when H or W differ from earlier calls.
  void add(const Tensor& maps);
  // With those of other processes.
  void join(const OwnPart& part);

  // Log amplitude relative to frequency zero along the diagonal from DC to the corner, as
  // published: entry i belongs to frequency `frequency(i)`; entry 0 is 0. Length ceil(H / 2); for
  // even H the last entry is just below the Nyquist frequency.
  std::vector<double> diagonal() const;
  // The same, averaged over rings of equal radius (in units of frequency steps, 0 to H/2).
  std::vector<double> radial() const;
  // What white noise reads there on average: kWhiteNoiseLogAmplitude where bins are complex, 0
  // where they are their own mirror (a Nyquist bin), and the mean over a ring that holds both.
  std::vector<double> white_noise_diagonal() const;
  std::vector<double> white_noise_radial() const;
  // The last entry of the diagonal of each picture alone, in the order they were added; its mean is
  // that of `diagonal`. Not a number for maps of side 2, whose diagonal is zero frequency alone.
  const std::vector<double>& of_pictures() const { return pictures_; }
  // Frequency of entry i in units of pi (cycles per pixel times 2).
  double frequency(size_t i) const {
    return 2.0 * static_cast<double>(i) / static_cast<double>(height_);
  }

 private:
  std::vector<double> diagonal_of(const std::vector<double>& map) const;
  std::vector<double> white_noise() const;  // (H, W)

  int64_t height_ = 0, width_ = 0;
  double count_ = 0;  // maps seen
  Tensor sum_;        // (H, W) f64 where the maps lie, zero frequency at (0, 0)
  std::vector<double> pictures_;
};

// White noise read by the same estimator is not flat: zero frequency is a real number, a generic
// bin a complex one, and the mean logarithm of its modulus is larger by ln(2) / 2.
constexpr double kWhiteNoiseLogAmplitude = 0.34657359027997264;

// Mean over pictures and channels of the variance over positions, unbiased (H * W - 1).
class MapVariance {
 public:
  void add(const Tensor& maps);  // (N, H, W, C) f32, H * W >= 2
  void join(const OwnPart& part);
  double value() const { return count_ > 0 ? sum_.item() / count_ : 0; }
  // Of each picture alone, in the order they were added.
  const std::vector<double>& of_pictures() const { return pictures_; }

 private:
  Tensor sum_;  // one f64, where the maps lie
  double count_ = 0;
  std::vector<double> pictures_;
};

}  // namespace passband
