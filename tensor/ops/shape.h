// Operations that move elements without changing them. `reshape` shares memory; the others copy.
#pragma once
#include <vector>

#include "tensor/autograd/node.h"

namespace passband {

// One dimension of `shape` may be -1: it takes what is left. Free: shares memory.
Tensor reshape(const Tensor& x, const std::vector<int64_t>& shape);
Tensor reshape(const Tensor& x, const Shape& shape);
inline Tensor reshape(const Tensor& x, std::initializer_list<int64_t> shape) {
  return reshape(x, std::vector<int64_t>(shape));
}
// y[i_perm[0], i_perm[1], ...] = x[i_0, i_1, ...]: dimension d of y is dimension order[d] of x (as
// PyTorch).
Tensor permute(const Tensor& x, const std::vector<int>& order);
Tensor transpose(const Tensor& x, int dim0, int dim1);
Tensor concat(const std::vector<Tensor>& parts, int dim);
// `length` elements start, start + step, start + 2 step, ... along `dim`; a negative step walks
// backwards. dx has dy at their places and zeros between.
Tensor slice(const Tensor& x, int dim, int64_t start, int64_t length, int64_t step = 1);
// The elements along `dim` in reverse order.
Tensor flip(const Tensor& x, int dim);

// What stands outside the edges of a, b, c, d: zeros; c b | a b c d | c b (reflect: the edge itself
// is not repeated); a a | a b c d | d d (edge, PyTorch's "replicate").
enum class PadMode : uint8_t { zeros, reflect, edge };

// Adds `before` and `after` elements along `dim`; reflect takes fewer of each than `dim` has.
// Zeros: the adjoint of slice. The others are a concat of slices: one copy, and in backward one for
// each side.
Tensor pad(const Tensor& x, int dim, int64_t before, int64_t after, PadMode mode = PadMode::zeros);
// Cyclic shift: y[(i + shift) mod n] = x[i] along `dim`.
Tensor roll(const Tensor& x, int dim, int64_t shift);
// The same values in another floating-point type; dx = cast(dy) back.
Tensor cast(const Tensor& x, DType dtype);
// The same where somebody has made the cast values already: `made` itself (shape of x, its memory),
// in x's place in the graph.
Tensor cast_as(const Tensor& x, const Tensor& made);

}  // namespace passband
