// Kernels of the optimiser steps, one signature per backend.
#pragma once
#include "tensor/cpu/kernel.h"
#include "tensor/ops/training/optimizer_rules.h"

namespace passband {

namespace cpu {
PASSBAND_CPU_KERNEL(sgd_step,
                    void(Tensor values, Tensor momentum, const Tensor& gradients,
                         const Tensor& decay_mask, const SgdOptions& options, StepExtras extras));
PASSBAND_CPU_KERNEL(adamw_step,
                    void(Tensor values, Tensor first, Tensor second, const Tensor& gradients,
                         const Tensor& decay_mask, const AdamwOptions& options, StepExtras extras));
PASSBAND_CPU_KERNEL(average_step,
                    void(Tensor average, const Tensor& values, double decay, const Tensor& rates));
PASSBAND_CPU_KERNEL(clip_scale, void(Tensor scale, const Tensor& gradients, double most));
PASSBAND_CPU_KERNEL(set_rates, void(Tensor rates, const StepRates& values));
}  // namespace cpu

namespace cuda {
void sgd_step(Tensor values, Tensor momentum, const Tensor& gradients, const Tensor& decay_mask,
              const SgdOptions& options, StepExtras extras);
void adamw_step(Tensor values, Tensor first, Tensor second, const Tensor& gradients,
                const Tensor& decay_mask, const AdamwOptions& options, StepExtras extras);
void average_step(Tensor average, const Tensor& values, double decay, const Tensor& rates);
void clip_scale(Tensor scale, const Tensor& gradients, double most);
void set_rates(Tensor rates, const StepRates& values);
}  // namespace cuda

}  // namespace passband
