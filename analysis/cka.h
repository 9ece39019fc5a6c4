// Centred kernel alignment between layers: minibatch, linear kernel, unbiased (Nguyen, Raghu and Kornblith, ICLR 2021;
// HSIC_1 of Song et al. 2007 in its U-centred form, Szekely and Rizzo 2014).
//
//   CKA(X, Y) = sum_b <U(K_b), U(L_b)> / sqrt(sum_b |U(K_b)|^2  sum_b |U(L_b)|^2),   K = X X^T, L = Y Y^T
//
// over batches b of equal size n >= 4. Features are centred by their batch mean before the product (free in exact
// arithmetic, decisive in f32), products are f32, row sums and inner products f64, divided once at the end.
// Time per batch: n^2 p for each layer of p features, and n^2 L^2 for all pairs. Memory: n^2 L doubles.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

// U(K) of the linear kernel of `features` (n, p...), flattened to (n * n) f64: K with its diagonal zeroed and row,
// column and total means removed so that <U(K), U(L)> = n (n - 3) HSIC_1. `dead` is set when the features are
// constant over the batch (mean |x - mu|^2 <= 1e-12 mean |x|^2). Throws when n < 4.
Tensor u_centred_gram(const Tensor& features, bool& dead);

// Sums over batches for two lists of layers (the same list for self-similarity).
class MinibatchCka {
 public:
  MinibatchCka(int64_t rows, int64_t columns);
  // U-centred Grams of one batch, (rows, n * n) and (columns, n * n) f64.
  void add(const Tensor& rows, const Tensor& columns);
  // rows x columns, row-major; NaN where a layer is dead (zero self-term).
  std::vector<double> matrix() const;

 private:
  int64_t rows_, columns_;
  std::vector<double> cross_, row_self_, column_self_;
};

}  // namespace passband
