// Checks of the optimiser steps.
#include "tensor/ops/training/optimizer.h"

#include <cmath>

#include "tensor/ops/training/optimizer_kernels.h"

namespace passband {
namespace {

constexpr int64_t kRates = sizeof(StepRates) / sizeof(double);

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

void check_rates(const char* op, Device device, const Tensor& rates) {
  CHECK(!rates ||
            (rates.dtype() == DType::f64 && rates.numel() == kRates && rates.device() == device),
        op, ": the rates are ", rates, ", they must come from empty_rates on ", device.str());
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
  check_rates(op, values.device(), extras.rates);
}

void bump_versions(std::vector<Tensor> changed, StepExtras& extras) {
  for (Tensor& tensor : changed) tensor.bump_version();
  if (extras.average) extras.average.bump_version();
  if (extras.half) extras.half.bump_version();
}

}  // namespace

void sgd_step(Tensor values, Tensor momentum, const Tensor& gradients, const Tensor& decay_mask,
              const SgdOptions& options, StepExtras extras) {
  check_flat("sgd_step", values, momentum, "the momentum");
  check_flat("sgd_step", values, gradients, "the gradient");
  check_mask("sgd_step", values, decay_mask);
  check_extras("sgd_step", values, extras);
  DISPATCH(values.device(), sgd_step, values, momentum, gradients, decay_mask, options, extras);
  bump_versions({values, momentum}, extras);
}

void adamw_step(Tensor values, Tensor first, Tensor second, const Tensor& gradients,
                const Tensor& decay_mask, const AdamwOptions& options, StepExtras extras) {
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

void average_step(Tensor average, const Tensor& values, double decay, const Tensor& rates) {
  check_flat("average_step", average, values, "the values");
  check_rates("average_step", values.device(), rates);
  CHECK(decay >= 0 && decay <= 1, "average_step: decay must be in [0, 1], got ", decay);
  DISPATCH(average.device(), average_step, average, values, decay, rates);
  average.bump_version();
}

Tensor empty_rates(Device device) { return Tensor::empty({kRates}, DType::f64, device); }

void set_rates(Tensor rates, const SgdOptions& options, double average_decay) {
  DISPATCH(rates.device(), set_rates, rates, rates_of(options, average_decay));
}

void set_rates(Tensor rates, const AdamwOptions& options, double average_decay) {
  CHECK(options.step >= 1, "adamw_step: step counts from 1, got ", options.step);
  DISPATCH(rates.device(), set_rates, rates, rates_of(options, average_decay));
}

Tensor clip_scale(const Tensor& gradients, double most) {
  CHECK(most > 0, "clip_scale: the largest norm must be positive, got ", most);
  Tensor scale = Tensor::empty({2}, DType::f64, gradients.device());
  DISPATCH(gradients.device(), clip_scale, scale, gradients, most);
  return scale;
}

double norm_of(const Tensor& vector) { return clip_scale(vector, HUGE_VAL).values().front(); }

}  // namespace passband
