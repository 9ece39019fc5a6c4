// The loops of a broadcast, which stretches two operands to one result, with neighbouring
// dimensions merged.
#pragma once
#include <array>

#include "tensor/core/tensor.h"

namespace passband {

// Position (i_0, ..., i_{rank-1}) of the result reads element sum_d i_d * a[d] of one operand and
// sum_d i_d * b[d] of the other; the result itself is contiguous. rank is at least 1.
struct Broadcast {
  int rank = 0;
  std::array<int64_t, Shape::kMaxRank> size{}, a{}, b{};

  // Where row `row` (all dimensions but the last) of the result starts in an operand with these
  // strides.
  int64_t row_offset(const std::array<int64_t, Shape::kMaxRank>& strides, int64_t row) const {
    int64_t offset = 0;
    for (int d = rank - 2; d >= 0; --d) {
      const auto at = static_cast<size_t>(d);
      offset += row % size[at] * strides[at];
      row /= size[at];
    }
    return offset;
  }
};

// Stride of each dimension of `shape` within an operand of shape `own`; 0 where it is stretched.
std::array<int64_t, Shape::kMaxRank> strides_within(const Shape& shape, const Shape& own);
// `shape` is what the operand shapes broadcast to.
Broadcast broadcast_loops(const Shape& shape, const Shape& a, const Shape& b);

}  // namespace passband
