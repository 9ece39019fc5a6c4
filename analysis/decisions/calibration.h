// Calibration, the honesty of confidence: reliability, errors, likelihood, temperature,
// confusion.
#pragma once
#include <cstdint>
#include <vector>

#include "analysis/report/figure.h"
#include "tensor/core/tensor.h"

namespace passband {

// Scores of probabilities p (N, K) against labels. Confidence is the largest probability of a
// picture.
struct CalibrationScores {
  double nll = 0;    // -mean log p(label), nats
  double brier = 0;  // mean over pictures of sum_k (p_k - [k = label])^2, in [0, 2]
  // sum_b n_b / n |accuracy_b - confidence_b| over bins (lo, hi] of equal width, the last
  // includes 1.
  double ece = 0;
  double signed_ece = 0;    // sum_b n_b / n (confidence_b - accuracy_b): > 0 over-confident
  double signed_error = 0;  // its standard error, from the single pictures
  double mce = 0;           // the largest gap of a non-empty bin
  double adaptive_ece = 0;  // the same as ece with bins of equal count
  // mean over classes k of the ECE of p_k against [label = k], bins of equal width
  double classwise_ece = 0;
  // What a perfectly calibrated network of this many pictures would show, from the bias of an
  // absolute mean:
  //   sum_b n_b / n sqrt(2 p_b (1 - p_b) / (pi n_b)).
  double ece_floor = 0, adaptive_floor = 0, classwise_floor = 0;
};

struct CalibrationResult : CalibrationScores {
  int64_t count = 0;
  double accuracy = 0;
  // Where the pictures are of fewer classes than the network knows: of how many, and the accuracy
  // when it may answer by these alone. 0: of all.
  int64_t shown_classes = 0;
  double accuracy_among_shown = 0;
  std::vector<plot::ReliabilityBin> bins;
  std::vector<int64_t> confusion;  // (classes, classes): true x predicted
  // Temperature scaling (Guo et al., ICML 2017): T fitted on every second picture, judged on the
  // others, before and after; at most kHeldOut of each. 0 pictures: too few to tell.
  // NaN where the NLL falls to an end of the range that was searched: then nothing is scaled.
  double temperature = 1;
  int64_t held_out = 0;
  CalibrationScores before, after;
};

// The temperature that minimises the mean NLL of softmax(z / T) for logits (n, K) row-major. The
// NLL is convex in beta = 1 / T, with gradient E[sum_k p_k z_k - z_label]: Newton's steps inside a
// shrinking bracket [1e-3, 1e3] of beta (plain Newton from 1 diverges on saturated logits). Time:
// some 20 passes over the logits.
double fit_temperature(const std::vector<double>& logits, const std::vector<int32_t>& labels,
                       int64_t classes);

// Sums over batches of logits (N, K) f32 with labels. Memory: a K x K table, bins, 16 bytes a
// picture for bins of equal count, and the logits of at most 2 kHeldOut pictures for the
// temperature.
class Calibration {
 public:
  static constexpr int64_t kHeldOut = 5000;

  explicit Calibration(int64_t classes, int64_t bins = 15);
  void add(const Tensor& logits, const std::vector<int32_t>& labels);
  CalibrationResult result() const;

 private:
  struct Prediction {
    double confidence = 0;
    bool correct = false;
  };
  struct Held {  // one half of the pictures
    std::vector<double> logits;
    std::vector<int32_t> labels;
  };

  void add_picture(const double* log_probabilities, int32_t label);
  void hold(const double* logits, int32_t label);
  CalibrationScores scores() const;

  int64_t classes_, bin_count_;
  int64_t count_ = 0, correct_ = 0;
  double nll_ = 0, brier_ = 0;
  std::vector<plot::ReliabilityBin> bins_;        // `confidence` holds sums until result()
  std::vector<plot::ReliabilityBin> class_bins_;  // (classes, bins)
  std::vector<Prediction> predictions_;
  std::vector<int64_t> confusion_;
  Held fit_, judge_;
};

}  // namespace passband
