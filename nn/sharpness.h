// SharpnessAscent: the first half of a step of sharpness-aware minimisation, SAM (Foret et al.,
// ICLR 2021): gradients are taken where the loss is largest near the weights, to first order.
#pragma once
#include "nn/parameters.h"

namespace passband {

//   backward(loss());      the gradient g at the weights w
//   sam.climb();           w + rho g / (|g| + 1e-12), gradients zero (their equation 2)
//   backward(loss());      the gradient that counts, with the same random numbers
//   sam.climb_back();      w and running statistics as they were after the first pass, bit for bit
//   optimizer.step();      of any rule
// It keeps nothing from step to step. The host waits for no device.
class SharpnessAscent {
 public:
  // The store, built and on its device, must outlive this.
  SharpnessAscent(ParameterStore& store, double rho);
  void climb();
  void climb_back();

 private:
  ParameterStore& store_;
  double rho_;
  Tensor values_, buffers_;  // as they were
};

}  // namespace passband
