// Training batches made where the pictures live: one pass gathers, crops, flips, cuts out,
// normalises, mixes and casts. The same key gives the same crops as data/augment.h, the same mixing
// as nn/mixing.h.
#pragma once
#include <array>

#include "tensor/core/crop.h"
#include "tensor/core/tensor.h"

namespace passband {

// How a batch is mixed: picture i with picture B - 1 - i.
struct Mixing {
  double own = 1;  // mixup: weight of picture i itself; 1 leaves it alone
  // cutmix: rows [top, bottom) and columns [left, right) are the partner's.
  int64_t top = 0, bottom = 0, left = 0, right = 0;
  // Share of the labels that stays with picture i.
  double label_weight = 1;
};

// Pictures of a network's input: (pixel / 255 - mean) / std.
struct Normalisation {
  std::array<float, 3> mean{}, std{1, 1, 1};
};

// batch (B, size, size, 3) of a floating-point type from pictures (count, height, width, 3) u8 and
// indices (B) i32, all on one device. An index outside throws, on a GPU at the next copy to the
// host.
void make_batch(Tensor batch, const Tensor& pictures, const Tensor& indices,
                const CropOptions& crop, const Normalisation& normalisation, const RandomKey& key,
                const Mixing& mixing = {});

// targets (B, K) f32 from labels (B) i32: weight * t(label_i) + (1 - weight) * t(label_{B-1-i}),
// t(y) = smoothing / K, plus 1 - smoothing at y.
void mix_targets(Tensor targets, const Tensor& labels, double weight, double smoothing);

}  // namespace passband
