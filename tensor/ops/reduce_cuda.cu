// CUDA reductions.
//
// Bound by memory: a sum reads each element once (4 bytes in f32, 2 in bf16, one addition each) and
// writes next to nothing. Sums go up in levels: a block sums up to some thousand elements in f32
// and leaves an f64; the next level sums those. The tree depends on the shape alone and there are
// no float atomics: two runs give the same bits.
// Considered: one launch whose last block adds up (a counter in memory that every launch must find
// at zero), and f64 from the first level on, which runs at half the rate of f32 on an H200, at 1/64
// on smaller GPUs.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/reduce.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/cuda/wide.cuh"
#include "tensor/ops/reduce_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kShortRow = 1024;  // a row up to here is summed by a warp, or a part of one
constexpr int64_t kRowChunk = 8192;  // elements of a long row that one block sums
// Rows of a column sum that one thread adds up: few, so that there are blocks enough, where the
// elements come from memory; many where they are the sums of such blocks.
template <class From> constexpr int64_t kThreadRows = sizeof(From) == 8 ? 64 : 16;

// The least power of two that is n or more, at most `limit`, itself a power of two.
int power_of_two(int64_t n, int limit) {
  int result = 1;
  while (result < limit && result < n) result *= 2;
  return result;
}

// Sum of the elements of x[0, n) that fall to member `member` of `members` threads.
template <class T> __device__ __forceinline__ Accumulate<T> strided_sum(const T* x, int64_t n,
                                                                        int member, int members) {
  using A = Accumulate<T>;
  constexpr int kWidth = kPackWidth<T>;
  const int64_t packs = is_pack_aligned<kWidth>(x) ? n / kWidth : 0;
  A sum = 0;
#pragma unroll 4
  for (int64_t p = member; p < packs; p += members) {
    const Pack<T, kWidth> pack = load_pack<kWidth>(x + p * kWidth);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum += static_cast<A>(pack[k]);
  }
  for (int64_t i = packs * kWidth + member; i < n; i += members) sum += static_cast<A>(x[i]);
  return sum;
}

// Rounds once: f64 goes to bf16 through f32, whose own rounding is far below a bf16 step.
template <class T> __device__ __forceinline__ T rounded(double sum) {
  return static_cast<T>(static_cast<Accumulate<T>>(sum));
}

// y[row] = scale * sum of row: `lanes` neighbouring threads share a row.
template <class To, class From> __global__ void __launch_bounds__(kThreads)
    sum_short_rows_kernel(To* y, const From* x, int64_t rows, int64_t n, int lanes, double scale) {
  const int64_t row = int64_t{blockIdx.x} * (kThreads / lanes) + threadIdx.x / lanes;
  const int lane = threadIdx.x % lanes;
  const auto part = row < rows ? strided_sum(x + row * n, n, lane, lanes) : 0;
  const double sum = static_cast<double>(warp_sum(part, lanes));
  if (row < rows && lane == 0) y[row] = rounded<To>(scale * sum);
}

// y[row, chunk] = scale * sum of that chunk of the row; one block each.
template <class To, class From> __global__ void __launch_bounds__(kThreads)
    sum_long_rows_kernel(To* y, const From* x, int64_t n, Divisor chunks, double scale) {
  const int64_t row = chunks.quotient(blockIdx.x), chunk = blockIdx.x - row * chunks.value();
  const int64_t begin = chunk * kRowChunk, count = min(kRowChunk, n - begin);
  const auto sum = block_sum(strided_sum(x + row * n + begin, count, threadIdx.x, kThreads));
  if (threadIdx.x == 0) y[blockIdx.x] = rounded<To>(scale * static_cast<double>(sum));
}

// What one block of a column sum covers: `lanes` packs of columns side by side, `height` rows at a
// time.
struct ColumnTile {
  int lanes, height;
};

