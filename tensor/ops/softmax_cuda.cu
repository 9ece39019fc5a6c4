// CUDA softmax and log-softmax over rows.
//
// Bound by memory: forward reads and writes each element once (4 bytes in bf16, 8 in f32) for two
// exponentials, which at 16 a clock and multiprocessor stay below half of what that traffic takes;
// backward reads two and writes one. A row of up to 1,024 elements stays in the registers of the
// threads that share it: up to 32, fewer for short rows. A longer row has a block of its own and is
// read again from the first-level cache.
// Considered: a warp for every row (most of its threads would idle with 10 classes, hence the
// groups), and largest element and sum in one pass, which saves a reading from registers and costs
// an exponential an element.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/reduce.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/pointwise_math.h"
#include "tensor/ops/softmax_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostValues = 32;  // of a row that one thread keeps

// y from x - max and the sum of their exponentials; the summand of backward, and dx from the sum of
// those.
struct Softmax {
  template <class A> static __device__ A result(A shifted, A total) {
    return math::exp(shifted) / total;
  }
  template <class A> static __device__ A summand(A y, A dy) { return y * dy; }
  template <class A> static __device__ A gradient(A y, A dy, A sum) { return y * (dy - sum); }
};
struct LogSoftmax {
  template <class A> static __device__ A result(A shifted, A total) {
    return shifted - std::log(total);
  }
  template <class A> static __device__ A summand(A, A dy) { return dy; }
  template <class A> static __device__ A gradient(A y, A dy, A sum) {
    return dy - math::exp(y) * sum;
  }
};

// Where the values that one thread keeps of a row stand: runs of Width neighbours, `lanes` runs
// side by side.
template <int Width> struct RowSlots {
  int lane, lanes;
  int64_t n;
  __device__ int64_t operator[](int slot) const {
    return (int64_t{slot / Width} * lanes + lane) * Width + slot % Width;
  }
};

template <int Values, int Width, class T>
__device__ __forceinline__ void load_row(Accumulate<T> (&values)[Values], const T* row,
                                         const RowSlots<Width>& slots, Accumulate<T> past_end) {
#pragma unroll
  for (int i = 0; i < Values; i += Width) {
    const bool inside = slots[i] < slots.n;  // n is a multiple of Width
    Pack<T, Width> pack;
    if (inside) pack = load_pack<Width>(row + slots[i]);
#pragma unroll
    for (int k = 0; k < Width; ++k)
      values[i + k] = inside ? static_cast<Accumulate<T>>(pack[k]) : past_end;
  }
}

template <int Values, int Width, class T>
__device__ __forceinline__ void store_row(T* row, const Accumulate<T> (&values)[Values],
                                          const RowSlots<Width>& slots) {
#pragma unroll
  for (int i = 0; i < Values; i += Width) {
    if (slots[i] >= slots.n) continue;
    Pack<T, Width> pack;
#pragma unroll
    for (int k = 0; k < Width; ++k) pack[k] = static_cast<T>(values[i + k]);
    store_pack(row + slots[i], pack);
  }
}

// `lanes` threads share a row of up to lanes * Values elements.
template <class Rule, int Values, int Width, class T> __global__ void __launch_bounds__(kThreads)
    forward_rows_kernel(T* y, const T* x, int64_t rows, int64_t n, int lanes) {
  using A = Accumulate<T>;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / lanes) + threadIdx.x / lanes;
  const RowSlots<Width> slots{static_cast<int>(threadIdx.x) % lanes, lanes, row < rows ? n : 0};
  A values[Values];
  load_row(values, x + row * n, slots, -static_cast<A>(INFINITY));
  A best = values[0];
#pragma unroll
  for (int i = 1; i < Values; ++i) best = max(best, values[i]);
  best = warp_max(best, lanes);
  A total = 0;
#pragma unroll
  for (int i = 0; i < Values; ++i) {
    values[i] -= best;
    total += slots[i] < slots.n ? math::exp(values[i]) : A(0);
  }
  total = warp_sum(total, lanes);
#pragma unroll
  for (int i = 0; i < Values; ++i) values[i] = Rule::result(values[i], total);
  store_row(y + row * n, values, slots);
}

template <class Rule, int Values, int Width, class T> __global__ void __launch_bounds__(kThreads)
    backward_rows_kernel(T* dx, const T* y, const T* dy, int64_t rows, int64_t n, int lanes) {
  using A = Accumulate<T>;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / lanes) + threadIdx.x / lanes;
  const RowSlots<Width> slots{static_cast<int>(threadIdx.x) % lanes, lanes, row < rows ? n : 0};
  A out[Values], grad[Values];
  load_row(out, y + row * n, slots, A(0));
  load_row(grad, dy + row * n, slots, A(0));
  A sum = 0;
#pragma unroll
  for (int i = 0; i < Values; ++i) sum += Rule::summand(out[i], grad[i]);
  sum = warp_sum(sum, lanes);
#pragma unroll
  for (int i = 0; i < Values; ++i) out[i] = Rule::gradient(out[i], grad[i], sum);
  store_row(dx + row * n, out, slots);
}

