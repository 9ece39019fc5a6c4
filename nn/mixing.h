// Mixup (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019), one draw a batch, as timm
// mixes: picture i is paired with picture B - 1 - i.
#pragma once
#include <cstdint>
#include <vector>

#include "tensor/core/random.h"
#include "tensor/core/tensor.h"
#include "tensor/ops/training/make_batch.h"

namespace passband {

struct MixingOptions {
  double mixup = 0, cutmix = 0;     // alpha of Beta(alpha, alpha); 0: off
  double probability = 1;           // of mixing a batch at all
  double switch_probability = 0.5;  // of cutmix when both are on
};

// What a batch of pictures of this size is given at a step, for make_batch and mix_targets
// (tensor/ops/training/make_batch.h) or mix(). CutMix pastes a box of area about (1 - lambda) S^2,
// clipped at the borders, and corrects the weight of the labels to the pasted area.
Mixing draw_mixing(int64_t height, int64_t width, const MixingOptions& options,
                   const RandomKey& key);

// Mixes `images` (B, S, S, 3) f32 of the CPU in place.
void mix(const Tensor& images, const Mixing& mixing);

}  // namespace passband
