// Element loops that CPU kernels share: load wide, compute in f32 (f64 for f64), round once on
// store.
#pragma once
#include "tensor/core/parallel.h"
#include "tensor/core/tensor.h"
#include "tensor/cpu/level_code.h"

PASSBAND_LEVEL_BEGIN

template <class T> inline Accumulate<T> widen(T value) { return static_cast<Accumulate<T>>(value); }

// to = value, rounded. For bf16 the bits are assigned: GCC vectorises that, but not the copy of a
// struct.
template <class T> inline void store(T& to, Accumulate<T> value) {
  if constexpr (std::is_same_v<T, bf16>) to.bits = bf16(value).bits;
  else to = value;
}

// y[i] = f(x[i]...) for all i, in parallel. Inputs may be the same memory as y: each element is
// read before it is written.
template <class T, class F, class... X>
void map_elements(int64_t n, const F& f, T* y, const X*... x) {
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) store(y[i], f(widen(x[i])...));
  });
}

constexpr int64_t kBlock = 4096;   // elements that one f32 sum takes before it goes to f64
constexpr int64_t kSumLanes = 16;  // independent partial sums, so that a sum fills a vector

// sum of value(i), i < n <= kBlock: kSumLanes interleaved sums, added pairwise. The order of
// additions is written out, so that it does not depend on what the compiler makes of the loop.
template <class A, class F> A block_sum(int64_t n, const F& value) {
  A lane[kSumLanes] = {};
  int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
#pragma omp simd
    for (int64_t j = 0; j < kSumLanes; ++j) lane[j] += value(i + j);
  }
  for (int64_t j = 0; i < n; ++i, ++j) lane[j] += value(i);
  for (int64_t half = kSumLanes / 2; half > 0; half /= 2)
    for (int64_t j = 0; j < half; ++j) lane[j] += lane[j + half];
  return lane[0];
}

// sum of value(i), i < n, in blocks.
template <class A, class F> double row_sum(int64_t n, const F& value) {
  double total = 0;
  for (int64_t start = 0; start < n; start += kBlock)
    total += static_cast<double>(
        block_sum<A>(std::min(kBlock, n - start), [&](int64_t i) { return value(start + i); }));
  return total;
}

// Largest of value(i), i < n, which must be positive; NaN is passed over.
template <class A, class F> A row_max(int64_t n, const F& value) {
  A best = value(0);
#pragma omp simd reduction(max : best)
  for (int64_t i = 1; i < n; ++i) best = std::max(best, value(i));
  return best;
}

PASSBAND_LEVEL_END
