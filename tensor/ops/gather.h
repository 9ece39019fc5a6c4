// Rows and elements by index, and the adjoints. Indices are i32; one outside [0, size) throws.
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

// y[i, ...] = x[index[i], ...] for i32 `indices` of any shape; the result's shape is that of the
// indices followed by x.shape[1:]. dx = scatter_add(dy). Also known as embedding lookup. Along
// another `dim`, the shape of the indices stands in the place of that dimension (PyTorch's
// index_select, numpy's take), at the cost of two transposes.
Tensor gather(const Tensor& x, const Tensor& indices, int dim = 0);
// y of `rows` rows, y[index[i], ...] += x[i, ...], summed in index order (deterministic). Adjoint
// of gather.
Tensor scatter_add(const Tensor& x, const Tensor& indices, int64_t rows);
// One element for each index along `dim` (PyTorch's gather, numpy's take_along_axis):
// y[..., j, ...] = x[..., index[..., j, ...], ...], where x and the indices have the same sizes but
// along `dim`. dx = add_along(dy).
Tensor take_along(const Tensor& x, const Tensor& indices, int dim);
// Its adjoint: y of `size` along `dim`, y[..., index[..., j, ...], ...] += x[..., j, ...], summed
// in the order of j in f32 (f64 for f64); in parallel over everything but `dim`.
Tensor add_along(const Tensor& x, const Tensor& indices, int dim, int64_t size);
// (N) i32 labels -> (N, classes) of `dtype`, 1 at the label.
Tensor one_hot(const Tensor& labels, int64_t classes, DType dtype = DType::f32);

}  // namespace passband
