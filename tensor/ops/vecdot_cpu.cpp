// CPU inner products: rows side by side, long rows in blocks of a fixed size.
#include <vector>

#include "tensor/cpu/loops.h"
#include "tensor/ops/vecdot_kernels.h"

LEVEL_BEGIN
namespace {

template <class T> double dot_block(const T* a, const T* b, int64_t n) {
  return static_cast<double>(
      block_sum<Accumulate<T>>(n, [=](int64_t i) { return widen(a[i]) * widen(b[i]); }));
}

}  // namespace

void vecdot(Tensor y, const Tensor& a, const Tensor& b) {
  const int64_t n = a.size(-1), rows = y.numel(), periods = b.shape().without(-1).numel();
  const int64_t blocks = std::max<int64_t>(1, (n + kBlock - 1) / kBlock);
  dispatch_floating(a.dtype(), "vecdot", [&]<class T>() {
    const T *left = a.data<T>(), *right = b.data<T>();
    std::vector<double> partial(static_cast<size_t>(rows * blocks));
    parallel_for(rows * blocks, grain_for(std::min(n, kBlock)), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t row = task / blocks, start = task % blocks * kBlock;
        partial[static_cast<size_t>(task)] = dot_block(
            left + row * n + start, right + row % periods * n + start, std::min(kBlock, n - start));
      }
    });
    for (int64_t row = 0; row < rows; ++row) {
      double total = 0;
      for (int64_t block = 0; block < blocks; ++block)
        total += partial[static_cast<size_t>(row * blocks + block)];
      store(y.data<T>()[row], static_cast<Accumulate<T>>(total));
    }
  });
}

LEVEL_END
