// Kernel signatures of batch augmentation.
#pragma once
#include "tensor/cpu/kernel.h"
#include "tensor/ops/training/make_batch.h"

namespace passband {

namespace cpu {
PASSBAND_CPU_KERNEL(make_batch, void(Tensor batch, const Tensor& pictures, const Tensor& indices,
                                     const CropOptions& crop, const Normalisation& normalisation,
                                     const RandomKey& key, const Mixing& mixing));
PASSBAND_CPU_KERNEL(mix_targets,
                    void(Tensor targets, const Tensor& labels, double weight, double smoothing));
}  // namespace cpu

namespace cuda {
void make_batch(Tensor batch, const Tensor& pictures, const Tensor& indices,
                const CropOptions& crop, const Normalisation& normalisation, const RandomKey& key,
                const Mixing& mixing);
void mix_targets(Tensor targets, const Tensor& labels, double weight, double smoothing);
}  // namespace cuda

}  // namespace passband
