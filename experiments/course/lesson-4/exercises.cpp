// Lesson 4, your part. Replace what the functions return; `make check-lesson-4` looks at it.
#include "experiments/course/lesson-4/exercises.h"

using namespace passband;

// Exercise 1. Place (y, x) is element y side + x of the row. Places outside of the map do not
// exist.
std::vector<double> convolution_row(const std::array<std::array<double, 3>, 3>& weights, int side,
                                    int row, int column) {
  std::vector<double> result(static_cast<size_t>(side * side));
  result[static_cast<size_t>(row * side + column)] = weights[1][1];
  return result;
}

// Exercise 2. Lesson 3 has the formula; here one row of it will do. (x.values() are the numbers.)
std::vector<double> attention_row(const Tensor& q, const Tensor& k, int query) {
  std::vector<double> result(static_cast<size_t>(k.size(0)));
  result[static_cast<size_t>(query)] = q.size(1) > 0 ? 1 : 0;
  return result;
}
