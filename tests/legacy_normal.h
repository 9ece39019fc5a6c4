// numpy's legacy RandomState(seed).randn: what published demonstrations draw their data from.
#pragma once
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

// Mersenne Twister, 53-bit doubles, polar Box-Muller.
class LegacyNormal {
 public:
  explicit LegacyNormal(uint32_t seed) : engine_(seed) {}
  double operator()() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    double x1 = 0, x2 = 0, r2 = 0;
    do {
      x1 = 2 * uniform() - 1;
      x2 = 2 * uniform() - 1;
      r2 = x1 * x1 + x2 * x2;
    } while (r2 >= 1 || r2 == 0);
    const double f = std::sqrt(-2 * std::log(r2) / r2);
    spare_ = f * x1;
    has_spare_ = true;
    return f * x2;
  }

  // (n, p) f64, row by row.
  Tensor matrix(int64_t n, int64_t p) {
    std::vector<double> values(static_cast<size_t>(n * p));
    for (double& value : values) value = (*this)();
    return Tensor::from(values, {n, p}, DType::f64);
  }

 private:
  double uniform() {
    const uint32_t a = static_cast<uint32_t>(engine_()) >> 5,
                   b = static_cast<uint32_t>(engine_()) >> 6;
    return (a * 67108864.0 + b) / 9007199254740992.0;
  }
  std::mt19937 engine_;
  bool has_spare_ = false;
  double spare_ = 0;
};

}  // namespace passband
