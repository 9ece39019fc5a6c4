// Checks the exercises of lesson 6: the waves by their formula, the lambda by loops in f64.
#include "experiments/course/lesson-6/exercises.h"

#include <cmath>

#include "experiments/course/check.h"

using namespace passband;

namespace {

std::string check_positions() {
  const int64_t tokens = 20, width = 6;
  const Tensor given = sine_positions(tokens, width);
  std::vector<double> want, apart;
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t c = 0; c < width; ++c) {
      const double angle = static_cast<double>(t) / std::pow(10000, c / 2 * 2 / 6.0);
      want.push_back(c % 2 == 0 ? std::sin(angle) : std::cos(angle));
      const double other = static_cast<double>(t) / std::pow(10000, c % 3 * 2 / 6.0);
      apart.push_back(c < 3 ? std::sin(other) : std::cos(other));
    }
  if (course::close(given, Tensor::from(want, {tokens, width}))) return "";
  if (course::close(given, Tensor::from(apart, {tokens, width})))
    return "nearly: here sine and cosine of one wave are neighbours, columns 2 i and 2 i + 1";
  if (!given.defined() || given.shape() != Shape{tokens, width})
    return "the table has a row for each token and a column for each channel";
  if (std::abs(given.values()[1] - 1) > 1e-6)
    return "row 0 should be 0, 1, 0, 1, ...: the sine and the cosine of 0";
  if (std::abs(given.values()[6] - std::sin(1.0)) > 1e-5)
    return "row 1 begins with sin(1): for i = 0 the wave's f is 1";
  return "the first wave is right; f grows from wave to wave, as 10000^(2 i / width)";
}

std::string check_lambda() {
  Generator random(3);
  const int64_t tokens = 9, depth = 3, width = 4;
  const Tensor q = Tensor::randn({tokens, depth}, random.next());
  const Tensor keys = Tensor::randn({tokens, depth}, random.next());
  const Tensor values = Tensor::randn({tokens, width}, random.next());
  const std::vector<double> a = q.values(), b = keys.values(), c = values.values();
  const auto at = [](const std::vector<double>& x, int64_t row, int64_t column, int64_t columns) {
    return x[static_cast<size_t>(row * columns + column)];
  };
  std::vector<double> want(static_cast<size_t>(tokens * width));
  for (int64_t i = 0; i < depth; ++i) {
    double total = 0;
    for (int64_t t = 0; t < tokens; ++t) total += std::exp(at(b, t, i, depth));
    for (int64_t j = 0; j < width; ++j) {
      double lambda = 0;
      for (int64_t t = 0; t < tokens; ++t)
        lambda += std::exp(at(b, t, i, depth)) / total * at(c, t, j, width);
      for (int64_t t = 0; t < tokens; ++t)
        want[static_cast<size_t>(t * width + j)] += at(a, t, i, depth) * lambda;
    }
  }
  const Tensor given = content_lambda(q, keys, values);
  if (course::close(given, Tensor::from(want, {tokens, width}))) return "";
  const Tensor across = matmul(q, matmul(softmax(keys, 1), values, {.transpose_a = true}));
  if (course::close(given, across))
    return "the softmax goes over the tokens (down the columns), not over the channels of a key";
  const Tensor raw = matmul(q, matmul(keys, values, {.transpose_a = true}));
  if (course::close(given, raw)) return "all but the softmax of the keys is there";
  if (course::close(given, Tensor::zeros({tokens, width})))
    return "all zeros; begin with the lambda: the softmax of the keys, transposed, times the "
           "values";
  return "lambda = softmax(keys, 0)^T values is a (k, v) matrix; the result is q times it";
}

}  // namespace

int main() { return course::check_exercises({check_positions, check_lambda}); }
