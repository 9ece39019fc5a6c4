// CUDA kernels of pointwise operations on equal shapes, and conversion of element types.
//
// Bound by memory: f32 moves 8 (one operand) or 12 bytes (two) an element for 1 to some 30
// operations, bf16 half as many. Each thread has kPacks accesses of 16 bytes in flight, all loads
// before the first store: 2 * 16 bytes * 2,048 threads * 132 multiprocessors are 8.6 MB, more than
// the some 3.4 MB that 4.8 TB/s at 700 ns ask for.
// Considered: one access for each thread (4.3 MB in flight, little above what is needed), four
// (more registers, more elements of the last block idle), and a loop over a grid of fixed size.
#include <cstring>

#include "tensor/core/memory.h"
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/pointwise_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256, kBlocks = 4;
constexpr int kPacks = 2;  // per thread

template <class T, class F, class... X> __device__ __forceinline__ T evaluate(const F& f, X... x) {
  return static_cast<T>(f(static_cast<Accumulate<T>>(x)...));
}

// y[i] = f(x[i]...). y may be the memory of an operand: an element is read and written by one
// thread. Room is made for four blocks: told nothing, the compiler makes room for more and spills
// the registers of a long function (the slope of the GELU in its tanh form).
template <class T, class F, class... X> __global__ void __launch_bounds__(kThreads, kBlocks)
    elements_kernel(T* y, int64_t n, bool aligned, F f, const X*... x) {
  constexpr int kWidth = kPackWidth<T>, kPerBlock = kThreads * kPacks * kWidth;
  const int64_t begin = int64_t{blockIdx.x} * kPerBlock, end = min(begin + kPerBlock, n);
  if (!aligned || end - begin < kPerBlock) {
    for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) y[i] = evaluate<T>(f, x[i]...);
    return;
  }
  const int64_t first = begin + threadIdx.x * kWidth;
  Pack<T, kWidth> result[kPacks];
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    const int64_t at = first + p * kThreads * kWidth;
    const auto evaluate_packs = [&](const auto&... pack) {
#pragma unroll
      for (int k = 0; k < kWidth; ++k) result[p][k] = evaluate<T>(f, pack[k]...);
    };
    evaluate_packs(load_pack<kWidth>(x + at)...);
  }
#pragma unroll
  for (int p = 0; p < kPacks; ++p) store_pack(y + first + p * kThreads * kWidth, result[p]);
}

template <class T, class F, class... X>
void evaluate_elements(int64_t n, const F& f, T* y, const X*... x) {
  if (n == 0) return;
  constexpr int kWidth = kPackWidth<T>;
  const bool aligned = is_pack_aligned<kWidth>(y) && (is_pack_aligned<kWidth>(x) && ...);
  launch({.grid = blocks_for(n, kThreads * kPacks * kWidth),
          .block = kThreads,
          .stream = compute_stream()},
         elements_kernel<T, F, X...>, y, n, aligned, f, x...);
}

}  // namespace

template <class F> void map(Tensor y, const Tensor& x, const F& f) {
  dispatch_floating(x.dtype(), "pointwise", [&]<class T>() {
    evaluate_elements<T, F, T>(x.numel(), f, y.data<T>(), x.data<T>());
  });
}

// A constant has no operand to read.
template <> void map(Tensor y, const Tensor&, const fn::Fill& f) {
  dispatch_floating(y.dtype(), "pointwise", [&]<class T>() {
    const T value = static_cast<T>(f.c);
    uint64_t pattern = 0;
    std::memcpy(&pattern, &value, sizeof value);
    fill_elements(y.raw(), pattern, sizeof value, y.numel());
  });
}

template <class F> void zip(Tensor y, const Tensor& a, const Tensor& b, const F& f) {
  dispatch_floating(a.dtype(), "pointwise", [&]<class T>() {
    evaluate_elements<T, F, T, T>(a.numel(), f, y.data<T>(), a.data<T>(), b.data<T>());
  });
}

namespace {

template <class To, class From> __device__ __forceinline__ To converted(From value) {
  if constexpr (std::is_same_v<To, bf16> || std::is_same_v<From, bf16>)
    return static_cast<To>(static_cast<float>(value));
  else return static_cast<To>(value);
}

template <class To, class From>
constexpr int kCommonWidth = std::min(kPackWidth<To>, kPackWidth<From>);

template <class To, class From> __global__ void __launch_bounds__(kThreads)
    convert_kernel(To* y, const From* x, int64_t n, bool aligned) {
  constexpr int kWidth = kCommonWidth<To, From>;
  const int64_t first = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kWidth;
  if (aligned && first + kWidth <= n) {
    const Pack<From, kWidth> from = load_pack<kWidth>(x + first);
    Pack<To, kWidth> to;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) to[k] = converted<To>(from[k]);
    store_pack(y + first, to);
    return;
  }
  for (int64_t i = first; i < min(first + kWidth, n); ++i) y[i] = converted<To>(x[i]);
}

template <class To, class From> void convert_elements(Tensor y, const Tensor& x) {
  constexpr int kWidth = kCommonWidth<To, From>;
  if (x.numel() == 0) return;
  const bool aligned =
      is_pack_aligned<kWidth>(y.data<To>()) && is_pack_aligned<kWidth>(x.data<From>());
  launch({.grid = blocks_for(x.numel(), kThreads * kWidth),
          .block = kThreads,
          .stream = compute_stream()},
         convert_kernel<To, From>, y.data<To>(), x.data<From>(), x.numel(), aligned);
}

template <class To> void convert_to(Tensor y, const Tensor& x) {
  switch (x.dtype()) {
    case DType::f32: return convert_elements<To, float>(y, x);
    case DType::bf16: return convert_elements<To, bf16>(y, x);
    case DType::f64: return convert_elements<To, double>(y, x);
    case DType::i32: return convert_elements<To, int32_t>(y, x);
    case DType::u8: return convert_elements<To, uint8_t>(y, x);
  }
}

}  // namespace

void convert(Tensor y, const Tensor& x) {
  switch (y.dtype()) {
    case DType::f32: return convert_to<float>(y, x);
    case DType::bf16: return convert_to<bf16>(y, x);
    case DType::f64: return convert_to<double>(y, x);
    case DType::i32: return convert_to<int32_t>(y, x);
    case DType::u8: return convert_to<uint8_t>(y, x);
  }
}

#define INSTANTIATE_MAP(F) template void map(Tensor, const Tensor&, const fn::F&);
#define INSTANTIATE_ZIP(F) template void zip(Tensor, const Tensor&, const Tensor&, const fn::F&);
#define INSTANTIATE_FUNCTION(F) INSTANTIATE_MAP(F) INSTANTIATE_ZIP(Backward<fn::F>)

PASSBAND_FUNCTIONS(INSTANTIATE_FUNCTION)
INSTANTIATE_MAP(AddScalar)
INSTANTIATE_MAP(MulScalar)
INSTANTIATE_MAP(Positive)
INSTANTIATE_MAP(Inside)
INSTANTIATE_MAP(Sign)
INSTANTIATE_ZIP(AddScaled)

}  // namespace passband::cuda
