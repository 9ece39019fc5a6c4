// Plain f64 loops that the products and convolutions are tested against, random tensors, and the
// error they may have.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "tensor/core/random.h"
#include "tensor/ops/conv.h"
#include "tests/worst.h"

namespace passband::naive {

// Normal numbers, rounded to `dtype`; the same for the same `seed`.
inline Tensor random(const Shape& shape, DType dtype, uint64_t seed) {
  RandomSequence draw({.seed = seed, .site = site_of("tests")});
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (double& value : values) value = draw.normal();
  return Tensor::from(values, shape, dtype);
}

// op(a) (m, k) times op(b) (k, n) for `batch` pairs; a batch of b of size 1 is used for all.
inline std::vector<double> matmul(const std::vector<double>& a, const std::vector<double>& b,
                                  int64_t batch, int64_t m, int64_t n, int64_t k, bool transpose_a,
                                  bool transpose_b) {
  std::vector<double> c(static_cast<size_t>(batch * m * n));
  for (int64_t s = 0; s < batch; ++s)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j)
        for (int64_t l = 0; l < k; ++l)
          c[static_cast<size_t>((s * m + i) * n + j)] +=
              a[static_cast<size_t>(s * m * k + (transpose_a ? l * m + i : i * k + l))] *
              b[static_cast<size_t>(s * k * n + (transpose_b ? j * k + l : l * n + j))];
  return c;
}

// Calls f(index of y, index of x, index of w) for every product of a convolution.
template <class F> void for_conv_products(const Shape& x, const Shape& y, const Shape& w,
                                          const ConvOptions& o, F&& f) {
  const int64_t co = w[0] / o.groups;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t i = 0; i < y[1]; ++i)
      for (int64_t j = 0; j < y[2]; ++j)
        for (int64_t out = 0; out < y[3]; ++out)
          for (int64_t ki = 0; ki < w[1]; ++ki)
            for (int64_t kj = 0; kj < w[2]; ++kj)
              for (int64_t in = 0; in < w[3]; ++in) {
                const int64_t row = i * o.stride.height - o.padding.top + ki * o.dilation.height;
                const int64_t column = j * o.stride.width - o.padding.left + kj * o.dilation.width;
                if (row < 0 || row >= x[1] || column < 0 || column >= x[2]) continue;
                f(((n * y[1] + i) * y[2] + j) * y[3] + out,
                  ((n * x[1] + row) * x[2] + column) * x[3] + out / co * w[3] + in,
                  ((out * w[1] + ki) * w[2] + kj) * w[3] + in);
              }
}

// |actual - wanted| <= one rounding of the result + 4 eps sqrt(K) of the largest element: K terms
// are summed in f32 (f64 for f64), and the result is rounded to its type once.
inline void check_close(const Tensor& actual, const std::vector<double>& wanted, int64_t terms) {
  const std::vector<double> values = actual.values();
  REQUIRE(values.size() == wanted.size());
  const double sum_eps = actual.dtype() == DType::f64 ? 0x1p-52 : 0x1p-23;
  const double store_eps = actual.dtype() == DType::bf16 ? 0x1p-8 : 0;
  double largest = 0, worst = 0;
  for (const double value : wanted) largest = std::max(largest, std::abs(value));
  const double floor = 4 * sum_eps * std::sqrt(static_cast<double>(terms)) * largest + 1e-300;
  for (size_t i = 0; i < wanted.size(); ++i)
    worst = numeric::worse(
        worst, std::abs(values[i] - wanted[i]) / (floor + store_eps * std::abs(wanted[i])));
  INFO(actual, " with ", terms, " terms");
  REQUIRE(worst <= 1);
}

inline double dot(const Tensor& a, const Tensor& b) {
  const std::vector<double> left = a.values(), right = b.values();
  double sum = 0;
  for (size_t i = 0; i < left.size(); ++i) sum += left[i] * right[i];
  return sum;
}

}  // namespace passband::naive
