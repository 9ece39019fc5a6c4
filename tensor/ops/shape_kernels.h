// Kernel signatures of operations that move elements. They work on any element type.
#pragma once
#include <array>

#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

// A part of one dimension, copied: y[:, to + k to_step, :] = x[:, from + k from_step, :] for k <
// length. A step may be negative.
struct CopyRange {
  int dim = 0;
  int64_t from = 0, to = 0, length = 0;
  int64_t from_step = 1, to_step = 1;

  bool contiguous() const { return from_step == 1 && to_step == 1; }
};

// The loops of a permutation, with dimensions that stay neighbours merged: y is contiguous over
// `size`, and position (i_0, ...) of y is element sum_d i_d * stride[d] of x.
struct Permutation {
  int rank = 0;
  std::array<int64_t, Shape::kMaxRank> size{}, stride{};
};

namespace cpu {
PASSBAND_CPU_KERNEL(copy_range, void(Tensor y, const Tensor& x, const CopyRange& range));
PASSBAND_CPU_KERNEL(permute, void(Tensor y, const Tensor& x, const Permutation& p));
PASSBAND_CPU_KERNEL(clear, void(Tensor y));  // all bytes zero
}  // namespace cpu

namespace cuda {
void copy_range(Tensor y, const Tensor& x, const CopyRange& range);
void permute(Tensor y, const Tensor& x, const Permutation& p);
void clear(Tensor y);
}  // namespace cuda

}  // namespace passband
