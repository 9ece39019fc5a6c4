// Kernel signatures of row selection.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

// x (outer, size, inner) beside indices (outer, count, inner).
struct AlongShape {
  int64_t outer = 1, size = 1, count = 1, inner = 1;
  int64_t columns() const { return outer * inner; }
};

namespace cpu {
// Throws "op: index 7 is 10, outside [0, 10)" for the first index outside [0, bound).
PASSBAND_CPU_KERNEL(check_indices, void(const char* op, const Tensor& indices, int64_t bound));
// y[i] = x[index[i]], rows
PASSBAND_CPU_KERNEL(gather, void(Tensor y, const Tensor& x, const Tensor& indices));
// y = 0, then y[index[i]] += x[i], in order
PASSBAND_CPU_KERNEL(scatter_add, void(Tensor y, const Tensor& x, const Tensor& indices));
// y[o, j, i] = x[o, index[o, j, i], i], of any element type
PASSBAND_CPU_KERNEL(take_along,
                    void(Tensor y, const Tensor& x, const Tensor& indices, const AlongShape& s));
// y[o, index[o, j, i], i] += x[o, j, i], in the order of j, f32 and f64
PASSBAND_CPU_KERNEL(add_along,
                    void(Tensor y, const Tensor& x, const Tensor& indices, const AlongShape& s));
PASSBAND_CPU_KERNEL(one_hot, void(Tensor y, const Tensor& labels));
}  // namespace cpu

namespace cuda {
// Does not wait: the next copy to the host throws (tensor/cuda/index_fault.h). `op` must stay
// valid.
void check_indices(const char* op, const Tensor& indices, int64_t bound);
void gather(Tensor y, const Tensor& x, const Tensor& indices);
void scatter_add(Tensor y, const Tensor& x, const Tensor& indices);
void take_along(Tensor y, const Tensor& x, const Tensor& indices, const AlongShape& s);
void add_along(Tensor y, const Tensor& x, const Tensor& indices, const AlongShape& s);
void one_hot(Tensor y, const Tensor& labels);
}  // namespace cuda

}  // namespace passband
