// Kernel signatures of the cross-entropy losses. `loss` and `dloss` hold one f32 (f64 for f64
// logits).
#pragma once
#include <optional>

#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

// What a label stands for: weights (K), f32 or f64 as the kernels sum, or undefined.
struct LabelTargets {
  double smoothing = 0;
  Tensor weights = {};
  std::optional<int32_t> ignored = {};
};

namespace cpu {
// `gradient` gets dloss / dlogits in the same pass; it may be undefined.
PASSBAND_CPU_KERNEL(cross_entropy, void(Tensor loss, Tensor gradient, const Tensor& logits,
                                        const Tensor& labels, double smoothing));
PASSBAND_CPU_KERNEL(soft_cross_entropy, void(Tensor loss, Tensor gradient, const Tensor& logits,
                                             const Tensor& targets));
// losses (N) f64, and gradient (N, K) unless undefined, of each row for itself; both divided by
// `divisor`, one f64, unless undefined.
PASSBAND_CPU_KERNEL(label_losses,
                    void(Tensor losses, Tensor gradient, const Tensor& logits, const Tensor& labels,
                         const LabelTargets& targets, const Tensor& divisor));
// For each row the weight of its label in f64, 0 where it is ignored, and the label itself, 0 where
// it is ignored.
PASSBAND_CPU_KERNEL(label_weights, void(Tensor weights, Tensor counted, const Tensor& labels,
                                        const LabelTargets& targets, int64_t classes));
// dlogits = gradient * dloss, the factor in full precision; one dloss, or one for each row.
PASSBAND_CPU_KERNEL(scale_gradient,
                    void(Tensor dlogits, const Tensor& gradient, const Tensor& dloss));
}  // namespace cpu

namespace cuda {
void cross_entropy(Tensor loss, Tensor gradient, const Tensor& logits, const Tensor& labels,
                   double smoothing);
void soft_cross_entropy(Tensor loss, Tensor gradient, const Tensor& logits, const Tensor& targets);
void label_losses(Tensor losses, Tensor gradient, const Tensor& logits, const Tensor& labels,
                  const LabelTargets& targets, const Tensor& divisor);
void label_weights(Tensor weights, Tensor counted, const Tensor& labels,
                   const LabelTargets& targets, int64_t classes);
void scale_gradient(Tensor dlogits, const Tensor& gradient, const Tensor& dloss);
}  // namespace cuda

}  // namespace passband
