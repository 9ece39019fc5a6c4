// Kernel signatures of the cross-entropy losses. `loss` and `dloss` hold one f32 (f64 for f64
// logits).
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

namespace cpu {
void cross_entropy_forward(const Tensor& loss, const Tensor& logits, const Tensor& labels,
                           double smoothing);
void cross_entropy_backward(const Tensor& dlogits, const Tensor& logits, const Tensor& labels,
                            const Tensor& dloss, double smoothing);
void soft_cross_entropy_forward(const Tensor& loss, const Tensor& logits, const Tensor& targets);
// `dtargets` may be undefined.
void soft_cross_entropy_backward(const Tensor& dlogits, const Tensor& dtargets,
                                 const Tensor& logits, const Tensor& targets, const Tensor& dloss);
}  // namespace cpu

namespace cuda {
void cross_entropy_forward(const Tensor& loss, const Tensor& logits, const Tensor& labels,
                           double smoothing);
void cross_entropy_backward(const Tensor& dlogits, const Tensor& logits, const Tensor& labels,
                            const Tensor& dloss, double smoothing);
void soft_cross_entropy_forward(const Tensor& loss, const Tensor& logits, const Tensor& targets);
void soft_cross_entropy_backward(const Tensor& dlogits, const Tensor& dtargets,
                                 const Tensor& logits, const Tensor& targets, const Tensor& dloss);
}  // namespace cuda

}  // namespace passband
