// Kernel signature of centring matrices.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

// y_ij = x_ij - margin (r_i + c_j) + total S, where r, c and S are the sums of x over rows, columns
// and everything; with `hollow` the diagonal counts nowhere and becomes 0.
struct Centring {
  double margin = 0, total = 0;
  bool hollow = false;
};

namespace cpu {
// y, x (count, n, n).
PASSBAND_CPU_KERNEL(centre, void(Tensor y, const Tensor& x, int64_t n, const Centring& centring));
}  // namespace cpu

namespace cuda {
void centre(Tensor y, const Tensor& x, int64_t n, const Centring& centring);
}  // namespace cuda

}  // namespace passband