// y[outer, chunk, c] = scale * sum of x[outer, row, c] over the rows of a chunk; the block's
// threads stand in `height` rows of `lanes`, each with a pack of Width columns.
template <int Width, class To, class From> __global__ void __launch_bounds__(kThreads)
    sum_columns_kernel(To* y, const From* x, Reduction r, ColumnTile tile, Divisor chunks,
                       Divisor tiles, double scale) {
  using A = Accumulate<From>;
  constexpr int kBatch = 8;
  DYNAMIC_SHARED(A, sums);  // [height][lanes * Width]
  const int lane = threadIdx.x % tile.lanes, line = threadIdx.x / tile.lanes,
            columns = tile.lanes * Width;
  const int64_t pair = tiles.quotient(blockIdx.x), outer = chunks.quotient(pair),
                chunk = pair - outer * chunks.value();
  const int64_t column = (blockIdx.x - pair * tiles.value()) * columns + lane * Width;
  const int64_t begin = chunk * tile.height * kThreadRows<From>,
                end = min(begin + tile.height * kThreadRows<From>, r.n);
  A sum[Width] = {};
  if (column < r.inner) {
    const From* from = x + outer * r.n * r.inner + column;
    for (int64_t row = begin + line; row < end; row += kBatch * tile.height) {
      Pack<From, Width> packs[kBatch];  // under way together
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
        if (row + i * tile.height < end)
          packs[i] = load_pack<Width>(from + (row + i * tile.height) * r.inner);
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
        if (row + i * tile.height < end)
#pragma unroll
          for (int k = 0; k < Width; ++k) sum[k] += static_cast<A>(packs[i][k]);
    }
  }
#pragma unroll
  for (int k = 0; k < Width; ++k) sums[line * columns + lane * Width + k] = sum[k];
  for (int half = tile.height / 2; half > 0; half /= 2) {
    __syncthreads();
    if (line < half)
      for (int k = 0; k < Width; ++k)
        sums[line * columns + lane * Width + k] += sums[(line + half) * columns + lane * Width + k];
  }
  if (line > 0 || column >= r.inner) return;
#pragma unroll
  for (int k = 0; k < Width; ++k)
    y[pair * r.inner + column + k] =
        rounded<To>(scale * static_cast<double>(sums[lane * Width + k]));
}

template <class To, class From>
void sum_short_rows(Tensor y, const Tensor& x, const Reduction& r, double scale) {
  const int lanes = power_of_two((r.n + kPackWidth<From> - 1) / kPackWidth<From>, 32);
  launch({.grid = blocks_for(r.outer, kThreads / lanes),
          .block = kThreads,
          .stream = compute_stream()},
         sum_short_rows_kernel<To, From>, y.data<To>(), x.data<From>(), r.outer, r.n, lanes, scale);
}

// One level of a sum over long rows, into `chunks` results per row.
template <class To, class From>
void sum_long_rows(Tensor y, const Tensor& x, const Reduction& r, int64_t chunks, double scale) {
  launch({.grid = blocks_for(r.outer * chunks, 1), .block = kThreads, .stream = compute_stream()},
         sum_long_rows_kernel<To, From>, y.data<To>(), x.data<From>(), r.n, Divisor(chunks), scale);
}

// Sums of blocks (f64) are few: narrow tiles, so that several multiprocessors share them.
template <class From> ColumnTile column_tile(const Reduction& r, int width) {
  const int lanes = power_of_two((r.inner + width - 1) / width, sizeof(From) == 8 ? 8 : 32);
  return {lanes, power_of_two(r.n, kThreads / lanes)};
}

// One level of a sum over columns, into `chunks` results per column.
template <int Width, class To, class From> void sum_columns(Tensor y, const Tensor& x,
                                                            const Reduction& r, ColumnTile tile,
                                                            int64_t chunks, double scale) {
  const int columns = tile.lanes * Width;
  const int64_t tiles = (r.inner + columns - 1) / columns;
  launch({.grid = blocks_for(r.outer * chunks * tiles, 1),
          .block = static_cast<unsigned>(tile.lanes * tile.height),
          .shared_bytes = static_cast<size_t>(tile.height * columns) * sizeof(Accumulate<From>),
          .stream = compute_stream()},
         sum_columns_kernel<Width, To, From>, y.data<To>(), x.data<From>(), r, tile,
         Divisor(chunks), Divisor(tiles), scale);
}

template <class To, class From>
void sum_level(Tensor y, const Tensor& x, const Reduction& r, double scale);

// Sums in `chunks` pieces per result to f64, and those with another level.
template <class To, class Level>
void sum_in_chunks(Tensor y, const Reduction& r, int64_t chunks, double scale, const Level& level) {
  Tensor partial = Tensor::empty({r.outer, chunks, r.inner}, DType::f64, y.device());
  level(partial);
  sum_level<To, double>(y, partial, {r.outer, chunks, r.inner}, scale);
}

template <class To, class From>
void sum_rows(Tensor y, const Tensor& x, const Reduction& r, double scale) {
  const int64_t chunks = (r.n + kRowChunk - 1) / kRowChunk;
  if (r.n <= kShortRow) return sum_short_rows<To, From>(y, x, r, scale);
  if (chunks == 1) return sum_long_rows<To, From>(y, x, r, 1, scale);
  sum_in_chunks<To>(y, r, chunks, scale, [&](const Tensor& partial) {
    sum_long_rows<double, From>(partial, x, r, chunks, 1.0);
  });
}

