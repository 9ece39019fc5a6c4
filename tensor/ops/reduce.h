// Reductions and their adjoints. Sums run in a fixed tree order: the same bits on any thread count.
// f32 and bf16 accumulate in f32 within a block of at most 4096 elements and in f64 across blocks.
#pragma once
#include <vector>

#include "tensor/autograd/node.h"

namespace passband {

// Sum over `dims` (all dimensions when empty). dx = expand(dy).
Tensor sum(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);
Tensor mean(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);
// Largest element along `dim`; the gradient goes to the first maximum.
Tensor max(const Tensor& x, int dim, bool keepdim = false);
// -max(-x), at the cost of two more passes; the gradient goes to the first minimum.
Tensor min(const Tensor& x, int dim, bool keepdim = false);
// Index of the first maximum along `dim`, i32. Not differentiable.
Tensor argmax(const Tensor& x, int dim);
Tensor argmin(const Tensor& x, int dim);
// Product along `dim`, 1 where it is empty. dx_i = dy * product of the others, right also with any
// number of zeros: halves are multiplied with one another, log2(n) times, and nothing is divided.
// In all some seven elements are moved for each of x.
Tensor prod(const Tensor& x, int dim, bool keepdim = false);
// Adjoint pair of broadcasting: `expand` stretches size-1 (or missing leading) dimensions to
// `shape`; `sum_to` sums what was stretched, back to `shape`.
Tensor expand(const Tensor& x, const Shape& shape);
Tensor sum_to(const Tensor& x, const Shape& shape);
// The shape that `a` and `b` broadcast to; throws naming `op` and both shapes when they do not.
Shape broadcast_shape(const char* op, const Tensor& a, const Tensor& b);

}  // namespace passband
