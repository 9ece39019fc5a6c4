// Lesson 1: a tensor, its gradient, and three ways to check a gradient. The page is README.md.
#include <cmath>
#include <cstdio>

#include <passband/passband.h>

using namespace passband;

namespace {

// A smooth function of three numbers, as a tensor of one element.
Tensor f(const Tensor& x) { return sum(square(x) * sin(x)); }

void record_and_ask() {
  const Tensor x = Tensor::from({1, 2, 3}, {3}).leaf();
  const Tensor y = f(x);
  const std::vector<double> gradient = grad(y, {x})[0].values();
  std::printf("f(1, 2, 3) = %.4f\n", y.item());
  for (int i = 0; i < 3; ++i) {
    const double at = i + 1, formula = 2 * at * std::sin(at) + at * at * std::cos(at);
    std::printf("df/dx%d: autograd %8.4f, by hand %8.4f\n", i + 1, gradient[i], formula);
  }
}

// (f(x + h) - f(x - h)) / 2h at x = 2, in the arithmetic of `type`.
double slope(double h, DType type) {
  const Tensor right = Tensor::from({2 + h}, {1}, type), left = Tensor::from({2 - h}, {1}, type);
  return (f(right).item() - f(left).item()) / (2 * h);
}

void differences() {
  const double exact = 4 * std::sin(2.0) + 4 * std::cos(2.0);
  std::printf("\nstep h   error in f32   error in f64   (powers of ten)\n");
  for (const int power : {-1, -2, -3, -4, -5, -6}) {
    const double h = std::pow(10.0, power);
    const auto magnitude = [&](DType type) { return std::log10(std::abs(slope(h, type) - exact)); };
    std::printf("%6d   %12.0f   %12.0f\n", power, magnitude(DType::f32), magnitude(DType::f64));
  }
}

void go_downhill() {
  Tensor x = Tensor::from({2.5}, {1}).leaf();
  std::printf("\nstep      x     f(x)    slope\n");
  for (int step = 0; step <= 40; ++step) {
    const Tensor y = f(x), slope = grad(y, {x})[0];
    if (step % 10 == 0)
      std::printf("%4d  %5.3f  %7.4f  %7.4f\n", step, x.item(), y.item(), slope.item());
    x = (x.detach() - 0.02 * slope).leaf();
  }
}

}  // namespace

int main() {
  record_and_ask();
  differences();
  go_downhill();
}
