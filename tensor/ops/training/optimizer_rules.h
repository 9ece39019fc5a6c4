// The update formulas of the optimisers, one parameter at a time, written once for the CPU loops
// and the CUDA kernels.
#pragma once
#include <cmath>

#include "tensor/core/dtype.h"
#include "tensor/ops/training/optimizer.h"

namespace passband {

// What changes from step to step: four f64, as they lie in StepExtras::rates.
struct StepRates {
  double rate = 0;        // lr; of AdamW lr / (1 - beta1^step)
  double correction = 1;  // AdamW: 1 / sqrt(1 - beta2^step)
  double shrink = 0;      // AdamW: lr * weight_decay
  double averaging = 0;   // 1 - decay of the average
};

inline StepRates rates_of(const SgdOptions& o, double average_decay) {
  return {.rate = o.lr, .averaging = 1 - average_decay};
}

inline StepRates rates_of(const AdamwOptions& o, double average_decay) {
  const auto step = static_cast<double>(o.step);
  return {.rate = o.lr / (1 - std::pow(o.beta1, step)),
          .correction = 1 / std::sqrt(1 - std::pow(o.beta2, step)),
          .shrink = o.lr * o.weight_decay,
          .averaging = 1 - average_decay};
}

// State is the momentum.
template <class T> struct SgdRule {
  static constexpr int kStates = 1;
  T lr = 0, momentum, decay;
  T direct, carried;  // w -= lr * (direct * g + carried * m)

  explicit SgdRule(const SgdOptions& o)
      : momentum(static_cast<T>(o.momentum)),
        decay(static_cast<T>(o.weight_decay)),
        direct(o.nesterov ? T(1) : T(0)),
        carried(o.nesterov ? momentum : T(1)) {}

  PASSBAND_HD void set(const StepRates& rates) { lr = static_cast<T>(rates.rate); }

  // The new value of w; `gradient` is scaled already.
  PASSBAND_HD T operator()(T w, T gradient, T mask, T& m) const {
    const T g = gradient + decay * mask * w;
    m = momentum * m + g;
    return w - lr * (direct * g + carried * m);
  }
};

// States are the first and second moment.
template <class T> struct AdamwRule {
  static constexpr int kStates = 2;
  T beta1, beta2, eps;
  T rest1, rest2;                          // 1 - beta, which f32 would leave with four digits
  T rate = 0, correction = 0, shrink = 0;  // as in StepRates

  explicit AdamwRule(const AdamwOptions& o)
      : beta1(static_cast<T>(o.beta1)),
        beta2(static_cast<T>(o.beta2)),
        eps(static_cast<T>(o.eps)),
        rest1(static_cast<T>(1 - o.beta1)),
        rest2(static_cast<T>(1 - o.beta2)) {}

  PASSBAND_HD void set(const StepRates& rates) {
    rate = static_cast<T>(rates.rate);
    correction = static_cast<T>(rates.correction);
    shrink = static_cast<T>(rates.shrink);
  }

  PASSBAND_HD T operator()(T w, T gradient, T mask, T& first, T& second) const {
    first = beta1 * first + rest1 * gradient;
    second = beta2 * second + rest2 * gradient * gradient;
    w -= shrink * mask * w;
    return w - rate * first / (std::sqrt(second) * correction + eps);
  }
};

// One step of a moving average; `rate` is 1 - decay.
template <class T> PASSBAND_HD inline T averaged(T average, T value, T rate) {
  return average + rate * (value - average);
}

// What brings a gradient of this norm down to at most `most`.
PASSBAND_HD inline double clipping_scale(double norm, double most) {
  const double scale = most / (norm + 1e-6);
  return scale < 1 ? scale : 1;
}

}  // namespace passband
