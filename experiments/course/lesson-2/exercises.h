// The exercises of lesson 2, which exercises.cpp holds and check.cpp looks at.
#pragma once
#include <array>

#include <passband/passband.h>

// The windows of a k x k convolution (k odd, stride 1, padded by k / 2 zeros) as a matrix.
// x (H, W, C) -> (H W, k k C): row y W + x holds the window around (y, x), in the order (dy, dx,
// c).
passband::Tensor im2col(const passband::Tensor& x, int64_t k);

// A number that knows how many multiplications there have been. Adding, subtracting and halving
// cost none.
struct Counted {
  double value = 0;
  static inline int multiplications = 0;
  friend Counted operator+(Counted a, Counted b) { return {a.value + b.value}; }
  friend Counted operator-(Counted a, Counted b) { return {a.value - b.value}; }
  friend Counted operator*(Counted a, Counted b) {
    ++multiplications;
    return {a.value * b.value};
  }
  friend Counted half(Counted a) { return {a.value / 2}; }
};

// Two neighbouring results of a convolution with three weights:
//   { d[0] g[0] + d[1] g[1] + d[2] g[2],  d[1] g[0] + d[2] g[1] + d[3] g[2] }
std::array<Counted, 2> two_results(const std::array<Counted, 4>& d,
                                   const std::array<Counted, 3>& g);
