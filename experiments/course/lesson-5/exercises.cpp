// Lesson 5, your part. Replace what the functions return; `make check-lesson-5` looks at it.
#include "experiments/course/lesson-5/exercises.h"

#include <cmath>

// Exercise 1. e^(i t) = cos t + i sin t; the length of a + i b is std::hypot(a, b).
double gain(const std::array<double, 3>& weights, double radians) {
  return weights[1] + 0 * radians;
}

// Exercise 2. With equal sides the gain is |middle + 2 side cos(radians)|: two equations, two
// unknowns.
std::array<double, 3> high_pass() { return {0, 1, 0}; }
