// Helpers of the tests of fused operations: random tensors, distances, and derivatives of any order
// against central differences in f64.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "tensor/autograd/engine.h"
#include "tensor/core/random.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/worst.h"

namespace passband::numeric {

using Tensors = std::vector<Tensor>;
using Function = std::function<Tensor(const Tensors&)>;

// Values in [low, high), the same for the same seed.
inline Tensor random_tensor(const Shape& shape, uint64_t seed, DType dtype = DType::f64,
                            double low = -1, double high = 1) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = low + (high - low) * random_uniform({.seed = 2024, .site = seed}, i);
  return Tensor::from(values, shape, dtype);
}

inline double max_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = worse(worst, std::abs(a[i] - b[i]));
  return worst;
}

// Largest |a - b| / (1 + |b|).
inline double max_error(const Tensor& a, const std::vector<double>& b) {
  const std::vector<double> values = a.values();
  REQUIRE(values.size() == b.size());
  double worst = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    const double d = std::abs(values[i] - b[i]) / (1 + std::abs(b[i]));
    worst = worse(worst, d);
  }
  return worst;
}

inline double max_error(const Tensor& a, const Tensor& b) { return max_error(a, b.values()); }

inline Tensors leaves(const Tensors& inputs) {
  Tensors result;
  for (const Tensor& input : inputs) result.push_back(input.leaf());
  return result;
}

// <f(inputs), w> with fixed random weights w, the same for every type: a scalar function with a
// dense gradient.
inline Tensor weighted_sum(const Function& f, const Tensors& inputs) {
  const Tensor y = f(inputs);
  return sum(y * cast(random_tensor(y.shape(), 77, DType::bf16), y.dtype()));
}

inline Tensors gradients(const Function& f, const Tensors& inputs, bool create_graph = false) {
  const Tensors x = leaves(inputs);
  return grad(weighted_sum(f, x), x, {.create_graph = create_graph, .allow_unused = true});
}

// The derivative of <f, w> in a fixed random direction, as a function: its gradient is a second
// derivative of f.
inline Function directional(const Function& f) {
  return [f](const Tensors& inputs) {
    const Tensors g =
        grad(weighted_sum(f, inputs), inputs, {.create_graph = true, .allow_unused = true});
    Tensor total = Tensor::zeros({}, DType::f64);
    for (size_t i = 0; i < g.size(); ++i)
      total = total + sum(g[i] * random_tensor(g[i].shape(), 99 + i));
    return total;
  };
}

// Largest |analytic - numeric| / (1 + |numeric|) over all partial derivatives of <f, w>; inputs are
// f64.
inline double gradient_error(const Function& f, const Tensors& inputs, double eps = 1e-5) {
  const Tensors analytic = gradients(f, inputs);
  double worst = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::vector<double> values = inputs[i].values(), slopes = analytic[i].values();
    for (size_t e = 0; e < values.size(); ++e) {
      const auto at = [&](double shift) {
        Tensors moved = inputs;
        std::vector<double> changed = values;
        changed[e] += shift;
        moved[i] = Tensor::from(changed, inputs[i].shape(), DType::f64);
        return weighted_sum(f, leaves(moved)).item();
      };
      const double numeric = (at(eps) - at(-eps)) / (2 * eps);
      const double error = std::abs(slopes[e] - numeric) / (1 + std::abs(numeric));
      worst = worse(worst, error);
    }
  }
  return worst;
}

// The same gradients from the fused kernels and from the composed formula (create_graph).
inline double fused_against_composed(const Function& f, const Tensors& inputs) {
  const Tensors fused = gradients(f, inputs), composed = gradients(f, inputs, true);
  double worst = 0;
  for (size_t i = 0; i < fused.size(); ++i)
    worst = std::max(worst, max_error(fused[i], composed[i]));
  return worst;
}

// The text of the error that f throws; empty when it throws none.
template <class F> std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace passband::numeric
