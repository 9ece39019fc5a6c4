// Checks the exercises of lesson 5 by sending waves through the convolutions.
#include "experiments/course/lesson-5/exercises.h"

#include <numbers>

#include "experiments/course/check.h"

namespace {

constexpr double kPi = std::numbers::pi;

// The gain as it is measured: a wave of k periods on 24 places, closed to a ring.
double measured(const std::array<double, 3>& weights, int k) {
  constexpr int kPlaces = 24;
  double before = 0, after = 0;
  for (int phase = 0; phase < 2; ++phase)  // cosine and sine
    for (int i = 0; i < kPlaces; ++i) {
      const auto x = [&](int j) { return std::cos(2 * kPi * k * j / kPlaces - phase * kPi / 2); };
      const double y = weights[0] * x(i - 1) + weights[1] * x(i) + weights[2] * x(i + 1);
      before += x(i) * x(i);
      after += y * y;
    }
  return std::sqrt(after / before);
}

std::string check_gain() {
  const std::array<double, 3> even{0.25, 0.5, 0.25}, odd{-0.5, 0, 0.5}, any{0.3, -1, 0.9};
  for (const auto& weights : {even, odd, any})
    for (const int k : {0, 3, 6, 12}) {
      const double given = gain(weights, 2 * kPi * k / 24);
      if (std::abs(given - measured(weights, k)) < 1e-9) continue;
      if (weights == even)
        return "for 1/4 1/2 1/4 a constant comes out as it is (1), and a wave of pi radians not at "
               "all (0)";
      if (weights == odd)
        return "right for equal sides; for -1/2 0 1/2 the result is shifted against the wave: keep "
               "the sine part";
      return "nearly: left and right are different numbers, each with its own cosine and sine";
    }
  return "";
}

std::string check_high_pass() {
  const std::array<double, 3> w = high_pass();
  if (std::abs(w[0] - w[2]) > 1e-12) return "both sides must be alike";
  if (std::abs(measured(w, 0)) > 1e-9) return "a constant must vanish: the three must add up to 0";
  if (std::abs(measured(w, 12) - 1) > 1e-9)
    return "a constant vanishes, but +1, -1, +1, ... must keep its size: middle - 2 side = 1";
  return std::abs(measured(w, 6) - 0.5) < 1e-9 ? "" : "a wave of pi / 2 must come out by half";
}

}  // namespace

int main() { return course::check_exercises({check_gain, check_high_pass}); }
