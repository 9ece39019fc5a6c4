// Checks of the optimiser steps.
#include "tensor/ops/optimizer.h"

#include <cmath>

#include "tensor/ops/optimizer_kernels.h"

namespace passband {
namespace {

void check_flat(const char* op, const Tensor& values, const Tensor& other, const char* what) {
  CHECK(other.numel() == values.numel() && other.dtype() == values.dtype() &&
            other.device() == values.device(),
        op, ": ", what, " is ", other, ", the values are ", values);
}

void check_mask(const char* op, const Tensor& values, const Tensor& mask) {
  CHECK(mask.numel() == values.numel() && mask.dtype() == DType::f32 &&
            mask.device() == values.device(),
        op, ": the decay mask is ", mask, ", it must be f32 of the length of ", values);
}

void check_extras(const char* op, const Tensor& values, const StepExtras& extras) {
  const Tensor &scale = extras.scale, &half = extras.half;
  if (extras.average) check_flat(op, values, extras.average, "the average");
  CHECK(!scale || (scale.dtype() == DType::f64 && scale.numel() == 2 &&
                   scale.device() == values.device()),
        op, ": the scale is ", scale, ", it must come from clip_scale on ", values.device().str());
  CHECK(!half || (half.dtype() == DType::bf16 && half.numel() == values.numel() &&
                  half.device() == values.device()),
        op, ": the bf16 copy is ", half, ", the values are ", values);
}

void bump_versions(std::initializer_list<Tensor> changed, const StepExtras& extras) {
  for (const Tensor& tensor : changed) tensor.bump_version();
  if (extras.average) extras.average.bump_version();
  if (extras.half) extras.half.bump_version();
}

}  // namespace

void sgd_step(const Tensor& values, const Tensor& momentum, const Tensor& gradients,
              const Tensor& decay_mask, const SgdOptions& options, const StepExtras& extras) {
  check_flat("sgd_step", values, momentum, "the momentum");
  check_flat("sgd_step", values, gradients, "the gradient");
  check_mask("sgd_step", values, decay_mask);
  check_extras("sgd_step", values, extras);
  DISPATCH(values.device(), sgd_step, values, momentum, gradients, decay_mask, options, extras);
  bump_versions({values, momentum}, extras);
}

void adamw_step(const Tensor& values, const Tensor& first, const Tensor& second,
                const Tensor& gradients, const Tensor& decay_mask, const AdamwOptions& options,
                const StepExtras& extras) {
  check_flat("adamw_step", values, first, "the first moment");
  check_flat("adamw_step", values, second, "the second moment");
  check_flat("adamw_step", values, gradients, "the gradient");
  check_mask("adamw_step", values, decay_mask);
  check_extras("adamw_step", values, extras);
  CHECK(options.step >= 1, "adamw_step: step counts from 1, got ", options.step);
  DISPATCH(values.device(), adamw_step, values, first, second, gradients, decay_mask, options,
           extras);
  bump_versions({values, first, second}, extras);
}

void average_step(const Tensor& average, const Tensor& values, double decay) {
  check_flat("average_step", average, values, "the values");
  CHECK(decay >= 0 && decay <= 1, "average_step: decay must be in [0, 1], got ", decay);
  DISPATCH(average.device(), average_step, average, values, decay);
  average.bump_version();
}

Tensor clip_scale(const Tensor& gradients, double most) {
  CHECK(most > 0, "clip_scale: the largest norm must be positive, got ", most);
  const Tensor scale = Tensor::empty({2}, DType::f64, gradients.device());
  DISPATCH(gradients.device(), clip_scale, scale, gradients, most);
  return scale;
}

double norm_of(const Tensor& vector) { return clip_scale(vector, HUGE_VAL).values().front(); }

}  // namespace passband
