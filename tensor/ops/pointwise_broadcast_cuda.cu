// CUDA kernel of pointwise operations on two operands that broadcast.
//
// Bound by memory: a bias over channels reads and writes 8 bytes an element in f32, the bias itself
// stays in the cache. A thread makes one pack of the result (16 bytes) and finds its operands by
// one division per loop; a pack never crosses a row, so rows whose width is no multiple of it go
// element by element.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/pointwise_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;

// The operands along the last loop: each moves with the result, or stands still.
struct LastLoop {
  bool a_moves, b_moves;
};

template <int N, class T>
__device__ __forceinline__ Pack<T, N> load_or_repeat(const T* x, bool moves) {
  if (moves) return load_pack<N>(x);
  Pack<T, N> pack;
#pragma unroll
  for (int k = 0; k < N; ++k) pack[k] = *x;
  return pack;
}

// Width is the number of elements of the result that a thread makes: a pack, or 1.
template <int Width, class T, class F> __global__ void __launch_bounds__(kThreads)
    broadcast_kernel(T* y, const T* a, const T* b, int64_t n, StridedLoops<2> loops, LastLoop last,
                     F f) {
  using A = Accumulate<T>;
  const int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * Width;
  if (i >= n) return;
  int64_t offset[2];
  loops.offsets(i, offset);
  if constexpr (Width == 1) {
    y[i] = static_cast<T>(f(static_cast<A>(a[offset[0]]), static_cast<A>(b[offset[1]])));
  } else {
    const Pack<T, Width> left = load_or_repeat<Width>(a + offset[0], last.a_moves),
                         right = load_or_repeat<Width>(b + offset[1], last.b_moves);
    Pack<T, Width> result;
#pragma unroll
    for (int k = 0; k < Width; ++k)
      result[k] = static_cast<T>(f(static_cast<A>(left[k]), static_cast<A>(right[k])));
    store_pack(y + i, result);
  }
}

template <int Width, class T, class F>
void launch_broadcast(Tensor y, const Tensor& a, const Tensor& b, const Broadcast& by, const F& f) {
  StridedLoops<2> loops;
  for (int d = 0; d < by.rank; ++d) {
    const auto at = static_cast<size_t>(d);
    loops.push_back(by.size[at], {by.a[at], by.b[at]});
  }
  const auto last = static_cast<size_t>(by.rank - 1);
  launch({.grid = blocks_for(y.numel(), kThreads * Width),
          .block = kThreads,
          .stream = compute_stream()},
         broadcast_kernel<Width, T, F>, y.data<T>(), a.data<T>(), b.data<T>(), y.numel(), loops,
         LastLoop{by.a[last] != 0, by.b[last] != 0}, f);
}

}  // namespace

template <class F>
void broadcast_zip(Tensor y, const Tensor& a, const Tensor& b, const Broadcast& by, const F& f) {
  if (y.numel() == 0) return;
  dispatch_floating(y.dtype(), "pointwise", [&]<class T>() {
    constexpr int kWidth = kPackWidth<T>;
    const bool packs = by.size[static_cast<size_t>(by.rank - 1)] % kWidth == 0 &&
                       is_pack_aligned<kWidth>(y.data<T>()) &&
                       has_aligned_rows<kWidth>(a.data<T>(), by.a, by.rank) &&
                       has_aligned_rows<kWidth>(b.data<T>(), by.b, by.rank);
    if (packs) launch_broadcast<kWidth, T>(y, a, b, by, f);
    else launch_broadcast<1, T>(y, a, b, by, f);
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

}  // namespace passband::cuda
