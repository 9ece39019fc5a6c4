// Sums of gradients, for the graph's own use. tensor/ops, which lies above, defines them: the sum
// of tracked gradients is an operation of the graph itself.
#pragma once
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

Tensor add(const Tensor& a, const Tensor& b);  // broadcasts; da = dy, db = dy
void add_(Tensor y, const Tensor& x);          // y += x, shapes equal
void fill_(Tensor y, double value);
Tensor cast(const Tensor& x, DType dtype);
// Whether a gradient of this shape is in parts (Node::takes_parts).
bool is_in_parts(const Tensor& gradient, const Shape& shape);
// The gradient in one piece, of this shape and type, where it may be in parts.
Tensor whole_gradient(const Tensor& gradient, const Shape& shape, DType dtype);

struct InPlaceSum {
  Tensor y, x;
};
// y += x of each, as add_, in as few launches as a GPU can do that in. To a y of f32, an x of bf16
// may be added, and one of f32 that is (parts, shape of y): its sum along the parts. The ys do not
// overlap.
void add_all_(const std::vector<InPlaceSum>& sums);

}  // namespace passband
