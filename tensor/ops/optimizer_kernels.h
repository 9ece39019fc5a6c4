// Kernels of the optimiser steps, one signature per backend.
#pragma once
#include "tensor/ops/optimizer_rules.h"

namespace passband {

namespace cpu {
void sgd_step(const Tensor& values, const Tensor& momentum, const Tensor& gradients,
              const Tensor& decay_mask, const SgdOptions& options, const StepExtras& extras);
void adamw_step(const Tensor& values, const Tensor& first, const Tensor& second,
                const Tensor& gradients, const Tensor& decay_mask, const AdamwOptions& options,
                const StepExtras& extras);
void average_step(const Tensor& average, const Tensor& values, double decay, const Tensor& rates);
void clip_scale(const Tensor& scale, const Tensor& gradients, double most);
void set_rates(const Tensor& rates, const StepRates& values);
}  // namespace cpu

namespace cuda {
void sgd_step(const Tensor& values, const Tensor& momentum, const Tensor& gradients,
              const Tensor& decay_mask, const SgdOptions& options, const StepExtras& extras);
void adamw_step(const Tensor& values, const Tensor& first, const Tensor& second,
                const Tensor& gradients, const Tensor& decay_mask, const AdamwOptions& options,
                const StepExtras& extras);
void average_step(const Tensor& average, const Tensor& values, double decay, const Tensor& rates);
void clip_scale(const Tensor& scale, const Tensor& gradients, double most);
void set_rates(const Tensor& rates, const StepRates& values);
}  // namespace cuda

}  // namespace passband
