// Rows by index, and the adjoint.
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

// y[i, ...] = x[index[i], ...] for i32 `indices` of any shape; the result's shape is that of the
// indices followed by x.shape[1:]. An index outside [0, rows) throws. dx = scatter_add(dy). Also
// known as embedding lookup.
Tensor gather(const Tensor& x, const Tensor& indices);
// y of `rows` rows, y[index[i], ...] += x[i, ...], summed in index order (deterministic). Adjoint
// of gather.
Tensor scatter_add(const Tensor& x, const Tensor& indices, int64_t rows);
// (N) i32 labels -> (N, classes) of `dtype`, 1 at the label.
Tensor one_hot(const Tensor& labels, int64_t classes, DType dtype = DType::f32);

}  // namespace passband