template <int Width, class To, class From>
void sum_column_levels(Tensor y, const Tensor& x, const Reduction& r, double scale) {
  const ColumnTile tile = column_tile<From>(r, Width);
  const int64_t rows = tile.height * kThreadRows<From>,
                chunks = std::max<int64_t>(1, (r.n + rows - 1) / rows);
  if (chunks == 1) return sum_columns<Width, To, From>(y, x, r, tile, 1, scale);
  sum_in_chunks<To>(y, r, chunks, scale, [&](const Tensor& partial) {
    sum_columns<Width, double, From>(partial, x, r, tile, chunks, 1.0);
  });
}

// The first level of a sum over rows. In f32, as a block sums.
template <int Width, class From> Tensor column_parts(const Tensor& x, const Reduction& r) {
  const ColumnTile tile = column_tile<From>(r, Width);
  const int64_t rows = tile.height * kThreadRows<From>,
                chunks = std::max<int64_t>(1, (r.n + rows - 1) / rows);
  const Tensor parts = Tensor::empty({chunks, r.inner}, DType::f32, x.device());
  sum_columns<Width, float, From>(parts, x, r, tile, chunks, 1.0);
  return parts;
}

template <class To, class From>
void sum_level(Tensor y, const Tensor& x, const Reduction& r, double scale) {
  constexpr int kWidth = kPackWidth<From>;
  if (r.inner == 1) return sum_rows<To, From>(y, x, r, scale);
  const bool packs = r.inner % kWidth == 0 && is_pack_aligned<kWidth>(x.data<From>());
  if (packs) sum_column_levels<kWidth, To, From>(y, x, r, scale);
  else sum_column_levels<1, To, From>(y, x, r, scale);
}

// A candidate for the largest element: NaN beats every number, the first of equals wins.
template <class A> struct Candidate {
  A value;
  int64_t index;
  __device__ bool beats(const Candidate& other) const {
    const bool nan = value != value, other_nan = other.value != other.value;
    if (nan != other_nan) return nan;
    if (nan || value == other.value) return index < other.index;
    return value > other.value;
  }
};

// `lanes` neighbouring threads share a result: rows when inner is 1, otherwise lanes is 1.
template <class T> __global__ void __launch_bounds__(kThreads)
    argmax_kernel(int32_t* index, const T* x, Reduction r, Divisor inner, int lanes) {
  using A = Accumulate<T>;
  const int64_t results = r.outer * r.inner,
                i = int64_t{blockIdx.x} * (kThreads / lanes) + threadIdx.x / lanes;
  const int lane = threadIdx.x % lanes;
  Candidate<A> best{-static_cast<A>(INFINITY), r.n};
  if (i < results) {
    const int64_t outer = inner.quotient(i);
    const T* column = x + outer * r.n * r.inner + (i - outer * r.inner);
    for (int64_t k = lane; k < r.n; k += lanes) {
      const Candidate<A> next{static_cast<A>(column[k * r.inner]), k};
      if (next.beats(best)) best = next;
    }
  }
  for (int distance = lanes / 2; distance > 0; distance /= 2) {
    const Candidate<A> other{__shfl_xor_sync(kWholeWarp, best.value, distance),
                             __shfl_xor_sync(kWholeWarp, best.index, distance)};
    if (other.beats(best)) best = other;
  }
  if (i < results && lane == 0) index[i] = static_cast<int32_t>(best.index);
}

template <class T> __global__ void __launch_bounds__(kThreads)
    pick_along_kernel(T* y, const T* x, const int32_t* index, Reduction r, Divisor inner) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= r.outer * r.inner) return;
  const int64_t outer = inner.quotient(i);
  y[i] = x[(outer * r.n + index[i]) * r.inner + (i - outer * r.inner)];
}

// One thread per element of x, so that its zeros need no pass of their own.
template <class T> __global__ void __launch_bounds__(kThreads)
    put_along_kernel(T* x, const T* y, const int32_t* index, Reduction r, Divisor inner,
                     Divisor n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= r.outer * r.n * r.inner) return;
  const int64_t row = inner.quotient(i), outer = n.quotient(row);
  const int64_t from = outer * r.inner + (i - row * r.inner);
  x[i] = index[from] == row - outer * r.n ? y[from] : T(0);
}

