// The MLP of a transformer block: two linear layers and the GELU between them, as one operation.
#pragma once
#include "tensor/ops/gelu.h"

namespace passband {

// y = gelu(x w1^T + b1) w2^T + b2 + residual, over the last dimension of x (..., in); w1 (hidden,
// in), b1 (hidden), w2 (out, hidden), b2 (out), residual and y (..., out). Biases and residual may
// be undefined. With h = x w1^T + b1:
//   dh = gelu'(h) * (dy w2),  dx = dh w1,  dw1 = dh^T x,  db1 = sum of dh,  dw2 = dy^T gelu(h),
//     db2 = sum of dy.
// On a GPU the GELU and its slope belong to the products around them: forward makes gelu(h) from
// sums that are still in registers, and writes h only where a gradient will follow; backward makes
// dh and the sums db1 the same way. Second and higher derivatives come from the formulas above, h
// recomputed from x.
Tensor mlp(const Tensor& x, const Tensor& w1, const Tensor& b1, const Tensor& w2,
           const Tensor& b2 = {}, const Tensor& residual = {}, GeluForm form = GeluForm::erf);

}  // namespace passband
