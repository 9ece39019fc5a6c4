// CPU cross-entropy. Loss terms are f64 per row and summed in row order.
#include <vector>

#include "tensor/cpu/loops.h"
#include "tensor/ops/cross_entropy_kernels.h"
#include "tensor/ops/pointwise_math.h"

LEVEL_BEGIN
namespace {

// max and log sum e^(z - max) of a row.
template <class A> struct RowStatistics { A best, log_total; };

template <class T> RowStatistics<Accumulate<T>> row_statistics(const T* z, int64_t n) {
  using A = Accumulate<T>;
  const A best = row_max<A>(n, [=](int64_t i) { return widen(z[i]); });
  const double total = row_sum<A>(n, [=](int64_t i) { return math::exp(widen(z[i]) - best); });
  return {best, static_cast<A>(std::log(total))};
}

// loss = mean over rows of term(row, its logits), a double.
template <class T, class F> void mean_over_rows(Tensor loss, const Tensor& logits, const F& term) {
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
void cross_entropy(Tensor loss, Tensor gradient, const Tensor& logits, const Tensor& labels,
                   double smoothing) {
  const int64_t n = logits.size(1);
  const int32_t* label = labels.data<int32_t>();
  dispatch_floating(logits.dtype(), "cross_entropy", [&]<class T>() {
    using A = Accumulate<T>;
    T* dz0 = gradient.data_or_null<T>();
    const A scale = static_cast<A>(1.0 / static_cast<double>(logits.size(0)));
    const A everywhere = static_cast<A>(smoothing / static_cast<double>(n)),
            on_label = static_cast<A>(1 - smoothing);
    mean_over_rows<T>(loss, logits, [=](int64_t row, const T* z) {
      const RowStatistics<A> statistics = row_statistics(z, n);
      const A best = statistics.best, log_total = statistics.log_total;
      const int64_t at = label[row];
      if (dz0) {
        T* dz = dz0 + row * n;
#pragma omp simd
        for (int64_t i = 0; i < n; ++i)
          store(dz[i], (math::exp(widen(z[i]) - best - log_total) - everywhere) * scale);
        const A p = math::exp(widen(z[at]) - best - log_total);
        store(dz[at], (p - everywhere - on_label) * scale);
      }
      const double hit = static_cast<double>(widen(z[at]) - best - log_total);
      if (smoothing == 0) return -hit;
      const double all = row_sum<A>(n, [=](int64_t i) { return widen(z[i]) - best; }) -
                         static_cast<double>(n) * static_cast<double>(log_total);
      return -(1 - smoothing) * hit - smoothing / static_cast<double>(n) * all;
    });
  });
}

void soft_cross_entropy(Tensor loss, Tensor gradient, const Tensor& logits, const Tensor& targets) {
  const int64_t n = logits.size(1);
  dispatch_floating(logits.dtype(), "soft_cross_entropy", [&]<class T>() {
    using A = Accumulate<T>;
    const T* t0 = targets.data<T>();
    T* dz0 = gradient.data_or_null<T>();
    const A scale = static_cast<A>(1.0 / static_cast<double>(logits.size(0)));
    mean_over_rows<T>(loss, logits, [=](int64_t row, const T* z) {
      const T* t = t0 + row * n;
      const RowStatistics<A> statistics = row_statistics(z, n);
      const A best = statistics.best, log_total = statistics.log_total;
      if (dz0) {
        T* dz = dz0 + row * n;
        const A mass = static_cast<A>(row_sum<A>(n, [=](int64_t i) { return widen(t[i]); }));
#pragma omp simd
        for (int64_t i = 0; i < n; ++i)
          store(dz[i], (math::exp(widen(z[i]) - best - log_total) * mass - widen(t[i])) * scale);
      }
      return -row_sum<A>(n,
                         [=](int64_t i) { return widen(t[i]) * (widen(z[i]) - best - log_total); });
    });
  });
}

namespace {

// The loss of one row in f64, and its gradient, both times `factor`. A row that is ignored has
// neither.
template <class T> struct LabelLoss {
  using A = Accumulate<T>;
  int64_t n;
  A on_label, everywhere;  // of the target, before class weights
  const A* weights;        // may be null
  double total_weight;

  A weight(int64_t k) const { return weights ? weights[k] : A(1); }

  double operator()(const T* z, T* dz, int64_t label, double factor) const {
    const RowStatistics<A> statistics = row_statistics(z, n);
    const A shift = statistics.best + statistics.log_total;
    const A hit = on_label * weight(label);
    if (dz) {
      const A mass = hit + everywhere * static_cast<A>(total_weight), f = static_cast<A>(factor);
#pragma omp simd
      for (int64_t k = 0; k < n; ++k)
        store(dz[k], (mass * math::exp(widen(z[k]) - shift) - everywhere * weight(k)) * f);
      const A p = math::exp(widen(z[label]) - shift);
      store(dz[label], (mass * p - everywhere * weight(label) - hit) * f);
    }
    double loss = static_cast<double>(hit * (widen(z[label]) - shift));
    if (everywhere != A(0))
      loss +=
          row_sum<A>(n, [&](int64_t k) { return everywhere * weight(k) * (widen(z[k]) - shift); });
    return -loss * factor;
  }
};

}  // namespace

void label_losses(Tensor losses, Tensor gradient, const Tensor& logits, const Tensor& labels,
                  const LabelTargets& targets, const Tensor& divisor) {
  const int64_t n = logits.size(1);
  const int32_t* label = labels.data<int32_t>();
  double* loss = losses.data<double>();
  const double factor = divisor.defined() ? 1 / *divisor.data<double>() : 1;
  dispatch_floating(logits.dtype(), "cross_entropy", [&]<class T>() {
    using A = Accumulate<T>;
    const A* weights = targets.weights.data_or_null<A>();
    const double total =
        weights ? row_sum<A>(n, [=](int64_t k) { return weights[k]; }) : static_cast<double>(n);
    const LabelLoss<T> of_row{n, static_cast<A>(1 - targets.smoothing),
                              static_cast<A>(targets.smoothing / static_cast<double>(n)), weights,
                              total};
    const T* z = logits.data<T>();
    T* dz = gradient.data_or_null<T>();
    parallel_for(logits.size(0), grain_for(n), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        T* const slope = dz ? dz + row * n : nullptr;
        if (targets.ignored != label[row]) {
          loss[row] = of_row(z + row * n, slope, label[row], factor);
          continue;
        }
        loss[row] = 0 * factor;  // NaN where every row is ignored
        if (slope) std::fill_n(slope, n, T(0));
      }
    });
  });
}

