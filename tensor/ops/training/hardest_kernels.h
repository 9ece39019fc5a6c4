// Kernel signatures of the choice of rows.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

namespace cpu {
PASSBAND_CPU_KERNEL(hardest_rows, void(Tensor rows, const Tensor& losses));
}  // namespace cpu

namespace cuda {
void hardest_rows(Tensor rows, const Tensor& losses);
}  // namespace cuda

// Whether row i with loss a is harder than row j with loss b.
template <class T> PASSBAND_HD inline bool is_harder(T a, int64_t i, T b, int64_t j) {
  const bool a_finite = a - a == T(0), b_finite = b - b == T(0);
  if (a_finite != b_finite) return b_finite;
  return a_finite && a != b ? a > b : i < j;
}

}  // namespace passband
