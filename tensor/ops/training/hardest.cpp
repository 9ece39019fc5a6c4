// Checks of the choice of rows.
#include "tensor/ops/training/hardest.h"

#include "tensor/ops/training/hardest_kernels.h"

namespace passband {

Tensor hardest_rows(const Tensor& losses, int64_t k) {
  CHECK(losses.rank() == 1 && (losses.dtype() == DType::f32 || losses.dtype() == DType::f64),
        "hardest_rows: losses must be f32 or f64 [N], not ", losses);
  CHECK(k > 0 && k <= losses.size(0), "hardest_rows: k is ", k, ", outside [1, ", losses.size(0),
        "]");
  Tensor rows = Tensor::empty({k}, DType::i32, losses.device());
  DISPATCH(losses.device(), hardest_rows, rows, losses);
  return rows;
}

}  // namespace passband
