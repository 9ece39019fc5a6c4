// Matrix products. The backward of a matmul is a matmul: any order of derivative.
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

struct MatmulOptions {
  bool transpose_a = false;
  bool transpose_b = false;
};

// (..., M, K) x (..., K, N) -> (..., M, N), after the transposes of the last two dimensions.
// Leading dimensions broadcast, aligned at the end; what is stretched is copied first, but for a
// plain matrix b (then a's leading dimensions are rows). f32 accumulation for f32 and bf16.
Tensor matmul(const Tensor& a, const Tensor& b, const MatmulOptions& options = {});
// x (..., in) * weight (out, in)^T + bias (out) + residual (..., out) -> (..., out). Bias and
// residual may be undefined; both are added while the product is still in registers, before it is
// rounded.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const Tensor& residual = {});

}  // namespace passband
