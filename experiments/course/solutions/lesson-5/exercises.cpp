// Lesson 5, solved.
#include "experiments/course/lesson-5/exercises.h"

#include <cmath>

double gain(const std::array<double, 3>& weights, double radians) {
  const auto [left, middle, right] = weights;
  return std::hypot(middle + (left + right) * std::cos(radians),
                    (right - left) * std::sin(radians));
}

std::array<double, 3> high_pass() { return {-0.25, 0.5, -0.25}; }
