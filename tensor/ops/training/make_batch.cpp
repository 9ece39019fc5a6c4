// Checks of batch augmentation.
#include "tensor/ops/training/make_batch.h"

#include "tensor/ops/gather_kernels.h"
#include "tensor/ops/training/make_batch_kernels.h"

namespace passband {

void make_batch(Tensor batch, const Tensor& pictures, const Tensor& indices,
                const CropOptions& crop, const Normalisation& normalisation, const RandomKey& key,
                const Mixing& mixing) {
  const int64_t count = indices.numel();
  CHECK(pictures.rank() == 4 && pictures.dtype() == DType::u8 &&
            pictures.shape() == Shape({pictures.size(0), crop.height, crop.width, 3}),
        "make_batch: pictures must be u8[count, ", crop.height, ", ", crop.width, ", 3], not ",
        pictures);
  CHECK(batch.shape() == Shape({count, crop.size, crop.size, 3}) && is_floating(batch.dtype()),
        "make_batch: the batch must be floating-point of shape [", count, ", ", crop.size, ", ",
        crop.size, ", 3], not ", batch);
  CHECK(indices.dtype() == DType::i32 && indices.device() == pictures.device() &&
            batch.device() == pictures.device(),
        "make_batch: indices ", indices, ", pictures ", pictures, " and batch ", batch,
        " must be on one device, the indices i32");
  const int64_t side = std::min(crop.height, crop.width);
  CHECK(side >= crop.size && crop.pad >= 0 && crop.pad < side, "make_batch: a crop of ", crop.size,
        " with padding ", crop.pad, " does not fit pictures of ", crop.height, " x ", crop.width);
  DISPATCH(indices.device(), check_indices, "make_batch", indices, pictures.size(0));
  DISPATCH(batch.device(), make_batch, batch, pictures, indices, crop, normalisation, key, mixing);
  batch.bump_version();
}

void mix_targets(Tensor targets, const Tensor& labels, double weight, double smoothing) {
  CHECK(targets.rank() == 2 && targets.dtype() == DType::f32 && labels.dtype() == DType::i32 &&
            labels.numel() == targets.size(0) && labels.device() == targets.device(),
        "mix_targets: targets must be f32 [B, K] and labels i32 [B] on one device, not ", targets,
        " and ", labels);
  DISPATCH(labels.device(), check_indices, "mix_targets: labels", labels, targets.size(1));
  DISPATCH(targets.device(), mix_targets, targets, labels, weight, smoothing);
  targets.bump_version();
}

}  // namespace passband
