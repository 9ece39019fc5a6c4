// Lesson 1, solved.
#include "experiments/course/lesson-1/exercises.h"

using namespace passband;

Tensor softplus_gradient(const Tensor& x, const Tensor& dy) { return dy * sigmoid(x); }

Tensor least_squares(const Tensor& a, const Tensor& b, int steps, double rate) {
  Tensor x = Tensor::zeros({a.size(1), 1}).leaf();
  for (int step = 0; step < steps; ++step) {
    const Tensor slope = grad(sum(square(matmul(a, x) - b)), {x})[0];
    x = (x.detach() - rate * slope).leaf();
  }
  return x.detach();
}
