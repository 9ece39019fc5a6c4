// Centring of kernel matrices K (..., n, n) over pictures, symmetric where not said otherwise.
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

// H K H with H = I - 11^T / n: rows and columns sum to zero. With r_i, c_j the sums of rows and
// columns and S of all:
//   y_ij = K_ij - (r_i + c_j) / n + S / n^2.   Its own adjoint: dK = double_centre(dy).
Tensor double_centre(const Tensor& k);
// U-centring (Szekely and Rizzo, Annals of Statistics 2014; what the unbiased HSIC_1 of Song et al.
// 2007 is made of), sums without the diagonal:
//   y_ij = K_ij - (r_i + c_j) / (n - 2) + S / ((n - 1) (n - 2)) for i != j,  y_ii = 0.
// Its own adjoint, for any K. For a symmetric K rows sum to zero. Throws when n < 3.
Tensor u_centre(const Tensor& k);

}  // namespace passband
