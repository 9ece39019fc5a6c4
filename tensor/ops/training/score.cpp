// Checks of scores.
#include "tensor/ops/training/score.h"

#include "tensor/ops/gather_kernels.h"
#include "tensor/ops/training/score_kernels.h"

namespace passband {

Tensor empty_score(Device device) { return Tensor::zeros({4}, DType::f64, device); }

void add_to_score(Tensor score, const Tensor& loss, const Tensor& logits, const Tensor& labels) {
  const Device device = logits.device();
  CHECK(score.dtype() == DType::f64 && score.numel() == 4 && score.device() == device,
        "add_to_score: the score is ", score, ", it must come from empty_score on ", device.str());
  CHECK(logits.rank() == 2 && labels.dtype() == DType::i32 && labels.numel() == logits.size(0) &&
            labels.device() == device,
        "add_to_score: logits must be [N, K] and labels i32 [N] on one device, not ", logits,
        " and ", labels);
  CHECK(loss.numel() == 1 &&
            loss.dtype() == (logits.dtype() == DType::f64 ? DType::f64 : DType::f32) &&
            loss.device() == device,
        "add_to_score: the loss is ", loss, ", the logits are ", logits);
  DISPATCH(device, check_indices, "add_to_score: labels", labels, logits.size(1));
  DISPATCH(device, add_to_score, score, loss, logits, labels);
  score.bump_version();
}

Score read_score(const double* values) { return {values[0], values[1], values[2], values[3]}; }

}  // namespace passband
