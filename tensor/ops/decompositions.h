// Decompositions of f64 matrices in the processor's memory, by LAPACK. They throw when LAPACK does
// not converge or the matrix holds NaN; none is differentiable. They may run in several threads at
// once.
#pragma once
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

// A = U diag(sigma) V^T, thin: r = min(m, n). Time: m n r.
struct Svd {
  Tensor u;                   // (m, r), orthonormal columns
  std::vector<double> sigma;  // r values, descending
  Tensor vt;                  // (r, n), orthonormal rows
};
Svd svd(const Tensor& a);  // (m, n)
std::vector<double> singular_values(const Tensor& a);

// The R of A = Q R, upper triangular, (n, n), for a tall A (m, n), m >= n. Time: m n^2.
Tensor triangular_factor(const Tensor& a);

// A = V diag(lambda) V^T.
struct SymmetricEigen {
  std::vector<double> values;  // ascending
  Tensor vectors;              // (n, n), in columns
};
SymmetricEigen symmetric_eigen(const Tensor& a);  // (n, n); reads the lower triangle. Time: n^3
// Of the symmetric tridiagonal matrix with n values on its `diagonal` and n - 1 `beside` it.
SymmetricEigen tridiagonal_eigen(std::vector<double> diagonal, std::vector<double> beside);

}  // namespace passband
