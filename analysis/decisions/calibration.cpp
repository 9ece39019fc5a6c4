#include "analysis/decisions/calibration.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"

namespace passband {
namespace {

using plot::ReliabilityBin;

constexpr double kSteepest = 1e3;  // beta = 1 / T is searched between 1 / kSteepest and kSteepest

std::vector<ReliabilityBin> empty_bins(int64_t count) {
  std::vector<ReliabilityBin> bins(static_cast<size_t>(count));
  for (int64_t b = 0; b < count; ++b) {
    bins[static_cast<size_t>(b)].low = static_cast<double>(b) / static_cast<double>(count);
    bins[static_cast<size_t>(b)].high = static_cast<double>(b + 1) / static_cast<double>(count);
  }
  return bins;
}

// Bins are (lo, hi]; the first one includes 0.
size_t bin_of(double confidence, int64_t count) {
  const auto bins = static_cast<double>(count);
  return static_cast<size_t>(std::clamp(std::ceil(confidence * bins) - 1, 0.0, bins - 1));
}

void put(ReliabilityBin& bin, double confidence, bool correct) {
  bin.n += 1;
  bin.confidence += confidence;
  bin.correct += correct;
}

struct Gap {
  double absolute = 0, directed = 0, largest = 0, floor = 0;
};

// Over bins whose `confidence` is a sum, of n pictures in all.
Gap gap_of(const ReliabilityBin* begin, const ReliabilityBin* end, double n) {
  Gap gap;
  for (const ReliabilityBin* bin = begin; bin != end; ++bin) {
    if (bin->n == 0) continue;
    const double size = static_cast<double>(bin->n), share = size / n,
                 confidence = bin->confidence / size;
    const double difference = confidence - static_cast<double>(bin->correct) / size;
    gap.absolute += share * std::abs(difference);
    gap.directed += share * difference;
    gap.largest = std::max(gap.largest, std::abs(difference));
    gap.floor += share * std::sqrt(2 * std::max(0.0, confidence * (1 - confidence)) /
                                   (std::numbers::pi * size));
  }
  return gap;
}

// Mean over the held pictures of the NLL's derivative and curvature in beta.
std::pair<double, double> slope_and_curvature(const std::vector<double>& logits,
                                              const std::vector<int32_t>& labels, int64_t classes,
                                              double beta) {
  double slope = 0, curvature = 0;
  const auto k = static_cast<size_t>(classes);
  for (size_t i = 0; i < labels.size(); ++i) {
    const double* z = logits.data() + i * k;
    const double top = *std::max_element(z, z + k);
    double total = 0, first = 0, second = 0;
    for (size_t c = 0; c < k; ++c) {
      const double weight = std::exp(beta * (z[c] - top)), above = z[c] - top;
      total += weight;
      first += weight * above;
      second += weight * above * above;
    }
    first /= total;
    slope += first - (z[static_cast<size_t>(labels[i])] - top);
    curvature += second / total - first * first;
  }
  const auto n = static_cast<double>(std::max<size_t>(1, labels.size()));
  return {slope / n, curvature / n};
}

}  // namespace

double fit_temperature(const std::vector<double>& logits, const std::vector<int32_t>& labels,
                       int64_t classes) {
  double low = 1 / kSteepest, high = kSteepest, beta = 1, last_step = high;
  for (int i = 0; i < 200 && high - low > 1e-12 * high; ++i) {
    const auto [slope, curvature] = slope_and_curvature(logits, labels, classes, beta);
    (slope > 0 ? high : low) = beta;
    const double newton = curvature > 0 ? beta - slope / curvature : low;
    // Newton's steps must shrink: where all pictures are right the minimum lies at infinity, and
    // they would crawl.
    const bool trusted = newton > low && newton < high && std::abs(newton - beta) <= last_step / 2;
    const double next = trusted ? newton : std::sqrt(low * high);
    last_step = std::abs(next - beta);
    beta = next;
    if (last_step <= 1e-12 * beta) break;
  }
  return 1 / beta;
}

Calibration::Calibration(int64_t classes, int64_t bins)
    : classes_(classes),
      bin_count_(bins),
      bins_(empty_bins(bins)),
      confusion_(static_cast<size_t>(classes * classes)) {
  for (int64_t k = 0; k < classes; ++k)
    class_bins_.insert(class_bins_.end(), bins_.begin(), bins_.end());
}

void Calibration::add_picture(const double* logp, int32_t label) {
  int64_t best = 0;
  double brier = 0;
  for (int64_t k = 0; k < classes_; ++k) {
    if (logp[k] > logp[best]) best = k;
    const double p = std::exp(logp[k]), error = p - (k == label ? 1 : 0);
    brier += error * error;
    put(class_bins_[static_cast<size_t>(k * bin_count_) + bin_of(p, bin_count_)], p, k == label);
  }
  const double confidence = std::exp(logp[best]);
  const bool correct = best == label;
  put(bins_[bin_of(confidence, bin_count_)], confidence, correct);
  predictions_.push_back({confidence, correct});
  confusion_[static_cast<size_t>(label * classes_ + best)] += 1;
  correct_ += correct;
  nll_ -= logp[label];
  brier_ += brier;
  ++count_;
}

// Every second picture fits the temperature, the others judge it.
void Calibration::hold(const double* logits, int32_t label) {
  Held& half = count_ % 2 == 0 ? fit_ : judge_;
  if (static_cast<int64_t>(half.labels.size()) >= kHeldOut) return;
  half.logits.insert(half.logits.end(), logits, logits + classes_);
  half.labels.push_back(label);
}

void Calibration::add(const Tensor& logits, const std::vector<int32_t>& labels) {
  NoGrad no_grad;
  CHECK(logits.rank() == 2 && logits.size(1) == classes_ &&
            logits.size(0) == static_cast<int64_t>(labels.size()),
        "calibration: logits are ", logits, " for ", labels.size(), " labels of ", classes_,
        " classes");
  // In f64: an f32 softmax saturates at 1 and would empty the second bin from the top.
  const Tensor wide = cast(logits, DType::f64);
  const std::vector<double> values = wide.values(), logp = log_softmax(wide).values();
  for (size_t i = 0; i < labels.size(); ++i) {
    const size_t row = i * static_cast<size_t>(classes_);
    hold(values.data() + row, labels[i]);
    add_picture(logp.data() + row, labels[i]);
  }
}

CalibrationScores Calibration::scores() const {
  const double n = static_cast<double>(std::max<int64_t>(1, count_));
  const Gap gap = gap_of(bins_.data(), bins_.data() + bins_.size(), n);
  CalibrationScores s{.nll = nll_ / n,
                      .brier = brier_ / n,
                      .ece = gap.absolute,
                      .signed_ece = gap.directed,
                      .mce = gap.largest};
  s.ece_floor = gap.floor;
  for (int64_t k = 0; k < classes_; ++k) {
    const ReliabilityBin* begin = class_bins_.data() + k * bin_count_;
    const Gap of_class = gap_of(begin, begin + bin_count_, n);
    s.classwise_ece += of_class.absolute / static_cast<double>(classes_);
    s.classwise_floor += of_class.floor / static_cast<double>(classes_);
  }
  double squares = 0;
  for (const Prediction& p : predictions_) {
    const double gap = p.confidence - (p.correct ? 1 : 0) - s.signed_ece;
    squares += gap * gap;
  }
  s.signed_error = std::sqrt(squares) / n;
  std::vector<Prediction> sorted = predictions_;
  std::ranges::stable_sort(sorted, {}, &Prediction::confidence);
  std::vector<ReliabilityBin> equal(static_cast<size_t>(bin_count_));
  for (size_t i = 0; i < sorted.size(); ++i)
    put(equal[i * equal.size() / sorted.size()], sorted[i].confidence, sorted[i].correct);
  const Gap adaptive = gap_of(equal.data(), equal.data() + equal.size(), n);
  s.adaptive_ece = adaptive.absolute;
  s.adaptive_floor = adaptive.floor;
  return s;
}

CalibrationResult Calibration::result() const {
  CalibrationResult r{scores()};
  r.count = count_;
  r.bins = bins_;
  for (ReliabilityBin& bin : r.bins)
    if (bin.n > 0) bin.confidence /= static_cast<double>(bin.n);
  r.confusion = confusion_;
  r.accuracy = static_cast<double>(correct_) / static_cast<double>(std::max<int64_t>(1, count_));
  r.held_out = static_cast<int64_t>(judge_.labels.size());
  if (r.held_out == 0) return r;
  r.temperature = fit_temperature(fit_.logits, fit_.labels, classes_);
  const bool inside = r.temperature > 1.01 / kSteepest && r.temperature < 0.99 * kSteepest;
  if (!inside) r.temperature = std::nan("");
  for (const bool scaled : {false, true}) {
    Calibration half(classes_, bin_count_);
    const Tensor logits = Tensor::from(judge_.logits, {r.held_out, classes_}, DType::f64);
    half.add(scaled && inside ? logits * (1 / r.temperature) : logits, judge_.labels);
    (scaled ? r.after : r.before) = half.scores();
  }
  return r;
}

}  // namespace passband
