// Kernel signatures of scores.
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

namespace cpu {
void add_to_score(Tensor score, const Tensor& loss, const Tensor& logits, const Tensor& labels);
}  // namespace cpu

namespace cuda {
void add_to_score(Tensor score, const Tensor& loss, const Tensor& logits, const Tensor& labels);
}  // namespace cuda

// Whether class k comes before the label when logits are sorted.
template <class T>
PASSBAND_HD inline bool comes_before(T logit, int64_t k, T of_label, int64_t label) {
  return logit > of_label || (logit == of_label && k < label);
}

}  // namespace passband
