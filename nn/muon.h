// Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): momentum whose steps are made
// orthogonal, for the matrices and filters of hidden layers.
#pragma once
#include <cstdint>

#include "tensor/core/tensor.h"

namespace passband {

struct MuonOptions {
  double lr = 0.02;  // at the peak of the schedule, which is that of the other parameters
  double momentum = 0.95;
  int64_t steps = 5;  // of Newton-Schulz
  // Each matrix first gets the Euclidean norm sqrt(rows), and its step no other scale, as
  // airbench94_muon. Else a step is scaled by sqrt(max(1, rows / columns)), as the Muon package.
  bool rescale = false;
  double weight_decay = 0;      // decoupled: w -= lr weight_decay w
  DType products = DType::f32;  // bf16: the products of Newton-Schulz
};

// U V^T, nearly, of a matrix (rows, columns) = U S V^T: X = G / (|G| + 1e-7), then `steps` times
// X = a X + (b A + c A^2) X, A = X X^T (of the shorter side), with Jordan's (a, b, c) = (3.4445,
// -4.7750, 2.0315). A singular value s becomes p(...p(s / |G|)), p(s) = a s + b s^3 + c s^5, which
// five steps bring to between 0.68 and 1.14 from 0.01 on. In the type of `products`, where that is
// bf16; the result has the matrix's.
Tensor orthogonalised(const Tensor& matrix, int64_t steps, DType products);

// One step of a matrix `w` (rows, columns) with momentum `m` and gradient `g`, both of its shape:
//   m = momentum m + g;   w = (sqrt(rows) / |w|) w where rescaled;
//   w -= rate (weight_decay w + scale orthogonalised(g + momentum m))
// `rate` is one number of w's type where w lives, read by the device.
void muon_step(Tensor w, Tensor m, const Tensor& g, const Tensor& rate, const MuonOptions& options);

}  // namespace passband