// One block per row of any length.
template <class Rule, class T> __global__ void __launch_bounds__(kThreads)
    forward_long_rows_kernel(T* y, const T* x, int64_t n) {
  using A = Accumulate<T>;
  x += blockIdx.x * n;
  y += blockIdx.x * n;
  A best = -static_cast<A>(INFINITY), total = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) best = max(best, static_cast<A>(x[i]));
  best = block_max(best);
  for (int64_t i = threadIdx.x; i < n; i += kThreads)
    total += math::exp(static_cast<A>(x[i]) - best);
  total = block_sum(total);
  for (int64_t i = threadIdx.x; i < n; i += kThreads)
    y[i] = static_cast<T>(Rule::result(static_cast<A>(x[i]) - best, total));
}

template <class Rule, class T> __global__ void __launch_bounds__(kThreads)
    backward_long_rows_kernel(T* dx, const T* y, const T* dy, int64_t n) {
  using A = Accumulate<T>;
  dx += blockIdx.x * n;
  y += blockIdx.x * n;
  dy += blockIdx.x * n;
  A sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads)
    sum += Rule::summand(static_cast<A>(y[i]), static_cast<A>(dy[i]));
  sum = block_sum(sum);
  for (int64_t i = threadIdx.x; i < n; i += kThreads)
    dx[i] = static_cast<T>(Rule::gradient(static_cast<A>(y[i]), static_cast<A>(dy[i]), sum));
}

// How rows are given to threads: calls f.template operator()<Values, Width>(lanes), or long_rows().
template <class T, class F, class Long>
void dispatch_rows(const Tensor& x, bool aligned, const F& f, const Long& long_rows) {
  constexpr int kWidth = kPackWidth<T>;
  const int64_t n = x.size(-1);
  const bool packs = aligned && n % kWidth == 0;
  if (n > 32 * kMostValues) return long_rows();
  const int64_t values = packs && n <= 32 * kWidth ? kWidth : n <= 32 ? 1 : kMostValues;
  int lanes = 1;
  while (lanes * values < n) lanes *= 2;
  if (packs && values == kWidth) f.template operator()<kWidth, kWidth>(lanes);
  else if (packs && values == kMostValues) f.template operator()<kMostValues, kWidth>(lanes);
  else if (values == 1) f.template operator()<1, 1>(lanes);
  else f.template operator()<kMostValues, 1>(32);
}

template <class Rule> void forward(const char* op, Tensor y, const Tensor& x) {
  if (x.numel() == 0) return;
  const int64_t n = x.size(-1), rows = x.numel() / n;
  dispatch_floating(x.dtype(), op, [&]<class T>() {
    T* to = y.data<T>();
    const T* from = x.data<T>();
    constexpr int kWidth = kPackWidth<T>;
    const auto short_rows = [&]<int Values, int Width>(int lanes) {
      launch({.grid = blocks_for(rows, kThreads / lanes),
              .block = kThreads,
              .stream = compute_stream()},
             forward_rows_kernel<Rule, Values, Width, T>, to, from, rows, n, lanes);
    };
    dispatch_rows<T>(
        x, is_pack_aligned<kWidth>(to) && is_pack_aligned<kWidth>(from), short_rows, [&] {
          launch({.grid = blocks_for(rows, 1), .block = kThreads, .stream = compute_stream()},
                 forward_long_rows_kernel<Rule, T>, to, from, n);
        });
  });
}

template <class Rule> void backward(const char* op, Tensor dx, const Tensor& y, const Tensor& dy) {
  if (y.numel() == 0) return;
  const int64_t n = y.size(-1), rows = y.numel() / n;
  dispatch_floating(y.dtype(), op, [&]<class T>() {
    T* to = dx.data<T>();
    const T *out = y.data<T>(), *grad = dy.data<T>();
    constexpr int kWidth = kPackWidth<T>;
    const bool aligned = is_pack_aligned<kWidth>(to) && is_pack_aligned<kWidth>(out) &&
                         is_pack_aligned<kWidth>(grad);
    const auto short_rows = [&]<int Values, int Width>(int lanes) {
      launch({.grid = blocks_for(rows, kThreads / lanes),
              .block = kThreads,
              .stream = compute_stream()},
             backward_rows_kernel<Rule, Values, Width, T>, to, out, grad, rows, n, lanes);
    };
    dispatch_rows<T>(y, aligned, short_rows, [&] {
      launch({.grid = blocks_for(rows, 1), .block = kThreads, .stream = compute_stream()},
             backward_long_rows_kernel<Rule, T>, to, out, grad, n);
    });
  });
}

}  // namespace

void softmax_forward(Tensor y, const Tensor& x) { forward<Softmax>("softmax", y, x); }
void softmax_backward(Tensor dx, const Tensor& y, const Tensor& dy) {
  backward<Softmax>("softmax", dx, y, dy);
}
void log_softmax_forward(Tensor y, const Tensor& x) { forward<LogSoftmax>("log_softmax", y, x); }
void log_softmax_backward(Tensor dx, const Tensor& y, const Tensor& dy) {
  backward<LogSoftmax>("log_softmax", dx, y, dy);
}

}  // namespace passband::cuda
