// Lesson 2, solved.
#include "experiments/course/lesson-2/exercises.h"

using namespace passband;

Tensor im2col(const Tensor& x, int64_t k) {
  const int64_t height = x.size(0), width = x.size(1), channels = x.size(2);
  const std::vector<double> values = x.values();
  std::vector<double> matrix;
  for (int64_t row = 0; row < height; ++row)
    for (int64_t column = 0; column < width; ++column)
      for (int64_t dy = -(k / 2); dy <= k / 2; ++dy)
        for (int64_t dx = -(k / 2); dx <= k / 2; ++dx)
          for (int64_t c = 0; c < channels; ++c) {
            const int64_t y = row + dy, at = column + dx;
            const bool inside = y >= 0 && y < height && at >= 0 && at < width;
            const int64_t place = (y * width + at) * channels + c;
            matrix.push_back(inside ? values[static_cast<size_t>(place)] : 0);
          }
  return Tensor::from(matrix, {height * width, k * k * channels});
}

std::array<Counted, 2> two_results(const std::array<Counted, 4>& d,
                                   const std::array<Counted, 3>& g) {
  const Counted outer = g[0] + g[2];
  const Counted m1 = (d[0] - d[2]) * g[0], m2 = (d[1] + d[2]) * half(outer + g[1]);
  const Counted m3 = (d[2] - d[1]) * half(outer - g[1]), m4 = (d[1] - d[3]) * g[2];
  return {m1 + m2 + m3, m2 - m3 - m4};
}
