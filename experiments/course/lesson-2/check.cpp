// Checks the exercises of lesson 2: the matrix of windows by convolving with it, the two results by
// plain sums.
#include "experiments/course/lesson-2/exercises.h"

#include <cmath>

#include "experiments/course/check.h"

using namespace passband;

namespace {

std::string check_im2col() {
  for (const int64_t k : {1, 3, 5}) {
    Generator random(static_cast<uint64_t>(k));
    const int64_t height = 5, width = 6, in = 2, out = 3;
    const Tensor x = Tensor::randn({1, height, width, in}, random.next());
    const Tensor w = Tensor::randn({out, k, k, in}, random.next());
    const Tensor matrix = im2col(x.viewed_as({height, width, in}), k);
    if (!matrix.defined() || matrix.shape() != Shape{height * width, k * k * in})
      return "the matrix has a row for each place and a column for each number of its window: "
             "(H W, k k C)";
    const Tensor weights = w.viewed_as({out, k * k * in});
    const Tensor given = matmul(matrix, weights, {.transpose_b = true});
    const Tensor want = conv2d(x, w, {}, {.padding = k / 2}).viewed_as(given.shape());
    if (course::close(given, want)) continue;
    if (course::close(matrix, Tensor::zeros(matrix.shape()))) return "the matrix is all zeros";
    // The place in the middle of the picture has a whole window: is at least that right?
    const int64_t middle = 2 * width + 3;
    if (course::close(slice(given, 0, middle, 1), slice(want, 0, middle, 1)))
      return "inside the picture it is right; what about windows that reach beyond its edge?";
    return "the row of (y, x) begins at place (y - k / 2, x - k / 2); its numbers come in the "
           "order "
           "dy, dx, channel";
  }
  return "";
}

std::string check_two_results() {
  const std::array<Counted, 4> d{{{1.5}, {-2}, {0.25}, {3}}};
  const std::array<Counted, 3> g{{{2}, {-1}, {4}}};
  Counted::multiplications = 0;
  const std::array<Counted, 2> given = two_results(d, g);
  const double first = 1.5 * 2 + -2 * -1 + 0.25 * 4, second = -2 * 2 + 0.25 * -1 + 3 * 4;
  if (std::abs(given[0].value - first) > 1e-9 || std::abs(given[1].value - second) > 1e-9)
    return "the results are not those of the convolution; check the signs of the fourth product";
  if (Counted::multiplications > 4)
    return "right, with " + std::to_string(Counted::multiplications) +
           " multiplications. Form (d0 - d2) g0, (d1 + d2)(g0 + g1 + g2)/2, ... and add them";
  return "";
}

}  // namespace

int main() { return course::check_exercises({check_im2col, check_two_results}); }
