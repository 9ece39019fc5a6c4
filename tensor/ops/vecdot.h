// Inner products along the last dimension.
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

// y[...] = sum_j a[..., j] b[..., j]; the shape of b is that of a, or its last dimensions: b is
// then used again for each part of a. Nothing of the size of a is written. da = dy b, db = dy a,
// summed back to the shape of b. f32 and bf16 accumulate in f32 within some thousand elements and
// in f64 beyond. The same bits for any number of threads.
Tensor vecdot(const Tensor& a, const Tensor& b);

}  // namespace passband
