// Updates of the flat parameter vector, each in one pass over memory. Not differentiable; bump the
// version. All tensors are flat, of one length and type (f32 or f64); `decay_mask` is f32: weight
// decay counts where it is 1.
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

// What a step does in the same pass besides; each part is left out when undefined.
struct StepExtras {
  Tensor scale;    // of clip_scale: gradients are multiplied by scale[1], read where they live
  Tensor average;  // average = decay * average + (1 - decay) * new values
  double average_decay = 0;
  Tensor half;  // bf16: gets the new values
  // Of empty_rates: what set_rates has put there counts instead of lr and step of the options and
  // of average_decay, so that a recorded step, launched again, takes the rates of that launch.
  Tensor rates;
};

struct SgdOptions {
  double lr = 0.1;
  double momentum = 0.9;
  double weight_decay = 0;  // L2: added to the gradient (PyTorch's SGD)
  bool nesterov = false;
  double gradient_scale = 1;  // of every gradient first
};

// g = scale * gradient + weight_decay * w;  m = momentum * m + g;  w -= lr * (nesterov ? g +
// momentum * m : m)
void sgd_step(Tensor values, Tensor momentum, const Tensor& gradients, const Tensor& decay_mask,
              const SgdOptions& options, StepExtras extras = {});

struct AdamwOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  // decoupled (Loshchilov and Hutter, ICLR 2019): w -= lr * weight_decay * w
  double weight_decay = 0;
  int64_t step = 1;  // counts from 1, for the bias corrections
  double gradient_scale = 1;
};

void adamw_step(Tensor values, Tensor first, Tensor second, const Tensor& gradients,
                const Tensor& decay_mask, const AdamwOptions& options, StepExtras extras = {});

// average = decay * average + (1 - decay) * values; with `rates`, by the decay that they hold.
void average_step(Tensor average, const Tensor& values, double decay, const Tensor& rates = {});

// The numbers of an update that change from step to step, as f64 [4] on a device.
Tensor empty_rates(Device device);
// Sets them for the work given to the device from now on, without waiting for it.
void set_rates(Tensor rates, const SgdOptions& options, double average_decay = 0);
void set_rates(Tensor rates, const AdamwOptions& options, double average_decay = 0);

// f64 [2] where the gradients live: their Euclidean norm, summed in f64 in a fixed order, and what
// scales them to at most `most`, min(1, most / (norm + 1e-6)) as in PyTorch's clip_grad_norm_. Does
// not wait for the device.
Tensor clip_scale(const Tensor& gradients, double most);

// The norm alone, on the host.
double norm_of(const Tensor& vector);

}  // namespace passband
