// Sums of tensors over the parts of a batch (tensor/core/batch_parts.h).
#pragma once
#include "tensor/autograd/sum.h"
#include "tensor/core/batch_parts.h"

namespace passband {

// Part `part` of a tensor whose leading dimension is that of the pictures, or theirs times pixels.
inline Tensor part_of_batch(const Tensor& x, int64_t part) {
  const int64_t rows = x.size(0) / batch_parts().count;
  return x.view(part * (x.numel() / batch_parts().count), x.shape().with(0, rows));
}

// Memory for what a kernel sums over a batch with this leading dimension, shaped like `parameter`.
inline Tensor batch_sum_like(const Tensor& parameter, int64_t leading) {
  const bool wide = parameter.dtype() == DType::bf16 && batch_parts().cut(leading);
  return Tensor::empty(parameter.shape(), wide ? DType::f32 : parameter.dtype(),
                       parameter.device());
}

// The sum of make(part) over the parts of this process; in f32 where they are bf16.
template <class Make> Tensor sum_over_batch(const Make& make) {
  const auto wide = [&](int64_t part) {
    const Tensor own = make(part);
    return own.dtype() == DType::bf16 ? cast(own, DType::f32) : own;
  };
  return sum_of_parts(batch_parts().count, wide,
                      [](const Tensor& sum, const Tensor& more) { add_(sum, more); });
}

}  // namespace passband
