// Interpolation along one axis on the CPU: weighted sums of whole rows, a stretch of columns at a
// time.
#include "tensor/cpu/loops.h"
#include "tensor/ops/interpolate_kernels.h"

LEVEL_BEGIN

void apply_band(Tensor y, const Tensor& x, const Tensor& start, const Tensor& weights,
                const BandShape& s) {
  constexpr int64_t kStretch = 256;  // columns whose sums stay in the first-level cache
  const int32_t* first = start.data<int32_t>();
  dispatch_floating(x.dtype(), "interpolate", [&]<class T>() {
    using A = Accumulate<T>;
    const T* from = x.data<T>();
    const A* weight = weights.data<A>();
    T* to = y.data<T>();
    parallel_for(s.outer * s.outputs, grain_for(s.inner * s.width),
                 [=](int64_t begin, int64_t end) {
                   A sums[kStretch];
                   for (int64_t row = begin; row < end; ++row) {
                     const int64_t i = row % s.outputs;
                     const T* source = from + (row / s.outputs * s.inputs + first[i]) * s.inner;
                     for (int64_t c0 = 0; c0 < s.inner; c0 += kStretch) {
                       const int64_t count = std::min(kStretch, s.inner - c0);
                       std::fill_n(sums, count, A(0));
                       for (int64_t k = 0; k < s.width; ++k) {
                         const A w = weight[i * s.width + k];
                         const T* line = source + k * s.inner + c0;
#pragma omp simd
                         for (int64_t c = 0; c < count; ++c) sums[c] += w * widen(line[c]);
                       }
                       for (int64_t c = 0; c < count; ++c)
                         store(to[row * s.inner + c0 + c], sums[c]);
                     }
                   }
                 });
  });
}

LEVEL_END
