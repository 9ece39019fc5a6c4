// Calibration: errors in bins of equal count and by class, and the fitted temperature, against
// independent loops and closed forms.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/decisions/calibration.h"
#include "tensor/core/random.h"

using namespace passband;

namespace {

struct Sample {
  std::vector<double> logits;
  std::vector<int32_t> labels;
  int64_t classes = 0;
};

// Labels drawn from softmax(z / temperature): calibrated at that temperature.
Sample draw(int64_t count, int64_t classes, double temperature, uint64_t seed) {
  Sample sample{.classes = classes};
  RandomSequence random({seed, 0, 1});
  for (int64_t i = 0; i < count; ++i) {
    std::vector<double> z;
    double total = 0;
    for (int64_t k = 0; k < classes; ++k) {
      z.push_back(3 * random_normal({seed, 1, 2}, static_cast<uint64_t>(i * classes + k)));
      total += std::exp(z.back() / temperature);
    }
    double left = random.uniform() * total;
    int32_t label = 0;
    while (label + 1 < classes && left >= std::exp(z[static_cast<size_t>(label)] / temperature))
      left -= std::exp(z[static_cast<size_t>(label++)] / temperature);
    sample.logits.insert(sample.logits.end(), z.begin(), z.end());
    sample.labels.push_back(label);
  }
  return sample;
}

CalibrationResult measured(const Sample& s) {
  Calibration sums(s.classes);
  const auto n = static_cast<int64_t>(s.labels.size());
  sums.add(Tensor::from(s.logits, {n, s.classes}, DType::f64), s.labels);
  return sums.result();
}

std::vector<std::vector<double>> probabilities(const Sample& s) {
  std::vector<std::vector<double>> rows;
  for (size_t i = 0; i < s.labels.size(); ++i) {
    std::vector<double> row;
    for (int64_t k = 0; k < s.classes; ++k)
      row.push_back(
          std::exp(s.logits[i * static_cast<size_t>(s.classes) + static_cast<size_t>(k)]));
    const double total = std::accumulate(row.begin(), row.end(), 0.0);
    for (double& p : row) p /= total;
    rows.push_back(row);
  }
  return rows;
}

double mean_nll(const Sample& s, double temperature) {
  double total = 0;
  for (size_t i = 0; i < s.labels.size(); ++i) {
    const double* z = s.logits.data() + i * static_cast<size_t>(s.classes);
    double sum = 0;
    for (int64_t k = 0; k < s.classes; ++k) sum += std::exp(z[k] / temperature);
    total += std::log(sum) - z[s.labels[i]] / temperature;
  }
  return total / static_cast<double>(s.labels.size());
}

}  // namespace

TEST_CASE(
    "the calibration error in bins of equal count is that of a loop over sorted confidences") {
  const Sample s = draw(1007, 5, 2.0, 3);
  std::vector<std::pair<double, double>> sorted;  // confidence, right
  const auto rows = probabilities(s);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto best = std::max_element(rows[i].begin(), rows[i].end());
    sorted.emplace_back(*best, best - rows[i].begin() == s.labels[i]);
  }
  std::sort(sorted.begin(), sorted.end());
  double expected = 0;
  for (size_t b = 0; b < 15; ++b) {
    double gap = 0;
    for (size_t i = 0; i < sorted.size(); ++i)
      if (i * 15 / sorted.size() == b) gap += sorted[i].first - sorted[i].second;
    expected += std::abs(gap) / static_cast<double>(sorted.size());
  }
  CHECK(measured(s).adaptive_ece == doctest::Approx(expected).epsilon(1e-9));
}

TEST_CASE("the classwise calibration error is the mean of the classes' own") {
  const Sample s = draw(600, 4, 0.7, 5);
  const auto rows = probabilities(s);
  double expected = 0;
  for (size_t k = 0; k < 4; ++k)
    for (int b = 0; b < 15; ++b) {
      double gap = 0;
      for (size_t i = 0; i < rows.size(); ++i) {
        const double p = rows[i][k];
        if (p > b / 15.0 && p <= (b + 1) / 15.0)
          gap += p - (s.labels[i] == static_cast<int32_t>(k));
      }
      expected += std::abs(gap) / 600 / 4;
    }
  CHECK(measured(s).classwise_ece == doctest::Approx(expected).epsilon(1e-9));
}

TEST_CASE("the temperature of saturated logits is their size over the log odds of being right") {
  std::vector<double> logits;
  std::vector<int32_t> labels;
  for (int i = 0; i < 100; ++i) {
    logits.insert(logits.end(), {20, 0});
    labels.push_back(i < 80 ? 0 : 1);
  }
  CHECK(fit_temperature(logits, labels, 2) == doctest::Approx(20 / std::log(4.0)).epsilon(1e-9));
  for (double& z : logits) z *= 1e4;  // where Newton's step from 1 leaves every bound
  CHECK(fit_temperature(logits, labels, 2) == doctest::Approx(1000).epsilon(1e-6));
}

TEST_CASE("the fitted temperature is the one that a search over many temperatures finds") {
  for (const double wanted : {0.5, 1.0, 2.5}) {
    const Sample s = draw(2000, 6, wanted, 11);
    const double fitted = fit_temperature(s.logits, s.labels, 6);
    const double least = mean_nll(s, fitted);
    for (double t = 0.2; t < 5; t *= 1.01) CHECK(mean_nll(s, t) >= least - 1e-12);
    CHECK(fitted == doctest::Approx(wanted).epsilon(0.1));
  }
}

TEST_CASE("perfect and useless logits give the bounds of the temperature, not infinity") {
  CHECK(fit_temperature({5, 0, 0, 5}, {0, 1}, 2) == doctest::Approx(1e-3));
  CHECK(fit_temperature({5, 0, 0, 5}, {1, 0}, 2) == doctest::Approx(1e3));
}

TEST_CASE("the temperature is judged on pictures that did not fit it, and mends what it can") {
  const CalibrationResult r = measured(draw(6000, 5, 3.0, 7));
  CHECK(r.held_out == 3000);
  CHECK(r.temperature == doctest::Approx(3).epsilon(0.1));
  CHECK(r.after.nll < r.before.nll);
  CHECK(r.before.ece > 0.1);
  CHECK(r.after.ece < 3 * r.after.ece_floor);
  CHECK(r.signed_ece > 0.1);
}

TEST_CASE("scaling changes no answer, and one picture is too few to scale") {
  const CalibrationResult one = measured(draw(1, 3, 1, 1));
  CHECK(one.held_out == 0);
  CHECK(one.temperature == 1);
}

TEST_CASE("a calibrated network shows about the floor in all three errors") {
  const CalibrationResult r = measured(draw(4000, 5, 1.0, 13));
  CHECK(r.ece == doctest::Approx(r.ece_floor).epsilon(0.5));
  CHECK(r.adaptive_ece == doctest::Approx(r.adaptive_floor).epsilon(0.5));
  CHECK(r.classwise_ece == doctest::Approx(r.classwise_floor).epsilon(0.3));
}
