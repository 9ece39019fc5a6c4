// Kernels of the optimiser steps, one signature per backend.
#pragma once
#include "tensor/ops/training/optimizer_rules.h"

namespace passband {

namespace cpu {
void sgd_step(Tensor values, Tensor momentum, const Tensor& gradients, const Tensor& decay_mask,
              const SgdOptions& options, StepExtras extras);
void adamw_step(Tensor values, Tensor first, Tensor second, const Tensor& gradients,
                const Tensor& decay_mask, const AdamwOptions& options, StepExtras extras);
void average_step(Tensor average, const Tensor& values, double decay, const Tensor& rates);
void clip_scale(Tensor scale, const Tensor& gradients, double most);
void set_rates(Tensor rates, const StepRates& values);
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
