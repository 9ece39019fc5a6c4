// The section `hessian`: how sharply is the loss curved, and in how many directions does it bend
// down?
#pragma once
#include <cstdint>

#include "analysis/loss/training_loss.h"

namespace passband {

// How the largest eigenvalues of a minibatch are found.
enum class EigenvalueMethod : uint8_t {
  lanczos,
  power,  // as PyHessian
};

// The width of the spectral density's kernel.
enum class DensityWidth : uint8_t {
  relative,   // a hundredth of the range
  pyhessian,  // see pyhessian_width
};

struct HessianOptions : LossOptions {
  int64_t minibatches = 8, batch = 16, top = 5;
  EigenvalueMethod method = EigenvalueMethod::lanczos;
  int64_t top_steps = 24;
  double tolerance = 0.02;
  bool augment = true;
  int64_t steps = 15, probes = 1, trace_probes = 3;
  DensityWidth kernel = DensityWidth::relative;
};

Section hessian_section(const AnalysisInput& input, const HessianOptions& options);

}  // namespace passband
