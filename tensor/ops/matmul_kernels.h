// Kernels of the matrix products, one signature per backend.
#pragma once
#include "tensor/cpu/kernel.h"
#include "tensor/ops/matmul.h"

namespace passband {

// c (batch, m, n) = op(a) (batch, m, k) * op(b) (batch, k, n); a transposed operand is stored (k,
// m) or (n, k).
struct ProductShape {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  // b changes rarely: a backend may keep it in a layout of its own between calls
  bool weight_b = false;
};

// What is added to the product before it is rounded to the type of c. Both have that type and may
// be undefined.
struct Epilogue {
  Tensor bias = {};      // (n), to every row
  Tensor residual = {};  // shaped like c
  // Unless null, where a GPU that splits the sum over k may leave it, (parts, batch m, n) in f32,
  // in the place of c. For a product to which nothing else is added.
  Tensor* parts = nullptr;
};

// The product of linear(x, weight).
inline ProductShape linear_shape(const Tensor& x, const Tensor& weight) {
  return {.m = x.shape().outer(-1),
          .n = weight.size(0),
          .k = weight.size(1),
          .transpose_b = true,
          .weight_b = true};
}

// The product of its input gradient, dy weight.
inline ProductShape linear_gradient_shape(const Tensor& dy, const Tensor& weight) {
  return {.m = dy.shape().outer(-1), .n = weight.size(1), .k = weight.size(0), .weight_b = true};
}

// (..., K) -> (rows, K).
Tensor as_rows(const Tensor& x);
// matmul(rows, weight) for a parameter, which a backend may keep in a layout of its own.
Tensor multiply_weight(const Tensor& rows, const Tensor& weight);

// dy^T x, dy (rows, out) and x (rows, in), and the sum of dy over its rows: gradients of a weight
// (out, in) and of a bias (out), which are input i of a node. In parts where they may be.
Tensor weight_gradient(const Saved& s, size_t i, const Tensor& dy, const Tensor& x);
Tensor bias_gradient(const Saved& s, size_t i, const Tensor& dy);

// Throws where the operands of linear(x, weight, bias, residual) do not fit; `op` is whose they
// are.
void check_linear(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& residual);

namespace cpu {
// The operands' own shapes are not looked at.
PASSBAND_CPU_KERNEL(matmul_forward, void(Tensor c, const Tensor& a, const Tensor& b,
                                         const Epilogue& epilogue, const ProductShape& shape));
}  // namespace cpu

namespace cuda {
void matmul_forward(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& epilogue,
                    const ProductShape& shape);
}  // namespace cuda

}  // namespace passband
