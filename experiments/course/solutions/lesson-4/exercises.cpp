// Lesson 4, solved.
#include "experiments/course/lesson-4/exercises.h"

#include <cmath>

using namespace passband;

std::vector<double> convolution_row(const std::array<std::array<double, 3>, 3>& weights, int side,
                                    int row, int column) {
  std::vector<double> result(static_cast<size_t>(side * side));
  for (int dy = -1; dy <= 1; ++dy)
    for (int dx = -1; dx <= 1; ++dx) {
      const int y = row + dy, x = column + dx;
      if (y < 0 || y >= side || x < 0 || x >= side) continue;
      result[static_cast<size_t>(y * side + x)] =
          weights[static_cast<size_t>(dy + 1)][static_cast<size_t>(dx + 1)];
    }
  return result;
}

std::vector<double> attention_row(const Tensor& q, const Tensor& k, int query) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(1)));
  return softmax(matmul(slice(q, 0, query, 1), k, {.transpose_b = true}) * scale).values();
}
