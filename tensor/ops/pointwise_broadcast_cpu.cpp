// CPU loops of pointwise operations on two operands that broadcast.
#include "tensor/cpu/loops.h"
#include "tensor/ops/pointwise_kernels.h"

LEVEL_BEGIN
namespace {

// One row of the result; StepA and StepB say whether the operand moves along it.
template <bool StepA, bool StepB, class T, class F>
void zip_row(int64_t n, const F& f, T* y, const T* a, const T* b) {
  if constexpr (StepA && StepB) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) store(y[i], f(widen(a[i]), widen(b[i])));
  } else if constexpr (StepA) {
    const auto right = widen(*b);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) store(y[i], f(widen(a[i]), right));
  } else {
    const auto left = widen(*a);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) store(y[i], f(left, widen(b[i])));
  }
}

template <bool StepA, bool StepB, class T, class F>
void zip_rows(T* y, const T* a, const T* b, int64_t n, const Broadcast& loops, const F& f) {
  const int64_t width = loops.size[static_cast<size_t>(loops.rank - 1)];
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end;) {
      const int64_t row = i / width, column = i - row * width;
      const T *left = a + loops.row_offset(loops.a, row),
              *right = b + loops.row_offset(loops.b, row);
      const int64_t count = std::min(width - column, end - i);
      zip_row<StepA, StepB>(count, f, y + i, left + (StepA ? column : 0),
                            right + (StepB ? column : 0));
      i += count;
    }
  });
}

}  // namespace

template <class F>
void broadcast_zip(Tensor y, const Tensor& a, const Tensor& b, const Broadcast& loops, const F& f) {
  const auto last = static_cast<size_t>(loops.rank - 1);
  dispatch_floating(y.dtype(), "pointwise", [&]<class T>() {
    T* to = y.data<T>();
    const T *left = a.data<T>(), *right = b.data<T>();
    if (loops.a[last] == 0) return zip_rows<false, true, T>(to, left, right, y.numel(), loops, f);
    if (loops.b[last] == 0) return zip_rows<true, false, T>(to, left, right, y.numel(), loops, f);
    zip_rows<true, true, T>(to, left, right, y.numel(), loops, f);
  });
}

#define INSTANTIATE_BROADCAST_ZIP(F)                                                         \
  template void broadcast_zip<fn::F>(Tensor, const Tensor&, const Tensor&, const Broadcast&, \
                                     const fn::F&);

INSTANTIATE_BROADCAST_ZIP(Add)
INSTANTIATE_BROADCAST_ZIP(Sub)
INSTANTIATE_BROADCAST_ZIP(Mul)
INSTANTIATE_BROADCAST_ZIP(Div)
INSTANTIATE_BROADCAST_ZIP(Maximum)
INSTANTIATE_BROADCAST_ZIP(Minimum)
INSTANTIATE_BROADCAST_ZIP(GreaterEqual)
INSTANTIATE_BROADCAST_ZIP(Greater)
INSTANTIATE_BROADCAST_ZIP(LessEqual)
INSTANTIATE_BROADCAST_ZIP(Less)

LEVEL_END
