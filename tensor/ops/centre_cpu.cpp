// CPU centring of matrices: one matrix after the other in the cache, several side by side; sums in
// f64.
#include <vector>

#include "tensor/cpu/loops.h"
#include "tensor/ops/centre_kernels.h"

LEVEL_BEGIN
namespace {

template <class T> void centre_one(T* y, const T* x, int64_t n, const Centring& by) {
  std::vector<double> rows(static_cast<size_t>(n)), columns(static_cast<size_t>(n));
  double total = 0;
  for (int64_t i = 0; i < n; ++i) {
    double row = row_sum<Accumulate<T>>(n, [=](int64_t j) { return widen(x[i * n + j]); });
#pragma omp simd
    for (int64_t j = 0; j < n; ++j)
      columns[static_cast<size_t>(j)] += static_cast<double>(widen(x[i * n + j]));
    if (by.hollow) {
      const auto own = static_cast<double>(widen(x[i * n + i]));
      row -= own;
      columns[static_cast<size_t>(i)] -= own;
    }
    rows[static_cast<size_t>(i)] = row;
    total += row;
  }
  for (int64_t i = 0; i < n; ++i) {
    const double of_row = by.margin * rows[static_cast<size_t>(i)] - by.total * total;
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const double value = static_cast<double>(widen(x[i * n + j]));
      store(y[i * n + j], static_cast<Accumulate<T>>(
                              value - (of_row + by.margin * columns[static_cast<size_t>(j)])));
    }
    if (by.hollow) store(y[i * n + i], Accumulate<T>(0));
  }
}

}  // namespace

void centre(Tensor y, const Tensor& x, int64_t n, const Centring& centring) {
  dispatch_floating(x.dtype(), "centre", [&]<class T>() {
    parallel_for(x.numel() / (n * n), grain_for(n * n), [&](int64_t begin, int64_t end) {
      for (int64_t m = begin; m < end; ++m)
        centre_one(y.data<T>() + m * n * n, x.data<T>() + m * n * n, n, centring);
    });
  });
}

LEVEL_END
