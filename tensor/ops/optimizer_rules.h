// The update formulas of the optimisers, one parameter at a time, written once for the CPU loops
// and the CUDA kernels.
#pragma once
#include <cmath>

#include "tensor/core/dtype.h"
#include "tensor/ops/optimizer.h"

namespace passband {

// State is the momentum.
template <class T> struct SgdRule {
  static constexpr int kStates = 1;
  T lr, momentum, decay;
  T direct, carried;  // w -= lr * (direct * g + carried * m)

  explicit SgdRule(const SgdOptions& o)
      : lr(static_cast<T>(o.lr)),
        momentum(static_cast<T>(o.momentum)),
        decay(static_cast<T>(o.weight_decay)),
        direct(o.nesterov ? T(1) : T(0)),
        carried(o.nesterov ? momentum : T(1)) {}

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
  T rest1, rest2;  // 1 - beta, which f32 would leave with four digits
  T rate;  // lr / (1 - beta1^step)
  T correction;  // 1 / sqrt(1 - beta2^step)
  T shrink;  // lr * weight_decay

  explicit AdamwRule(const AdamwOptions& o)
      : beta1(static_cast<T>(o.beta1)),
        beta2(static_cast<T>(o.beta2)),
        eps(static_cast<T>(o.eps)),
        rest1(static_cast<T>(1 - o.beta1)),
        rest2(static_cast<T>(1 - o.beta2)),
        rate(static_cast<T>(o.lr / (1 - std::pow(o.beta1, static_cast<double>(o.step))))),
        correction(
            static_cast<T>(1 / std::sqrt(1 - std::pow(o.beta2, static_cast<double>(o.step))))),
        shrink(static_cast<T>(o.lr * o.weight_decay)) {}

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
