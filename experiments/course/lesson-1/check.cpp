// Checks the exercises of lesson 1 against formulas that are not the library's.
#include "experiments/course/lesson-1/exercises.h"

#include <cmath>

#include "experiments/course/check.h"

using namespace passband;

namespace {

std::string check_softplus() {
  const Tensor x = Tensor::from({-30, -1, 0, 0.5, 3, 40}, {6});
  const Tensor dy = Tensor::from({1, 2, 1, -1, 0.5, 3}, {6});
  const Tensor given = softplus_gradient(x, dy);
  if (!given.defined()) return "return a tensor: the derivative of log(1 + e^x), times dy";
  std::vector<double> want;
  for (int i = 0; i < 6; ++i) want.push_back(dy.values()[i] / (1 + std::exp(-x.values()[i])));
  if (course::close(given, Tensor::from(want, {6}), 1e-5)) return "";
  const Tensor without = Tensor::from({0.5}, {1});
  if (course::close(softplus_gradient(Tensor::zeros({1}), Tensor::full({1}, 2)), without, 1e-5))
    return "that is the derivative itself; the chain rule multiplies it with dy";
  return "e^x / (1 + e^x) is right for x = 0, and what is it for x = 100? Use a function that has "
         "no such trouble: sigmoid";
}

std::string check_least_squares() {
  // b = A (2, -1) + noise orthogonal to A's columns, so that the answer is known.
  const Tensor a = Tensor::from({1, 0, 1, 1, 1, 2, 1, 3}, {4, 2});
  const Tensor b = Tensor::from({2 + 0.1, 1 - 0.1, 0 - 0.1, -1 + 0.1}, {4, 1});
  const Tensor given = least_squares(a, b, 2000, 0.02), want = Tensor::from({2, -1}, {2, 1});
  if (course::close(given, want, 1e-3)) return "";
  if (course::close(given, Tensor::zeros({2, 1})))
    return "x has not moved: x = (x.detach() - rate * slope).leaf() in every step";
  return "x must end near (2, -1) here; is the loss sum(square(matmul(a, x) - b)), and do you "
         "subtract the slope?";
}

}  // namespace

int main() { return course::check_exercises({check_softplus, check_least_squares}); }
