// CPU cross-entropy. Loss terms are f64 per row and summed in row order.
#include <vector>

#include "tensor/cpu/loops.h"
#include "tensor/ops/cross_entropy_kernels.h"
#include "tensor/ops/pointwise_math.h"

namespace passband::cpu {
namespace {

// max and log sum e^(z - max) of a row.
template <class A> struct RowStatistics {
  A best, log_total;
};

template <class T> RowStatistics<Accumulate<T>> row_statistics(const T* z, int64_t n) {
  using A = Accumulate<T>;
  const A best = row_max<A>(n, [=](int64_t i) { return widen(z[i]); });
  const double total = row_sum<A>(n, [=](int64_t i) { return math::exp(widen(z[i]) - best); });
  return {best, static_cast<A>(std::log(total))};
}

// loss = mean over rows of term(row, its logits), a double.
template <class T, class F>
void mean_over_rows(const Tensor& loss, const Tensor& logits, const F& term) {
  const int64_t rows = logits.size(0), n = logits.size(1);
  const T* z = logits.data<T>();
  std::vector<double> terms(static_cast<size_t>(rows));
  parallel_for(rows, grain_for(n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      terms[static_cast<size_t>(row)] = term(row, z + row * n);
  });
  double total = 0;
  for (const double value : terms) total += value;
  *loss.data<Accumulate<T>>() = static_cast<Accumulate<T>>(total / static_cast<double>(rows));
}

}  // namespace

// -sum_k t_k (z_k - max - log total) with t = (1 - s) one_hot + s / n.
void cross_entropy_forward(const Tensor& loss, const Tensor& logits, const Tensor& labels,
                           double smoothing) {
  const int64_t n = logits.size(1);
  const int32_t* label = labels.data<int32_t>();
  dispatch_floating(logits.dtype(), "cross_entropy", [&]<class T>() {
    using A = Accumulate<T>;
    mean_over_rows<T>(loss, logits, [=](int64_t row, const T* z) {
      const auto [best, log_total] = row_statistics(z, n);
      const double hit = static_cast<double>(widen(z[label[row]]) - best - log_total);
      if (smoothing == 0) return -hit;
      const A least = best;
      const double all = row_sum<A>(n, [=](int64_t i) { return widen(z[i]) - least; }) -
                         static_cast<double>(n) * static_cast<double>(log_total);
      return -(1 - smoothing) * hit - smoothing / static_cast<double>(n) * all;
    });
  });
}

void cross_entropy_backward(const Tensor& dlogits, const Tensor& logits, const Tensor& labels,
                            const Tensor& dloss, double smoothing) {
  const int64_t rows = logits.size(0), n = logits.size(1);
  const int32_t* label = labels.data<int32_t>();
  dispatch_floating(logits.dtype(), "cross_entropy", [&]<class T>() {
    using A = Accumulate<T>;
    const T* z0 = logits.data<T>();
    T* dz0 = dlogits.data<T>();
    const A scale = *dloss.data<A>() / static_cast<A>(rows);
    const A everywhere = static_cast<A>(smoothing / static_cast<double>(n)),
            hit = static_cast<A>(1 - smoothing);
    parallel_for(rows, grain_for(n), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* z = z0 + row * n;
        T* dz = dz0 + row * n;
        const auto statistics = row_statistics(z, n);
        const A shift = statistics.best + statistics.log_total;
#pragma omp simd
        for (int64_t i = 0; i < n; ++i)
          store(dz[i], (math::exp(widen(z[i]) - shift) - everywhere) * scale);
        const int64_t at = label[row];
        store(dz[at], (math::exp(widen(z[at]) - shift) - everywhere - hit) * scale);
      }
    });
  });
}

void soft_cross_entropy_forward(const Tensor& loss, const Tensor& logits, const Tensor& targets) {
  const int64_t n = logits.size(1);
  dispatch_floating(logits.dtype(), "soft_cross_entropy", [&]<class T>() {
    using A = Accumulate<T>;
    const T* t0 = targets.data<T>();
    mean_over_rows<T>(loss, logits, [=](int64_t row, const T* z) {
      const T* t = t0 + row * n;
      const auto statistics = row_statistics(z, n);
      const A best = statistics.best, log_total = statistics.log_total;
      return -row_sum<A>(n,
                         [=](int64_t i) { return widen(t[i]) * (widen(z[i]) - best - log_total); });
    });
  });
}

void soft_cross_entropy_backward(const Tensor& dlogits, const Tensor& dtargets,
                                 const Tensor& logits, const Tensor& targets, const Tensor& dloss) {
  const int64_t rows = logits.size(0), n = logits.size(1);
  dispatch_floating(logits.dtype(), "soft_cross_entropy", [&]<class T>() {
    using A = Accumulate<T>;
    const T *z0 = logits.data<T>(), *t0 = targets.data<T>();
    T *dz0 = dlogits.data<T>(), *dt0 = dtargets.defined() ? dtargets.data<T>() : nullptr;
    const A scale = *dloss.data<A>() / static_cast<A>(rows);
    parallel_for(rows, grain_for(n), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T *z = z0 + row * n, *t = t0 + row * n;
        T* dz = dz0 + row * n;
        const auto statistics = row_statistics(z, n);
        const A best = statistics.best, log_total = statistics.log_total;
        const A mass = static_cast<A>(row_sum<A>(n, [=](int64_t i) { return widen(t[i]); }));
#pragma omp simd
        for (int64_t i = 0; i < n; ++i)
          store(dz[i], (math::exp(widen(z[i]) - best - log_total) * mass - widen(t[i])) * scale);
        if (!dt0) continue;
        for (int64_t i = 0; i < n; ++i)
          store(dt0[row * n + i], (best + log_total - widen(z[i])) * scale);
      }
    });
  });
}

}  // namespace passband::cpu
