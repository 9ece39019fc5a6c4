// CPU dropout: the mask is computed where it is used, a vector of Philox blocks at a time.
#include "tensor/cpu/loops.h"
#include "tensor/ops/dropout_kernels.h"

LEVEL_BEGIN
namespace {

constexpr int64_t kBlocks = 16;         // Philox blocks computed together
constexpr int64_t kSpan = 4 * kBlocks;  // elements they serve

// factor[i] = 0 or `keep` for the elements first + i, i < kSpan; `first` is a multiple of 4.
template <class A> void factors(A* factor, const RandomKey& key, int64_t first, float p, A keep) {
#pragma omp simd
  for (int64_t block = 0; block < kBlocks; ++block) {
    const Philox4 words = random_words(key, static_cast<uint64_t>(first / 4 + block));
    for (int64_t k = 0; k < 4; ++k)
      factor[4 * block + k] = uniform_of(words.v[k]) >= p ? keep : A(0);
  }
}

}  // namespace

void dropout(Tensor y, const Tensor& x, double p, const RandomKey& key) {
  const int64_t n = x.numel(), spans = (n + kSpan - 1) / kSpan;
  dispatch_floating(x.dtype(), "dropout", [&]<class T>() {
    using A = Accumulate<T>;
    const T* from = x.data<T>();
    T* to = y.data<T>();
    parallel_for(spans, grain_for(4 * kSpan), [=](int64_t begin, int64_t end) {
      A factor[kSpan];
      for (int64_t first = begin * kSpan; first < std::min(n, end * kSpan); first += kSpan) {
        factors(factor, key, first, static_cast<float>(p), static_cast<A>(1.0 / (1.0 - p)));
        const int64_t count = std::min(kSpan, n - first);
#pragma omp simd
        for (int64_t i = 0; i < count; ++i)
          store(to[first + i], widen(from[first + i]) * factor[i]);
      }
    });
  });
}

void drop_groups(Tensor y, const Tensor& x, double p, const RandomKey& key, int64_t group) {
  const int64_t groups = group ? x.numel() / group : 0;
  dispatch_floating(x.dtype(), "drop_path", [&]<class T>() {
    using A = Accumulate<T>;
    const T* from = x.data<T>();
    T* to = y.data<T>();
    parallel_for(groups, grain_for(group), [=](int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; ++g) {
        const bool kept = random_uniform(key, static_cast<uint64_t>(g)) >= static_cast<float>(p);
        const A factor = kept ? static_cast<A>(1.0 / (1.0 - p)) : A(0);
#pragma omp simd
        for (int64_t i = g * group; i < (g + 1) * group; ++i) store(to[i], widen(from[i]) * factor);
      }
    });
  });
}

LEVEL_END
