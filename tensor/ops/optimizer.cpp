// Checks of the optimiser steps.
#include "tensor/ops/optimizer.h"

#include "tensor/ops/optimizer_kernels.h"

namespace passband {
namespace {

void check_flat(const char* op, const Tensor& values, const Tensor& other, const char* what) {
  CHECK(other.numel() == values.numel() && other.dtype() == values.dtype(), op, ": ", what, " is ", other,
        ", the values are ", values);
}

void check_mask(const char* op, const Tensor& values, const Tensor& mask) {
  CHECK(mask.numel() == values.numel() && mask.dtype() == DType::f32, op, ": the decay mask is ", mask,
        ", it must be f32 of the length of ", values);
}

}  // namespace

void sgd_step(const Tensor& values, const Tensor& momentum, const Tensor& gradients, const Tensor& decay_mask,
              const SgdOptions& options) {
  check_flat("sgd_step", values, momentum, "the momentum");
  check_flat("sgd_step", values, gradients, "the gradient");
  check_mask("sgd_step", values, decay_mask);
  DISPATCH(values.device(), sgd_step, values, momentum, gradients, decay_mask, options);
  values.bump_version();
  momentum.bump_version();
}

void adamw_step(const Tensor& values, const Tensor& first, const Tensor& second, const Tensor& gradients,
                const Tensor& decay_mask, const AdamwOptions& options) {
  check_flat("adamw_step", values, first, "the first moment");
  check_flat("adamw_step", values, second, "the second moment");
  check_flat("adamw_step", values, gradients, "the gradient");
  check_mask("adamw_step", values, decay_mask);
  CHECK(options.step >= 1, "adamw_step: step counts from 1, got ", options.step);
  DISPATCH(values.device(), adamw_step, values, first, second, gradients, decay_mask, options);
  values.bump_version();
  first.bump_version();
  second.bump_version();
}

void average_step(const Tensor& average, const Tensor& values, double decay) {
  check_flat("average_step", average, values, "the values");
  CHECK(decay >= 0 && decay <= 1, "average_step: decay must be in [0, 1], got ", decay);
  DISPATCH(average.device(), average_step, average, values, decay);
  average.bump_version();
}

double norm_of(const Tensor& vector) {
#ifdef PASSBAND_HAS_CUDA
  if (vector.device().is_cuda()) return cuda::norm_of(vector);
#endif
  return cpu::norm_of(vector);
}

}  // namespace passband
