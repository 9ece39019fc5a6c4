// Optimiser steps on the CPU: one pass over the flat vectors, at memory bandwidth.
#include <cmath>
#include <vector>

#include "tensor/ops/optimizer_kernels.h"

namespace passband::cpu {
namespace {

// The parameter vectors are f32, or f64 in checks.
template <class F> void dispatch_parameters(const Tensor& values, const char* op, F&& f) {
  if (values.dtype() == DType::f32) return f.template operator()<float>();
  if (values.dtype() == DType::f64) return f.template operator()<double>();
  throw Error(concat_text(op, ": parameters are f32 or f64, not ", values.describe()));
}

}  // namespace

void sgd_step(const Tensor& values, const Tensor& momentum, const Tensor& gradients, const Tensor& decay_mask,
              const SgdOptions& o) {
  dispatch_parameters(values, "sgd_step", [&]<class T>() {
    T* w = values.data<T>();
    T* m = momentum.data<T>();
    const T* g = gradients.data<T>();
    const float* mask = decay_mask.data<float>();
    const T lr = static_cast<T>(o.lr), mu = static_cast<T>(o.momentum), decay = static_cast<T>(o.weight_decay);
    const T scale = static_cast<T>(o.gradient_scale), look_ahead = o.nesterov ? mu : T(0);
    const T direct = o.nesterov ? T(1) : T(0), carried = o.nesterov ? look_ahead : T(1);
#pragma omp parallel for simd
    for (int64_t i = 0; i < values.numel(); ++i) {
      const T gradient = scale * g[i] + decay * static_cast<T>(mask[i]) * w[i];
      m[i] = mu * m[i] + gradient;
      w[i] -= lr * (direct * gradient + carried * m[i]);
    }
  });
}

void adamw_step(const Tensor& values, const Tensor& first, const Tensor& second, const Tensor& gradients,
                const Tensor& decay_mask, const AdamwOptions& o) {
  dispatch_parameters(values, "adamw_step", [&]<class T>() {
    T* w = values.data<T>();
    T* m = first.data<T>();
    T* v = second.data<T>();
    const T* g = gradients.data<T>();
    const float* mask = decay_mask.data<float>();
    const double step = static_cast<double>(o.step);
    const T b1 = static_cast<T>(o.beta1), b2 = static_cast<T>(o.beta2), eps = static_cast<T>(o.eps);
    const T rate = static_cast<T>(o.lr / (1 - std::pow(o.beta1, step)));
    const T correction = static_cast<T>(1 / std::sqrt(1 - std::pow(o.beta2, step)));
    const T shrink = static_cast<T>(o.lr * o.weight_decay), scale = static_cast<T>(o.gradient_scale);
#pragma omp parallel for simd
    for (int64_t i = 0; i < values.numel(); ++i) {
      const T gradient = scale * g[i];
      m[i] = b1 * m[i] + (1 - b1) * gradient;
      v[i] = b2 * v[i] + (1 - b2) * gradient * gradient;
      w[i] -= shrink * static_cast<T>(mask[i]) * w[i];
      w[i] -= rate * m[i] / (std::sqrt(v[i]) * correction + eps);
    }
  });
}

void average_step(const Tensor& average, const Tensor& values, double decay) {
  dispatch_parameters(values, "average_step", [&]<class T>() {
    T* a = average.data<T>();
    const T* w = values.data<T>();
    const T rate = static_cast<T>(1 - decay);
#pragma omp parallel for simd
    for (int64_t i = 0; i < values.numel(); ++i) a[i] += rate * (w[i] - a[i]);
  });
}

double norm_of(const Tensor& vector) {
  constexpr int64_t kChunk = 4096;  // fixed, so that the sum has the same bits on any thread count
  double total = 0;
  dispatch_parameters(vector, "norm_of", [&]<class T>() {
    const T* x = vector.data<T>();
    const int64_t n = vector.numel(), chunks = (n + kChunk - 1) / kChunk;
    std::vector<double> partial(static_cast<size_t>(chunks));
#pragma omp parallel for
    for (int64_t c = 0; c < chunks; ++c) {
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = c * kChunk; i < std::min(n, (c + 1) * kChunk); ++i) sum += x[i] * x[i];
      partial[static_cast<size_t>(c)] = static_cast<double>(sum);
    }
    for (const double value : partial) total += value;
  });
  return std::sqrt(total);
}

}  // namespace passband::cpu
