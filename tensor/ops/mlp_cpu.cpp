// The MLP on the CPU: the product of its backend, then the GELU where the result lies.
#include "tensor/ops/mlp_kernels.h"
#include "tensor/ops/pointwise_kernels.h"
#include "tensor/ops/reduce_kernels.h"

namespace passband::cpu {

void linear_gelu_forward(const Tensor& y, const Tensor& h, const Tensor& x, const Tensor& weight, const Tensor& bias,
                         GeluForm form) {
  const Tensor& sums = h.defined() ? h : y;
  matmul_forward(sums, x, weight, {.bias = bias}, linear_shape(x, weight));
  with_gelu(form, [&](auto gelu, auto) { map(y, sums, gelu); });
}

void linear_gelu_backward(const Tensor& dh, const Tensor& dbias, const Tensor& dy, const Tensor& weight,
                          const Tensor& h, GeluForm form) {
  matmul_forward(dh, dy, weight, {}, linear_gradient_shape(dy, weight));
  with_gelu(form, [&](auto, auto slope) { zip(dh, h, dh, slope); });
  if (dbias.defined()) sum(dbias, dh, {1, dh.size(0), dh.size(1)}, 1.0);
}

}  // namespace passband::cpu
