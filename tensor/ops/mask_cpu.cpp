// Comparisons and choices on the CPU, by runs of the last loop.
#include "tensor/cpu/loops.h"
#include "tensor/ops/mask_kernels.h"

LEVEL_BEGIN
namespace {

// Calls f(element, row, column, count) for runs of the last loop, `width` long, that cover n
// elements: `count` of them from (row, column) on.
template <class F> void for_runs(int64_t n, int64_t width, F&& f) {
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end;) {
      const int64_t row = i / width, column = i - row * width,
                    count = std::min(width - column, end - i);
      f(i, row, column, count);
      i += count;
    }
  });
}

template <class T> void compare_elements(uint8_t* mask, const T* a, const T* b, int64_t n,
                                         const Broadcast& loops, Comparison comparison) {
  const auto last = static_cast<size_t>(loops.rank - 1);
  const int64_t step_a = loops.a[last], step_b = loops.b[last];
  for_runs(n, loops.size[last], [&](int64_t i, int64_t row, int64_t column, int64_t count) {
    const T* left = a + loops.row_offset(loops.a, row) + column * step_a;
    const T* right = b + loops.row_offset(loops.b, row) + column * step_b;
    for (int64_t k = 0; k < count; ++k)
      mask[i + k] = holds(comparison, static_cast<Compared<T>>(left[k * step_a]),
                          static_cast<Compared<T>>(right[k * step_b]));
  });
}

}  // namespace

void compare(Tensor mask, const Tensor& a, const Tensor& b, const Broadcast& loops,
             Comparison comparison) {
  dispatch_any(a.dtype(), [&]<class T>() {
    compare_elements(mask.data<uint8_t>(), a.data<T>(), b.data<T>(), mask.numel(), loops,
                     comparison);
  });
}

void choose(Tensor y, const Tensor& mask, const Tensor& a, const Tensor& b,
            const ChoiceLoops& loops) {
  const auto last = static_cast<size_t>(loops.rank - 1);
  const int64_t step_mask = loops.mask[last], step_a = loops.a[last], step_b = loops.b[last];
  const uint8_t* chooses = mask.data<uint8_t>();
  dispatch_width(y.dtype(), [&]<class T>() {
    const T *left = static_cast<const T*>(a.raw()), *right = static_cast<const T*>(b.raw());
    T* to = static_cast<T*>(y.raw());
    for_runs(y.numel(), loops.size[last], [&](int64_t i, int64_t row, int64_t column, int64_t n) {
      const uint8_t* m = chooses + loops.row_offset(loops.mask, row) + column * step_mask;
      const T* p = left + loops.row_offset(loops.a, row) + column * step_a;
      const T* q = right + loops.row_offset(loops.b, row) + column * step_b;
      for (int64_t k = 0; k < n; ++k) to[i + k] = m[k * step_mask] ? p[k * step_a] : q[k * step_b];
    });
  });
}

LEVEL_END
