// Products of matrices with many rows that have kernels of their own: sums over the rows, as weight
// gradients are, and those of f32 matrices that a matrix unit makes.
#pragma once
#include <cstdint>

#include "tensor/core/dtype.h"
#include "tensor/cpu/kernel.h"

namespace passband::cpu {

struct TallProduct {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_b = false;         // b is stored (n, k)
  const float* bias = nullptr;      // (n), added to every row
  const float* residual = nullptr;  // (m, n), added
};

// Whether tall_transposed_product takes it, and faster than `product` would: f32 rows are read
// where they lie, and what is read next is fetched while the sums before it are being made.
PASSBAND_CPU_KERNEL(tall_transposed_product_pays, bool(int64_t m, int64_t n, int64_t k));
// c (m, n) = a (k, m)^T b (k, n), a sum over many rows. The order of every sum is fixed.
PASSBAND_CPU_KERNEL(tall_transposed_product, void(int64_t m, int64_t n, int64_t k, float* c,
                                                  const float* a, const float* b));
// The same of bf16 numbers, summed in f32 and rounded once; see bf16_pairs.h.
PASSBAND_CPU_KERNEL(tall_transposed_product_bf16,
                    void(int64_t m, int64_t n, int64_t k, bf16* c, const bf16* a, const bf16* b));

// c (m, n) = a (m, k) b (k, n) + bias + residual, and the same sum over rows, on the matrix unit.
// False, c being unspecified, where this CPU has no such unit or a number is not finite; see
// split_product.h.
PASSBAND_CPU_KERNEL(split_product,
                    bool(const TallProduct& shape, float* c, const float* a, const float* b));
PASSBAND_CPU_KERNEL(split_transposed_product, bool(int64_t m, int64_t n, int64_t k, float* c,
                                                   const float* a, const float* b));

// Where the matrix unit is 1.1 to 1.7 times as fast as the other products: what is cut into parts
// is used often.
PASSBAND_CPU_KERNEL(split_product_pays, bool(int64_t m, int64_t n, int64_t k));
PASSBAND_CPU_KERNEL(split_transposed_product_pays, bool(int64_t m, int64_t n, int64_t k));

}  // namespace passband::cpu
