// Is the confidence of a network honest? Reliability, expected calibration error, likelihood, confusion.
#pragma once
#include <cstdint>
#include <vector>

#include "analysis/report/figure.h"
#include "tensor/core/tensor.h"

namespace passband {

struct CalibrationResult {
  int64_t count = 0;
  double accuracy = 0;
  double nll = 0;     // -mean log p(label), nats
  double brier = 0;   // mean over pictures of sum_k (p_k - [k = label])^2, in [0, 2]
  double ece = 0;     // sum_b n_b / n |accuracy_b - confidence_b|, 15 bins (lo, hi], the last includes 1
  double signed_ece = 0;  // sum_b n_b / n (confidence_b - accuracy_b): > 0 over-confident
  double mce = 0;     // the largest gap of a non-empty bin
  double ece_floor = 0;   // what a perfectly calibrated network of this n would show (plug-in bias)
  std::vector<plot::ReliabilityBin> bins;
  std::vector<int64_t> confusion;  // (classes, classes): true x predicted
};

// Sums over batches of logits (N, K) f32 with labels. Time and memory do not depend on the number of pictures (bins and
// a K x K table).
class Calibration {
 public:
  explicit Calibration(int64_t classes, int64_t bins = 15);
  void add(const Tensor& logits, const std::vector<int32_t>& labels);
  CalibrationResult result() const;

 private:
  int64_t classes_;
  int64_t count_ = 0, correct_ = 0;
  double nll_ = 0, brier_ = 0;
  std::vector<plot::ReliabilityBin> bins_;  // `confidence` holds sums until result()
  std::vector<int64_t> confusion_;
};

}  // namespace passband
