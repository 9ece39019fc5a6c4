// Optimiser steps on the CPU: one pass over the flat vectors, at memory bandwidth.
#include <vector>

#include "tensor/cpu/loops.h"
#include "tensor/ops/training/optimizer_kernels.h"

LEVEL_BEGIN
namespace {

// The parameter vectors are f32, or f64 in checks.
template <class F> void dispatch_parameters(const Tensor& values, const char* op, F&& f) {
  if (values.dtype() == DType::f32) return f.template operator()<float>();
  if (values.dtype() == DType::f64) return f.template operator()<double>();
  throw Error(concat_text(op, ": parameters are f32 or f64, not ", values.describe()));
}

double scale_of(double gradient_scale, StepExtras extras) {
  return extras.scale ? gradient_scale * extras.scale.data<double>()[1] : gradient_scale;
}

StepRates chosen_rates(const Tensor& rates, const StepRates& of_options) {
  if (!rates) return of_options;
  const double* r = rates.data<double>();
  return {r[0], r[1], r[2], r[3]};
}

// w = update(i, scaled gradient, mask) for all i, then what else a step does, while a piece is in
// the cache.
template <class T, class F>
void update_values(Tensor values, const Tensor& gradients, const Tensor& decay_mask, double scale,
                   StepExtras extras, double averaging, const F& update) {
  T* w = values.data<T>();
  const T* g = gradients.data<T>();
  const float* mask = decay_mask.data<float>();
  T* average = extras.average.data_or_null<T>();
  bf16* half = extras.half.data_or_null<bf16>();
  const T factor = static_cast<T>(scale), rate = static_cast<T>(averaging);
  constexpr int64_t kPiece = 2048;
  const int64_t n = values.numel(), pieces = (n + kPiece - 1) / kPiece;
  parallel_for(pieces, grain_for(kPiece), [=, &update](int64_t first, int64_t last) {
    for (int64_t piece = first; piece < last; ++piece) {
      const int64_t begin = piece * kPiece, end = std::min(n, begin + kPiece);
#pragma omp simd
      for (int64_t i = begin; i < end; ++i)
        w[i] = update(i, w[i], factor * g[i], static_cast<T>(mask[i]));
      if (average) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) average[i] = averaged(average[i], w[i], rate);
      }
      if (half) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) store(half[i], static_cast<float>(w[i]));
      }
    }
  });
}

}  // namespace

void sgd_step(Tensor values, Tensor momentum, const Tensor& gradients, const Tensor& decay_mask,
              const SgdOptions& options, StepExtras extras) {
  dispatch_parameters(values, "sgd_step", [&]<class T>() {
    const StepRates rates = chosen_rates(extras.rates, rates_of(options, extras.average_decay));
    SgdRule<T> rule(options);
    rule.set(rates);
    T* m = momentum.data<T>();
    update_values<T>(values, gradients, decay_mask, scale_of(options.gradient_scale, extras),
                     extras, rates.averaging, [=](int64_t i, T w, T gradient, T mask) {
                       return rule(w, gradient, mask, m[i]);
                     });
  });
}

void adamw_step(Tensor values, Tensor first, Tensor second, const Tensor& gradients,
                const Tensor& decay_mask, const AdamwOptions& options, StepExtras extras) {
  dispatch_parameters(values, "adamw_step", [&]<class T>() {
    const StepRates rates = chosen_rates(extras.rates, rates_of(options, extras.average_decay));
    AdamwRule<T> rule(options);
    rule.set(rates);
    T *m = first.data<T>(), *v = second.data<T>();
    update_values<T>(values, gradients, decay_mask, scale_of(options.gradient_scale, extras),
                     extras, rates.averaging, [=](int64_t i, T w, T gradient, T mask) {
                       return rule(w, gradient, mask, m[i], v[i]);
                     });
  });
}

void average_step(Tensor average, const Tensor& values, double decay, const Tensor& rates) {
  dispatch_parameters(values, "average_step", [&]<class T>() {
    const T rate = static_cast<T>(rates ? rates.data<double>()[3] : 1 - decay);
    map_elements(
        values.numel(), [rate](T a, T w) { return averaged(a, w, rate); }, average.data<T>(),
        static_cast<const T*>(average.data<T>()), static_cast<const T*>(values.data<T>()));
  });
}

void clip_scale(Tensor scale, const Tensor& gradients, double most) {
  double total = 0;
  dispatch_parameters(gradients, "clip_scale", [&]<class T>() {
    const T* x = gradients.data<T>();
    const int64_t n = gradients.numel(), blocks = (n + kBlock - 1) / kBlock;
    std::vector<double> partial(static_cast<size_t>(blocks));
    parallel_for(blocks, grain_for(kBlock), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b)
        partial[static_cast<size_t>(b)] =
            static_cast<double>(block_sum<T>(std::min(kBlock, n - b * kBlock), [=](int64_t i) {
              return x[b * kBlock + i] * x[b * kBlock + i];
            }));
    });
    for (const double value : partial) total += value;
  });
  scale.data<double>()[0] = std::sqrt(total);
  scale.data<double>()[1] = clipping_scale(std::sqrt(total), most);
}

void set_rates(Tensor rates, const StepRates& values) {
  double* r = rates.data<double>();
  r[0] = values.rate, r[1] = values.correction, r[2] = values.shrink, r[3] = values.averaging;
}

LEVEL_END
