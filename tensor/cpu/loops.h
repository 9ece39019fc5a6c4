// Element loops that CPU kernels share: load wide, compute in f32 (f64 for f64), round once on store.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/parallel.h"

namespace passband::cpu {

template <class T> inline Accumulate<T> widen(T value) { return static_cast<Accumulate<T>>(value); }

// y[i] = f(x[i]...) for all i, in parallel. Inputs may be the same memory as y: each element is read before it is written.
template <class T, class F, class... X> void map_elements(int64_t n, const F& f, T* y, const X*... x) {
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) y[i] = static_cast<T>(f(widen(x[i])...));
  });
}

}  // namespace passband::cpu
