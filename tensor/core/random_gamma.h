// Random numbers of the gamma and the beta distribution.
#pragma once
#include <algorithm>
#include <cmath>

#include "tensor/core/random.h"

namespace passband {

// Gamma(shape, 1), by rejection (Marsaglia and Tsang, 2000); a shape < 1 by the boost u^(1/shape).
inline double draw_gamma(double shape, RandomSequence& random) {
  if (shape < 1) {
    const double u = std::max(1e-12, static_cast<double>(random.uniform()));
    return draw_gamma(shape + 1, random) * std::pow(u, 1 / shape);
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = static_cast<double>(random.normal()), v = std::pow(1 + c * x, 3);
    const double u = std::max(1e-12, static_cast<double>(random.uniform()));
    if (v > 0 && std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

// Beta(alpha, alpha), from two gamma draws.
inline double draw_beta(double alpha, RandomSequence& random) {
  const double a = draw_gamma(alpha, random), b = draw_gamma(alpha, random);
  return a / (a + b);
}

}  // namespace passband
