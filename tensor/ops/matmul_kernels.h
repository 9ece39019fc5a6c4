// Kernels of the matrix products, one signature per backend.
#pragma once
#include "tensor/ops/matmul.h"

namespace passband {

// c (batch, m, n) = op(a) (batch, m, k) * op(b) (batch, k, n); a transposed operand is stored (k,
// m) or (n, k).
struct ProductShape {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  bool weight_b =
      false;  // b changes rarely: a backend may keep it in a layout of its own between calls
};

// What is added to the product before it is rounded to the type of c. Both have that type and may
// be undefined.
struct Epilogue {
  Tensor bias = {};  // (n), to every row
  Tensor residual = {};  // shaped like c
};

namespace cpu {
// The operands' own shapes are not looked at.
void matmul_forward(const Tensor& c, const Tensor& a, const Tensor& b, const Epilogue& epilogue,
                    const ProductShape& shape);
}  // namespace cpu

namespace cuda {
void matmul_forward(const Tensor& c, const Tensor& a, const Tensor& b, const Epilogue& epilogue,
                    const ProductShape& shape);
}  // namespace cuda

}  // namespace passband
