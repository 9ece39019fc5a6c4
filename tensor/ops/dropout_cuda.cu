// CUDA dropout: the mask is computed where it is used, from the same random numbers as on the CPU.
//
// Bound by memory in f32 (8 bytes an element); in bf16 (4 bytes) the ten rounds of Philox, some 20
// integer operations an element, take about as long as the traffic: one block of random words
// serves four elements. Considered: keeping the mask for backward (1/8 byte an element written and
// read): the random numbers are drawn again instead, because recorded graphs and the CPU must draw
// the same ones anyway.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/dropout_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRun = 4;  // elements that share a block of random words

template <class T> __global__ void __launch_bounds__(kThreads)
    dropout_kernel(T* y, const T* x, int64_t n, float p, Accumulate<T> keep, RandomKey key,
                   const uint64_t* step_offset, bool aligned) {
  using A = Accumulate<T>;
  key.step += *step_offset;
  constexpr int kWidth = 16 / sizeof(T) < kRun ? 16 / sizeof(T) : kRun;  // of one access
  const int64_t run = int64_t{blockIdx.x} * kThreads + threadIdx.x, first = run * kRun;
  if (first >= n) return;
  const Philox4 words = random_words(key, static_cast<uint64_t>(run));
  const auto dropped = [&](int k, T value) {
    return static_cast<T>(static_cast<A>(value) * (uniform_of(words.v[k]) >= p ? keep : A(0)));
  };
  if (aligned && first + kRun <= n) {
#pragma unroll
    for (int i = 0; i < kRun; i += kWidth) {
      Pack<T, kWidth> pack = load_pack<kWidth>(x + first + i);
#pragma unroll
      for (int k = 0; k < kWidth; ++k) pack[k] = dropped(i + k, pack[k]);
      store_pack(y + first + i, pack);
    }
    return;
  }
#pragma unroll
  for (int k = 0; k < kRun; ++k)
    if (first + k < n) y[first + k] = dropped(k, x[first + k]);
}

template <int Width, class T> __global__ void __launch_bounds__(kThreads)
    drop_groups_kernel(T* y, const T* x, int64_t n, float p, Accumulate<T> keep, RandomKey key,
                       const uint64_t* step_offset, Divisor group) {
  using A = Accumulate<T>;
  key.step += *step_offset;
  const int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * Width;
  if (i >= n) return;
  const A factor = random_uniform(key, static_cast<uint64_t>(group.quotient(i))) >= p ? keep : A(0);
  Pack<T, Width> pack = load_pack<Width>(x + i);
#pragma unroll
  for (int k = 0; k < Width; ++k) pack[k] = static_cast<T>(static_cast<A>(pack[k]) * factor);
  store_pack(y + i, pack);
}

}  // namespace

void dropout(Tensor y, const Tensor& x, double p, const RandomKey& key) {
  const int64_t n = x.numel();
  if (n == 0) return;
  dispatch_floating(x.dtype(), "dropout", [&]<class T>() {
    constexpr int kWidth = std::min(kPackWidth<T>, kRun);
    const bool aligned =
        is_pack_aligned<kWidth>(y.data<T>()) && is_pack_aligned<kWidth>(x.data<T>());
    launch({.grid = blocks_for(n, kThreads * kRun), .block = kThreads, .stream = compute_stream()},
           dropout_kernel<T>, y.data<T>(), x.data<T>(), n, static_cast<float>(p),
           static_cast<Accumulate<T>>(1.0 / (1.0 - p)), key, step_offset(), aligned);
  });
}

void drop_groups(Tensor y, const Tensor& x, double p, const RandomKey& key, int64_t group) {
  const int64_t n = x.numel();
  if (n == 0) return;
  dispatch_floating(x.dtype(), "drop_path", [&]<class T>() {
    constexpr int kWidth = kPackWidth<T>;
    T* to = y.data<T>();
    const T* from = x.data<T>();
    const bool packs =
        group % kWidth == 0 && is_pack_aligned<kWidth>(to) && is_pack_aligned<kWidth>(from);
    launch({.grid = blocks_for(n, kThreads * (packs ? kWidth : 1)),
            .block = kThreads,
            .stream = compute_stream()},
           packs ? drop_groups_kernel<kWidth, T> : drop_groups_kernel<1, T>, to, from, n,
           static_cast<float>(p), static_cast<Accumulate<T>>(1.0 / (1.0 - p)), key, step_offset(),
           Divisor(group));
  });
}

}  // namespace passband::cuda