// Width is a pack, or 1; `moves`: the operand moves along the last loop.
template <int Width, class T> __global__ void __launch_bounds__(kThreads)
    expand_kernel(T* y, const T* x, int64_t n, StridedLoops<1> loops, bool moves) {
  const int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * Width;
  if (i >= n) return;
  int64_t offset[1];
  loops.offsets(i, offset);
  const T* from = x + offset[0];
  Pack<T, Width> pack;
  if (moves) {
    pack = load_pack<Width>(from);
  } else {
#pragma unroll
    for (int k = 0; k < Width; ++k) pack[k] = *from;
  }
  store_pack(y + i, pack);
}

template <int Width, class T>
void launch_expand(T* y, const T* x, int64_t n, const StridedLoops<1>& loops, bool moves) {
  launch({.grid = blocks_for(n, kThreads * Width), .block = kThreads, .stream = compute_stream()},
         expand_kernel<Width, T>, y, x, n, loops, moves);
}

template <class T> T* raw(Tensor& tensor) { return static_cast<T*>(tensor.raw()); }
template <class T> const T* raw(const Tensor& tensor) {
  return static_cast<const T*>(tensor.raw());
}

}  // namespace

void sum(Tensor y, const Tensor& x, const Reduction& r, double scale) {
  if (y.numel() == 0) return;
  dispatch_floating(y.dtype(), "sum", [&]<class To>() {
    dispatch_floating(x.dtype(), "sum", [&]<class From>() { sum_level<To, From>(y, x, r, scale); });
  });
}

Tensor sum_of_rows(const Tensor& x) {
  const Reduction r{.n = x.size(0), .inner = x.size(1)};
  Tensor parts;
  dispatch_f32_bf16(x.dtype(), "sum", [&]<class T>() {
    constexpr int kWidth = kPackWidth<T>;
    const bool packs = r.inner % kWidth == 0 && is_pack_aligned<kWidth>(x.data<T>());
    parts = packs ? column_parts<kWidth, T>(x, r) : column_parts<1, T>(x, r);
  });
  return parts;
}

void argmax(Tensor index, const Tensor& x, const Reduction& r) {
  if (index.numel() == 0) return;
  const int lanes = r.inner == 1 ? power_of_two(r.n, 32) : 1;
  dispatch_floating(x.dtype(), "argmax", [&]<class T>() {
    launch({.grid = blocks_for(index.numel(), kThreads / lanes),
            .block = kThreads,
            .stream = compute_stream()},
           argmax_kernel<T>, index.data<int32_t>(), x.data<T>(), r, Divisor(r.inner), lanes);
  });
}

void pick_along(Tensor y, const Tensor& x, const Tensor& index, const Reduction& r) {
  if (y.numel() == 0) return;
  dispatch_width(x.dtype(), [&]<class T>() {
    launch({.grid = blocks_for(y.numel(), kThreads), .block = kThreads, .stream = compute_stream()},
           pick_along_kernel<T>, raw<T>(y), raw<T>(x), index.data<int32_t>(), r, Divisor(r.inner));
  });
}

void put_along(Tensor x, const Tensor& y, const Tensor& index, const Reduction& r) {
  if (x.numel() == 0) return;
  dispatch_width(x.dtype(), [&]<class T>() {
    launch({.grid = blocks_for(x.numel(), kThreads), .block = kThreads, .stream = compute_stream()},
           put_along_kernel<T>, raw<T>(x), raw<T>(y), index.data<int32_t>(), r, Divisor(r.inner),
           Divisor(r.n));
  });
}

void expand(Tensor y, const Tensor& x, const Broadcast& by) {
  if (y.numel() == 0) return;
  StridedLoops<1> loops;
  for (size_t d = 0; d < static_cast<size_t>(by.rank); ++d) loops.push_back(by.size[d], {by.a[d]});
  const auto last = static_cast<size_t>(by.rank - 1);
  const bool moves = by.a[last] != 0;
  dispatch_width(x.dtype(), [&]<class T>() {
    constexpr int kWidth = kPackWidth<T>;
    const bool packs = by.size[last] % kWidth == 0 && is_pack_aligned<kWidth>(raw<T>(y)) &&
                       has_aligned_rows<kWidth>(raw<T>(x), by.a, by.rank);
    if (packs) launch_expand<kWidth>(raw<T>(y), raw<T>(x), y.numel(), loops, moves);
    else launch_expand<1>(raw<T>(y), raw<T>(x), y.numel(), loops, moves);
  });
}

}  // namespace passband::cuda
