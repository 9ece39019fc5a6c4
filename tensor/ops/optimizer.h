// Updates of the flat parameter vector, each in one pass over memory. Not differentiable; bump the version.
// All tensors are flat, of one length and type (f32 or f64); `decay_mask` is f32: weight decay counts where it is 1.
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

struct SgdOptions {
  double lr = 0.1;
  double momentum = 0.9;
  double weight_decay = 0;   // L2: added to the gradient (PyTorch's SGD)
  bool nesterov = false;
  double gradient_scale = 1; // of every gradient first (clipping)
};

// g = scale * gradient + weight_decay * w;  m = momentum * m + g;  w -= lr * (nesterov ? g + momentum * m : m)
void sgd_step(const Tensor& values, const Tensor& momentum, const Tensor& gradients, const Tensor& decay_mask,
              const SgdOptions& options);

struct AdamwOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;   // decoupled (Loshchilov and Hutter, ICLR 2019): w -= lr * weight_decay * w
  int64_t step = 1;          // counts from 1, for the bias corrections
  double gradient_scale = 1;
};

void adamw_step(const Tensor& values, const Tensor& first, const Tensor& second, const Tensor& gradients,
                const Tensor& decay_mask, const AdamwOptions& options);

// average = decay * average + (1 - decay) * values
void average_step(const Tensor& average, const Tensor& values, double decay);

// Euclidean norm, summed in f64 in a fixed order.
double norm_of(const Tensor& vector);

}  // namespace passband