void label_weights(Tensor weights, Tensor counted, const Tensor& labels,
                   const LabelTargets& targets, int64_t classes) {
  const int32_t* label = labels.data<int32_t>();
  for (int64_t row = 0; row < labels.numel(); ++row) {
    const bool ignored = targets.ignored == label[row];
    const int32_t at = ignored ? 0 : label[row];
    counted.data<int32_t>()[row] = at;
    double weight = ignored ? 0 : 1;
    if (!ignored && targets.weights.defined() && at >= 0 && at < classes)
      weight = targets.weights.dtype() == DType::f64
                   ? targets.weights.data<double>()[at]
                   : static_cast<double>(targets.weights.data<float>()[at]);
    weights.data<double>()[row] = weight;
  }
}

void scale_gradient(Tensor dlogits, const Tensor& gradient, const Tensor& dloss) {
  const int64_t n = gradient.numel() / dloss.numel();  // elements that share a factor
  dispatch_floating(gradient.dtype(), "cross_entropy", [&]<class T>() {
    const auto* factor = dloss.data<Accumulate<T>>();
    const T* from = gradient.data<T>();
    T* to = dlogits.data<T>();
    parallel_for(gradient.numel(), kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end;) {
        const int64_t stop = std::min(end, (i / n + 1) * n);
        const auto f = factor[i / n];
#pragma omp simd
        for (int64_t k = i; k < stop; ++k) store(to[k], widen(from[k]) * f);
        i = stop;
      }
    });
  });
}

LEVEL_END
