// The two forms of the GELU, for operations that have one inside. gelu and gelu_tanh themselves:
// pointwise.h.
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

enum class GeluForm : uint8_t {
  erf,   // x Phi(x), exact
  tanh,  // its approximation: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
};

// dy * gelu'(x) as tensor algebra: differentiable to any order.
Tensor gelu_gradient(const Tensor& x, const Tensor& dy, GeluForm form);

}  // namespace passband
