// The exercises of lesson 5, which exercises.cpp holds and check.cpp looks at.
#pragma once
#include <array>

// The gain of a convolution with these three weights (left, middle, right) for a wave of `radians`
// a place: the length of  left e^(-i radians) + middle + right e^(i radians).
double gain(const std::array<double, 3>& weights, double radians);

// Three weights, each side alike, that leave a wave of pi radians a place (+1, -1, +1, ...) as
// large as it is and take away a constant, and a wave of pi / 2 by half.
std::array<double, 3> high_pass();
