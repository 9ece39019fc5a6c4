// Kernel signatures of reductions. A tensor is read as (outer, n, inner) with the middle dimension
// reduced.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"
#include "tensor/ops/broadcast.h"

namespace passband {

struct Reduction {
  int64_t outer = 1, n = 1, inner = 1;
};

namespace cpu {
// y (outer, inner) = scale * sum over n; y and x may be of different floating-point types.
PASSBAND_CPU_KERNEL(sum, void(Tensor y, const Tensor& x, const Reduction& r, double scale));
// index (outer, inner) i32 of the first largest element; NaN counts as the largest.
PASSBAND_CPU_KERNEL(argmax, void(Tensor index, const Tensor& x, const Reduction& r));
// y[o, i] = x[o, index[o, i], i], and the adjoint: x is zero but for x[o, index[o, i], i] = y[o,
// i].
PASSBAND_CPU_KERNEL(pick_along,
                    void(Tensor y, const Tensor& x, const Tensor& index, const Reduction& r));
PASSBAND_CPU_KERNEL(put_along,
                    void(Tensor x, const Tensor& y, const Tensor& index, const Reduction& r));
// y[position] = x at the strides `loops.a`.
PASSBAND_CPU_KERNEL(expand, void(Tensor y, const Tensor& x, const Broadcast& loops));
// The sum of x (rows, columns) over its rows, in its type; on a GPU in parts, (parts, columns) in
// f32.
Tensor sum_of_rows(const Tensor& x);
}  // namespace cpu

namespace cuda {
void sum(Tensor y, const Tensor& x, const Reduction& r, double scale);
Tensor sum_of_rows(const Tensor& x);
void argmax(Tensor index, const Tensor& x, const Reduction& r);
void pick_along(Tensor y, const Tensor& x, const Tensor& index, const Reduction& r);
void put_along(Tensor x, const Tensor& y, const Tensor& index, const Reduction& r);
void expand(Tensor y, const Tensor& x, const Broadcast& loops);
}  // namespace cuda

}  // namespace passband
