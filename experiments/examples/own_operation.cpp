// Operations of your own, differentiable any number of times: sinh and cosh, each the other's
// derivative.
//
// Prints:
//   order 0 of sinh at 1: 1.175201
//   order 1 of sinh at 1: 1.543081
//   order 2 of sinh at 1: 1.175201
//   order 3 of sinh at 1: 1.543081
#include <passband/passband.h>

#include <cmath>
#include <cstdio>

using namespace passband;

namespace {

Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);

// The values, by a loop over f64 elements. Whoever wants speed and other types writes kernels.
template <class F> Tensor elementwise(const Tensor& x, F&& f) {
  Tensor y = Tensor::empty_like(x);
  for (int64_t i = 0; i < x.numel(); ++i) y.data<double>()[i] = f(x.data<double>()[i]);
  return y;
}

// An operation: its name, what it keeps for the way back, the values, and the gradient. The
// gradient is made of operations, so it has a gradient itself.
struct Sinh {
  static constexpr auto name = "sinh";
  static constexpr auto saves = Save::input;
  Tensor forward(const Tensor& x) const {
    return elementwise(x, [](double value) { return std::sinh(value); });
  }
  Grads backward(const Saved& s, const Tensor& dy) const { return {dy * cosh(s.input(0))}; }
};

struct Cosh {
  static constexpr auto name = "cosh";
  static constexpr auto saves = Save::input;
  Tensor forward(const Tensor& x) const {
    return elementwise(x, [](double value) { return std::cosh(value); });
  }
  Grads backward(const Saved& s, const Tensor& dy) const { return {dy * sinh(s.input(0))}; }
};

Tensor sinh(const Tensor& x) { return apply(Sinh{}, x); }
Tensor cosh(const Tensor& x) { return apply(Cosh{}, x); }

}  // namespace

int main() {
  const Tensor x = Tensor::from({1}, {1}, DType::f64).leaf();
  Tensor y = sinh(x);
  for (int order = 0; order < 4; y = grad(y, {x}, {.create_graph = true})[0], ++order)
    std::printf("order %d of sinh at 1: %.6f\n", order, y.item());
}
