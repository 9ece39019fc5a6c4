// Numbers that the ladders begin from, and their forms.
#pragma once
#include <vector>

#include "tensor/core/tensor.h"

namespace ladder {

// Normal numbers of this deviation, always the same for one key.
inline std::vector<float> random_values(int64_t count, uint64_t key, double deviation) {
  passband::Generator random(key);
  std::vector<float> values;
  for (const double value : passband::Tensor::randn({count}, random.next()).values())
    values.push_back(static_cast<float>(value * deviation));
  return values;
}

// In f64: what the steps are compared with is not rounded as they are.
inline passband::Tensor exact(const std::vector<float>& values, const passband::Shape& shape) {
  return passband::Tensor::from(values, shape, passband::DType::f64);
}

inline std::vector<float> floats(const passband::Tensor& tensor) {
  const std::vector<double> values = tensor.values();
  return {values.begin(), values.end()};
}

inline std::vector<passband::bf16> rounded(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

}  // namespace ladder
