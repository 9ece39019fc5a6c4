// Kernel signatures of scores.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

namespace cpu {
PASSBAND_CPU_KERNEL(add_to_score, void(Tensor score, const Tensor& loss, const Tensor& logits,
                                       const Tensor& labels));
}  // namespace cpu

namespace cuda {
void add_to_score(Tensor score, const Tensor& loss, const Tensor& logits, const Tensor& labels);
}  // namespace cuda

// Places that class k puts the label back: one when it comes before the label in sorted order. A
// logit that is not finite makes its row wrong, so it puts the label behind all that is counted.
template <class T>
PASSBAND_HD inline int places_before(T logit, int64_t k, T of_label, int64_t label) {
  constexpr int kBehindAll = 5;
  if (!(logit - logit == T(0))) return kBehindAll;
  return logit > of_label || (logit == of_label && k < label) ? 1 : 0;
}

}  // namespace passband
