// The composed gradients that batch, layer and group norm share, and the check of their parameters.
#include "tensor/ops/norm_composed.h"

#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

namespace passband {

NormGradients composed_norm_gradients(const Tensor& x, const Tensor& gamma, const Tensor& dy,
                                      const std::vector<int>& dims, double eps) {
  const Tensor centred = x - mean(x, dims, true);
  const Tensor inverse = rsqrt(mean(square(centred), dims, true) + eps);
  const Tensor xhat = centred * inverse;
  const Tensor g = dy * gamma;
  const Tensor dx = inverse * (g - mean(g, dims, true) - xhat * mean(g * xhat, dims, true));
  return {dx, sum_to(dy * xhat, gamma.shape()), sum_to(dy, gamma.shape())};
}

void check_norm_parameter(const char* op, const char* name, const Tensor& parameter,
                          const Tensor& x) {
  const Shape expected{x.size(-1)};
  CHECK(parameter.defined() && parameter.shape() == expected &&
            parameter.dtype() == statistics_type(x),
        op, ": ", name, " must be ", name_of(statistics_type(x)), expected, " for x ", x,
        ", it is ", parameter);
}

}  // namespace passband
