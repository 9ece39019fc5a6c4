// Kernel signatures of the cross-entropy losses. `loss` and `dloss` hold one f32 (f64 for f64
// logits).
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

namespace cpu {
// `gradient` gets dloss / dlogits in the same pass; it may be undefined.
void cross_entropy(const Tensor& loss, const Tensor& gradient, const Tensor& logits,
                   const Tensor& labels, double smoothing);
void soft_cross_entropy(const Tensor& loss, const Tensor& gradient, const Tensor& logits,
                        const Tensor& targets);
// dlogits = gradient * dloss, the factor in full precision.
void scale_gradient(const Tensor& dlogits, const Tensor& gradient, const Tensor& dloss);
}  // namespace cpu

namespace cuda {
void cross_entropy(const Tensor& loss, const Tensor& gradient, const Tensor& logits,
                   const Tensor& labels, double smoothing);
void soft_cross_entropy(const Tensor& loss, const Tensor& gradient, const Tensor& logits,
                        const Tensor& targets);
void scale_gradient(const Tensor& dlogits, const Tensor& gradient, const Tensor& dloss);
}  // namespace cuda

}  // namespace passband
