// CPU softmax: each row is read from memory once; bf16 rows are widened into a line of f32 that
// stays in the cache.
#include <vector>

#include "tensor/cpu/loops.h"
#include "tensor/ops/pointwise_math.h"
#include "tensor/ops/softmax_kernels.h"

LEVEL_BEGIN
namespace {

// Calls row(start of the row, line) for all rows; `line` is scratch of one row.
template <class T, class F> void for_rows(const Tensor& x, const F& row) {
  const int64_t n = x.size(-1);
  parallel_for(x.numel() / n, grain_for(n), [&](int64_t begin, int64_t end) {
    std::vector<Accumulate<T>> line(static_cast<size_t>(n));
    for (int64_t r = begin; r < end; ++r) row(r * n, line.data());
  });
}

}  // namespace

void softmax_forward(Tensor y, const Tensor& x) {
  const int64_t n = x.size(-1);
  dispatch_floating(x.dtype(), "softmax", [&]<class T>() {
    using A = Accumulate<T>;
    for_rows<T>(x, [n, x0 = x.data<T>(), y0 = y.data<T>()](int64_t start, A* line) {
      const T* from = x0 + start;
      T* to = y0 + start;
      const A best = row_max<A>(n, [=](int64_t i) { return widen(from[i]); });
      const double total =
          row_sum<A>(n, [=](int64_t i) { return line[i] = math::exp(widen(from[i]) - best); });
      const A scale = static_cast<A>(1.0 / total);
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) store(to[i], line[i] * scale);
    });
  });
}

void softmax_backward(Tensor dx, const Tensor& y, const Tensor& dy) {
  const int64_t n = y.size(-1);
  dispatch_floating(y.dtype(), "softmax", [&]<class T>() {
    using A = Accumulate<T>;
    for_rows<T>(y, [n, y0 = y.data<T>(), dy0 = dy.data<T>(), dx0 = dx.data<T>()](int64_t start,
                                                                                 A*) {
      const T *out = y0 + start, *grad = dy0 + start;
      T* to = dx0 + start;
      const A dot =
          static_cast<A>(row_sum<A>(n, [=](int64_t i) { return widen(grad[i]) * widen(out[i]); }));
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) store(to[i], widen(out[i]) * (widen(grad[i]) - dot));
    });
  });
}

void log_softmax_forward(Tensor y, const Tensor& x) {
  const int64_t n = x.size(-1);
  dispatch_floating(x.dtype(), "log_softmax", [&]<class T>() {
    using A = Accumulate<T>;
    for_rows<T>(x, [n, x0 = x.data<T>(), y0 = y.data<T>()](int64_t start, A*) {
      const T* from = x0 + start;
      T* to = y0 + start;
      const A best = row_max<A>(n, [=](int64_t i) { return widen(from[i]); });
      const A log_total = static_cast<A>(
          std::log(row_sum<A>(n, [=](int64_t i) { return math::exp(widen(from[i]) - best); })));
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) store(to[i], widen(from[i]) - best - log_total);
    });
  });
}

void log_softmax_backward(Tensor dx, const Tensor& y, const Tensor& dy) {
  const int64_t n = y.size(-1);
  dispatch_floating(y.dtype(), "log_softmax", [&]<class T>() {
    using A = Accumulate<T>;
    for_rows<T>(
        y, [n, y0 = y.data<T>(), dy0 = dy.data<T>(), dx0 = dx.data<T>()](int64_t start, A*) {
          const T *out = y0 + start, *grad = dy0 + start;
          T* to = dx0 + start;
          const A total = static_cast<A>(row_sum<A>(n, [=](int64_t i) { return widen(grad[i]); }));
#pragma omp simd
          for (int64_t i = 0; i < n; ++i)
            store(to[i], widen(grad[i]) - math::exp(widen(out[i])) * total);
        });
  });
}

LEVEL_END
