// Normalisation layers. Statistics, gamma and beta are f32 also for bf16 activations (f64 for f64).
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

struct BatchNormOptions {
  bool training = true;
  double momentum = 0.1;  // running = (1 - momentum) * running + momentum * batch
  double eps = 1e-5;
  bool relu = false;  // fused: y = relu(norm(x) [+ residual])
  // In training: mean and variance of the batches of all processes (tensor/core/collective.h), and
  // dx with what their losses say. dgamma and dbeta stay those of this one.
  bool synchronised = false;
};

// y = gamma * (x - mean) / sqrt(var + eps) + beta over all but the last dimension, plus `residual`
// when given, then relu when asked: one pass over memory for statistics, one for the result.
// `running_mean` and `running_var` (unbiased) are updated in place when training, where they may be
// undefined, and read when not.
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor running_mean,
                  Tensor running_var, const BatchNormOptions& options = {},
                  const Tensor& residual = {});

// Over the last dimension.
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps = 1e-6);
// x (N, H, W, C): over H, W and each of `groups` blocks of channels.
Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, int64_t groups,
                  double eps = 1e-5);

}  // namespace passband
