// Matrix products as oneDNN primitives, f32 and bf16.
#pragma once
#include "tensor/ops/matmul_kernels.h"

namespace passband::cpu {

// The product is cut into pieces by its shape alone, and so the order of every sum is the same on
// any number of threads.
void matmul_onednn(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& epilogue,
                   const ProductShape& shape);

}  // namespace passband::cpu
