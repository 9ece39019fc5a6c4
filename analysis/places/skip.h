// The share that the shortcut of a residual block carries (Raghu et al. 2021, figures 7, 8 and E).
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "analysis/study/own_part.h"
#include "models/model.h"
#include "nn/tap.h"

namespace passband {

// Sums over tokens of one kind (class token, or places).
class SkipStatistics {
 public:
  void add(double skip_norm2, double branch_norm2, double product);

  void join(const OwnPart& part);  // with those of other processes

  double tokens() const { return tokens_; }
  // Mean and median of |z| / |f|, z on the shortcut (projected where the block projects), f the
  // branch. Tokens with f = 0 are left out. The median is read from a histogram of 400 steps of 4 %
  // each.
  double ratio() const;
  double median_ratio() const;
  double cosine_branch() const;  // mean of cos(z, f); 0 for tokens where one of them is 0
  double cosine_output() const;  // mean of cos(z, z + f)

 private:
  static constexpr int kBins = 400;
  static constexpr double kLow = 1e-4, kGrowth = 1.04;
  std::array<double, kBins> histogram_{};
  double tokens_ = 0, finite_ = 0, ratio_ = 0, branch_ = 0, output_ = 0;
};

// One residual block or sub-block.
struct SkipLayer {
  TapSite site;
  SkipStatistics places, class_token;
  // Of every picture the mean over its places, and its class token: log2 of |z| / |f|, tokens where
  // one of them is 0 left out; NaN without any.
  std::vector<double> place_logs, class_logs;

  // The taps "skip" and "branch" of one batch, (N, H, W, C) or (N, T, C).
  void add(const Tensor& skip, const Tensor& branch);
  void join(const OwnPart& part);
};

// Adds a batch of images (N, H, W, 3), normalised, to `layers`, which the first call fills. Time:
// one forward pass per picture. Memory: a few numbers per layer.
void add_skips(const Model& model, const Tensor& images, std::vector<SkipLayer>& layers);

}  // namespace passband
