// Rates by the layer, for batches of thousands: LARS (You, Gitman, Ginsburg 2017, arXiv 1708.03888)
// and LAMB (You et al., ICLR 2020), which scale the step of each tensor by the norm of its weights.
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

struct LarsOptions {
  double momentum = 0.9;
  double weight_decay = 0;  // L2: added to the gradient
  double trust = 1e-3;      // the coefficient eta
};

// One step of a tensor `w` with momentum `m` and gradient `g`, all of one shape, as timm's Lars:
//   d = r (g + weight_decay w),   r = trust |w| / (|g| + weight_decay |w| + 1e-8)
//   m = momentum m + d;   w -= rate m
// r is 1 where |w| or |g| is 0. `rate` is one number of w's type where w lives, read by the device.
void lars_step(Tensor w, Tensor m, const Tensor& g, const Tensor& rate, const LarsOptions& options);

struct LambOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-6;
  double weight_decay = 0;  // decoupled; LAMB adapts only what it decays
};

// One step with the moments of AdamW, as timm's Lamb without a norm of its own to clip to:
//   u = (first / (1 - beta1^t)) / (sqrt(second / (1 - beta2^t)) + eps) + weight_decay w
//   w -= lr r u,   r = |w| / |u|,  or 1 where one of both is 0
// `rates` are those of AdamW's step (tensor/ops/training/optimizer.h), f64 where w lives.
void lamb_step(Tensor w, Tensor first, Tensor second, const Tensor& g, const Tensor& rates,
               const LambOptions& options);

}  // namespace passband
