// Gates and statistics that a linearised pass holds constant.
#include "nn/linearise.h"

#include <numbers>

#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

namespace passband {

Tensor gelu_gate(const Tensor& x) {
  if (!context().linearised) return gelu(x);
  return x * (0.5 * (1.0 + erf(x.detach() / std::numbers::sqrt2)));
}

Tensor held_norm(const Tensor& x, const std::vector<int>& dims, double eps) {
  const Tensor centred = x - mean(x, dims, true);
  return centred * rsqrt(mean(square(centred), dims, true) + eps).detach();
}

}  // namespace passband
