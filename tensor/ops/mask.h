// Masks: comparisons of elements, and choices by them. A mask is u8, 1 where it holds and 0
// elsewhere, whatever the type of what was compared; `cast` makes numbers of it. Operands broadcast
// like numpy.
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

// f32, bf16, f64, i32 and u8, both operands of one type. A NaN equals nothing. No gradient: the
// derivative is 0 wherever there is one.
Tensor eq(const Tensor& a, const Tensor& b);  // a == b
Tensor ne(const Tensor& a, const Tensor& b);  // a != b
Tensor lt(const Tensor& a, const Tensor& b);  // a < b
Tensor le(const Tensor& a, const Tensor& b);  // a <= b
Tensor gt(const Tensor& a, const Tensor& b);  // a > b
Tensor ge(const Tensor& a, const Tensor& b);  // a >= b
// With a number, in the type of a.
Tensor eq(const Tensor& a, double b);
Tensor ne(const Tensor& a, double b);
Tensor lt(const Tensor& a, double b);
Tensor le(const Tensor& a, double b);
Tensor gt(const Tensor& a, double b);
Tensor ge(const Tensor& a, double b);

// a where the mask (u8) is not 0, b elsewhere; a and b of one type, which may be any. da = dy where
// the mask holds and 0 elsewhere, db the rest: what was not chosen gets no gradient, NaN or not.
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& mask, const Tensor& a, double b);
Tensor where(const Tensor& mask, double a, const Tensor& b);

}  // namespace passband
