#include "analysis/calibration.h"

#include <cmath>
#include <numbers>

#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"

namespace passband {

Calibration::Calibration(int64_t classes, int64_t bins)
    : classes_(classes), bins_(static_cast<size_t>(bins)), confusion_(static_cast<size_t>(classes * classes)) {
  for (int64_t b = 0; b < bins; ++b) {
    bins_[static_cast<size_t>(b)].low = static_cast<double>(b) / static_cast<double>(bins);
    bins_[static_cast<size_t>(b)].high = static_cast<double>(b + 1) / static_cast<double>(bins);
  }
}

void Calibration::add(const Tensor& logits, const std::vector<int32_t>& labels) {
  NoGrad no_grad;
  CHECK(logits.rank() == 2 && logits.size(1) == classes_ && logits.size(0) == static_cast<int64_t>(labels.size()),
        "calibration: logits are ", logits, " for ", labels.size(), " labels of ", classes_, " classes");
  // In f64: an f32 softmax saturates at 1 and would empty the second bin from the top.
  const std::vector<double> logp = log_softmax(cast(logits, DType::f64)).values();
  const auto bins = static_cast<double>(bins_.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const double* row = logp.data() + i * static_cast<size_t>(classes_);
    const auto label = static_cast<int64_t>(labels[i]);
    int64_t best = 0;
    double brier = 0;
    for (int64_t k = 0; k < classes_; ++k) {
      if (row[k] > row[best]) best = k;
      const double error = std::exp(row[k]) - (k == label ? 1 : 0);
      brier += error * error;
    }
    const double confidence = std::exp(row[best]);
    const auto bin = static_cast<size_t>(std::clamp(std::ceil(confidence * bins) - 1, 0.0, bins - 1));
    bins_[bin].n += 1;
    bins_[bin].confidence += confidence;
    bins_[bin].correct += best == label;
    confusion_[static_cast<size_t>(label * classes_ + best)] += 1;
    correct_ += best == label;
    nll_ -= row[label];
    brier_ += brier;
    ++count_;
  }
}

CalibrationResult Calibration::result() const {
  CalibrationResult r;
  r.count = count_;
  r.bins = bins_;
  r.confusion = confusion_;
  const double n = static_cast<double>(std::max<int64_t>(1, count_));
  r.accuracy = static_cast<double>(correct_) / n;
  r.nll = nll_ / n;
  r.brier = brier_ / n;
  for (plot::ReliabilityBin& bin : r.bins) {
    if (bin.n == 0) continue;
    const double size = static_cast<double>(bin.n), share = size / n;
    bin.confidence /= size;
    const double gap = bin.confidence - static_cast<double>(bin.correct) / size;
    r.ece += share * std::abs(gap);
    r.signed_ece += share * gap;
    r.mce = std::max(r.mce, std::abs(gap));
    r.ece_floor += share * std::sqrt(2 * bin.confidence * (1 - bin.confidence) / (std::numbers::pi * size));
  }
  return r;
}

}  // namespace passband
