// Shared by batch and group norm on the GPU: passes over (samples, rows, columns), each column of
// a sample with its own statistics. A thread has eight columns and every so many rows of a block.
// Sums of a block are f32; blocks are joined in f64 in a fixed order, so a run is repeatable.
//
// Bound: memory. Per element of bf16, forward reads 2 and 2 bytes and writes 2 (a residual: 2 more;
// the bits of a relu: 1/8), backward reads 4 and 4 and writes 2 (2 more for the residual's
// gradient), for 5 to 10 operations in f32: a hundredth of what the multiprocessors could do.
// The second pass walks each block's rows backwards: what the first one read last is still in the
// cache, and tensors below its size are read from memory once.
// Considered: sums by atomic additions (one launch fewer, other bits in every run); the sum of
// squares instead of Welford's recurrence, which is wrong where the mean is far from zero (the
// recurrence costs a reciprocal for each row of eight columns); and the relu's bits found again
// from y, 2 bytes an element where a bit is 1/8.
#pragma once
#include <algorithm>
#include <bit>

#include "tensor/cuda/reduce.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/cuda/wide.cuh"

namespace passband::cuda {

inline constexpr int kColumnThreads = 256;
// Four blocks of 256 threads for each multiprocessor of an H200: one wave, enough loads in flight.
// A constant, because the order of summation must not depend on the machine.
inline constexpr int64_t kColumnBlocks = 528;

// How a pass is cut into blocks: grid (samples * chunks, tiles of columns).
struct ColumnPass {
  int64_t rows = 0;  // of a sample
  int columns = 0;
  int samples = 1;
  int chunks = 1;     // of the rows of a sample
  int64_t chunk = 0;  // rows of a chunk
  int across = 1;     // threads of a block along the columns
  bool packed = false;

  ColumnPass(int64_t samples, int64_t rows, int64_t columns, bool packed)
      : rows(rows),
        columns(static_cast<int>(columns)),
        samples(static_cast<int>(samples)),
        packed(packed) {
    const int groups = wide_groups(columns);
    across = std::min<int>(32, std::bit_ceil(static_cast<unsigned>(groups)));
    const int64_t tiles = (groups + across - 1) / across;
    const int64_t wanted = std::max<int64_t>(1, kColumnBlocks / (tiles * samples));
    const int64_t least = 8 * (kColumnThreads / across);  // rows that are worth a block
    chunks = static_cast<int>(std::clamp<int64_t>((rows + least - 1) / least, 1, wanted));
    chunk = std::max<int64_t>(1, (rows + chunks - 1) / chunks);
    // Rounding up may fill the rows with fewer chunks than were asked for: no chunk is empty.
    chunks = static_cast<int>(std::max<int64_t>(1, (rows + chunk - 1) / chunk));
  }

  dim3 block() const { return dim3(across, kColumnThreads / across); }
  dim3 grid() const {
    const int groups = wide_groups(columns);
    return dim3(static_cast<unsigned>(samples * chunks), (groups + across - 1) / across);
  }
};

// Calls f.operator()<packed>(): whole, aligned groups of eight are a kernel of their own.
template <class F> void dispatch_packed(const ColumnPass& pass, F&& f) {
  if (pass.packed) f.template operator()<true>();
  else f.template operator()<false>();
}

// What one thread of a pass works on: columns [column, column + count) of rows first, first +
// blockDim.y, ... below end. `count` is 0 or less past the last column.
struct ColumnThread {
  int sample, chunk, column, count;
  int64_t begin, first, end;  // begin: of the block

  __device__ explicit ColumnThread(const ColumnPass& pass)
      : sample(static_cast<int>(blockIdx.x) / pass.chunks),
        chunk(static_cast<int>(blockIdx.x) % pass.chunks),
        column(static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * kWide),
        count(min(kWide, pass.columns - column)),
        begin(chunk * pass.chunk),
        first(begin + threadIdx.y),
        end(count > 0 ? min(pass.rows, begin + pass.chunk) : 0) {}

  // Index of the first element of a row.
  __device__ int64_t at(const ColumnPass& pass, int64_t row) const {
    return (sample * pass.rows + row) * pass.columns + column;
  }
  // The last row of this thread, for a walk backwards.
  __device__ int64_t last() const {
    return first + (end - 1 - first) / static_cast<int>(blockDim.y) * blockDim.y;
  }
};

// Rows of a thread that are under way together: 64 bytes of each tensor, or one row where its
// elements are loaded one by one.
template <class T, bool packed>
inline constexpr int kRowBatch = packed ? 8 / static_cast<int>(sizeof(T)) : 1;

// One row of a thread: its number, and the index of its first element.
struct ColumnRow {
  int64_t row, at;
  // Of eight columns among the bits of a relu.
  template <bool packed>
  __device__ int64_t word(const ColumnThread& t, const ColumnPass& pass) const {
    if constexpr (packed) return at / kWide;
    return (t.sample * pass.rows + row) * wide_groups(pass.columns) + t.column / kWide;
  }
};

// Calls load(i, row) for the i-th row of each `batch` of a thread's rows, then use(i, row): the
// loads of a batch are under way together, which a compiler does not see to where stores or
// conditions lie between them.
template <int batch, class Load, class Use>
__device__ __forceinline__ void walk_rows(const ColumnThread& t, const ColumnPass& pass,
                                          const Load& load, const Use& use) {
  const int step = static_cast<int>(blockDim.y);
  const int64_t stride = int64_t{step} * pass.columns;
  int64_t at = t.at(pass, t.first);
  int left = static_cast<int>(max(t.end - t.first, int64_t{0}));
  for (; left > 0; left -= batch * step, at += batch * stride) {
#pragma unroll
    for (int i = 0; i < batch; ++i)
      if (i * step < left) load(i, ColumnRow{t.end - left + i * step, at + i * stride});
#pragma unroll
    for (int i = 0; i < batch; ++i)
      if (i * step < left) use(i, ColumnRow{t.end - left + i * step, at + i * stride});
  }
}
// The same from the last row to the first.
template <int batch, class Load, class Use>
__device__ __forceinline__ void walk_rows_backwards(const ColumnThread& t, const ColumnPass& pass,
                                                    const Load& load, const Use& use) {
  const int64_t step = blockDim.y, stride = step * pass.columns, last = t.last();
  ColumnRow first{last, t.at(pass, last)};
  for (; first.row >= t.first; first.row -= batch * step, first.at -= batch * stride) {
#pragma unroll
    for (int i = 0; i < batch; ++i)
      if (first.row - i * step >= t.first)
        load(i, ColumnRow{first.row - i * step, first.at - i * stride});
#pragma unroll
    for (int i = 0; i < batch; ++i)
      if (first.row - i * step >= t.first)
        use(i, ColumnRow{first.row - i * step, first.at - i * stride});
  }
}

template <int K> __device__ __forceinline__ void add_wide(Wide (&a)[K], const Wide (&b)[K]) {
#pragma unroll
  for (int k = 0; k < K; ++k)
#pragma unroll
    for (int i = 0; i < kWide; ++i) a[k][i] += b[k][i];
}

// Joins the values of all threads of a column into those of its first thread: join(mine, others).
template <int K, class Join>
__device__ __forceinline__ void join_rows(Wide (&mine)[K], const Join& join) {
  SHARED(float, handed, [K][kWide][kColumnThreads / 2]);
  for (int half = blockDim.y / 2; half > 0; half /= 2) {
    const int y = threadIdx.y, slot = y % half * blockDim.x + threadIdx.x;
    if (y >= half && y < 2 * half)
      for (int k = 0; k < K; ++k)
        for (int i = 0; i < kWide; ++i) handed[k][i][slot] = mine[k][i];
    __syncthreads();
    if (y < half) {
      Wide others[K];
      for (int k = 0; k < K; ++k)
        for (int i = 0; i < kWide; ++i) others[k][i] = handed[k][i][slot];
      join(mine, others);
    }
    __syncthreads();
  }
}

// Chan, Golub, LeVeque 1983: the count, mean and sum of squared deviations of two parts together.
__device__ __forceinline__ void join_moments(Wide (&a)[3], const Wide (&b)[3]) {
#pragma unroll
  for (int i = 0; i < kWide; ++i) {
    const float count = a[0][i] + b[0][i], d = b[1][i] - a[1][i];
    const float share = count > 0.0f ? b[0][i] / count : 0.0f;
    a[1][i] += d * share;
    a[2][i] += b[2][i] + d * d * share * a[0][i];
    a[0][i] = count;
  }
}

// What comes after the sums of a block have been written, where another kernel joins them.
struct JoinedLater {
  __device__ void operator()(float*, const ColumnPass&) const {}
};

// moments (samples * chunks, 2, columns): mean and sum of squared deviations of each chunk, by
// Welford's recurrence along a thread's rows. Then `joined(moments, pass)`.
template <class T, bool packed, class Joined> __global__ void __launch_bounds__(kColumnThreads, 2)
    column_moments_kernel(float* moments, const T* __restrict__ x, ColumnPass pass, Joined joined) {
  constexpr int kBatch = 2 * kRowBatch<T, packed>;
  const ColumnThread t(pass);
  Eight<T> rows[kBatch];
  Wide sums[3] = {};  // count, mean, squares
  float count = 0.0f;
  walk_rows<kBatch>(
      t, pass,
      [&](int i, const ColumnRow& row) { rows[i] = load_eight<packed>(x + row.at, t.count); },
      [&](int i, const ColumnRow&) {
        const Wide v = widen(rows[i]);
        count += 1.0f;
        const float share = __frcp_rn(count);
#pragma unroll
        for (int c = 0; c < kWide; ++c) {
          const float d = v[c] - sums[1][c];
          sums[1][c] += d * share;
          sums[2][c] += d * (v[c] - sums[1][c]);
        }
      });
  for (int i = 0; i < kWide; ++i) sums[0][i] = count;
  join_rows(sums, [](Wide(&a)[3], const Wide(&b)[3]) { join_moments(a, b); });
  if (threadIdx.y == 0 && t.count > 0) {
    float* own = moments + int64_t{blockIdx.x} * 2 * pass.columns + t.column;
    store_wide(own, sums[1], t.count, packed);
    store_wide(own + pass.columns, sums[2], t.count, packed);
  }
  joined(moments, pass);
}

// How the gradient that enters a relu is found again in backward.
enum class Gate {
  open,  // there was no relu
  sign,  // from the sign of gamma * xhat + beta, computed again
  bits,  // from the signs that the forward pass kept
};

// mean and rstd (samples, groups), gamma and beta (columns); a group has `width` columns.
struct NormStatistics {
  const float *mean = nullptr, *rstd = nullptr, *gamma = nullptr, *beta = nullptr;
  int groups = 0, width = 1;

  __device__ Wide mean_of(const ColumnThread& t) const {
    Wide wide;
#pragma unroll
    for (int i = 0; i < kWide; ++i)
      wide[i] = i < t.count ? mean[t.sample * groups + (t.column + i) / width] : 0.0f;
    return wide;
  }
  // gamma * rstd
  __device__ Wide scale_of(const ColumnThread& t) const {
    Wide wide;
#pragma unroll
    for (int i = 0; i < kWide; ++i) {
      const int group = t.sample * groups + (t.column + i) / width;
      wide[i] = i < t.count ? gamma[t.column + i] * rstd[group] : 0.0f;
    }
    return wide;
  }
};

// One formula for the result and for the gate of its gradient: both must see the same bits.
__device__ __forceinline__ float normalised(float x, float mean, float scale, float beta) {
  return fmaf(x - mean, scale, beta);
}

// y = norm(x) [+ residual], then relu when asked, keeping the signs when `bits` (a byte for eight
// columns) is given. NaN passes through.
template <class T, bool packed> __global__ void __launch_bounds__(kColumnThreads, 2)
    normalise_kernel(T* __restrict__ y, uint8_t* __restrict__ bits, const T* __restrict__ x,
                     const T* __restrict__ residual, NormStatistics s, bool relu, ColumnPass pass) {
  constexpr int kBatch = kRowBatch<T, packed>;
  const ColumnThread t(pass);
  if (t.first >= t.end) return;
  const Wide mean = s.mean_of(t), scale = s.scale_of(t);
  const Wide beta = load_wide(s.beta + t.column, t.count, false);
  Eight<T> rows[kBatch], residuals[kBatch];
  walk_rows_backwards<kBatch>(
      t, pass,
      [&](int i, const ColumnRow& row) {
        rows[i] = load_eight<packed>(x + row.at, t.count);
        if (residual) residuals[i] = load_eight<packed>(residual + row.at, t.count);
      },
      [&](int i, const ColumnRow& row) {
        Wide v = widen(rows[i]);
#pragma unroll
        for (int c = 0; c < kWide; ++c) v[c] = normalised(v[c], mean[c], scale[c], beta[c]);
        if (residual) {
          const Wide added = widen(residuals[i]);
#pragma unroll
          for (int c = 0; c < kWide; ++c) v[c] += added[c];
        }
        if (bits) {
          unsigned signs = 0;
#pragma unroll
          for (int c = 0; c < kWide; ++c) signs |= (v[c] > 0.0f ? 1u : 0u) << c;
          bits[row.word<packed>(t, pass)] = static_cast<uint8_t>(signs);
        }
        if (relu) {
#pragma unroll
          for (int c = 0; c < kWide; ++c) v[c] = v[c] < 0.0f ? 0.0f : v[c];
        }
        store_wide(y + row.at, v, t.count, packed);
      });
}

// What the backward passes read of a batch of rows.
template <Gate gate, bool packed, class T, int batch> struct GradientRows {
  Eight<T> x[batch], dy[batch];
  unsigned signs[gate == Gate::bits ? batch : 1];

  __device__ __forceinline__ void load(int i, const T* __restrict__ from_x,
                                       const T* __restrict__ from_dy,
                                       const uint8_t* __restrict__ bits, const ColumnThread& t,
                                       const ColumnPass& pass, const ColumnRow& row) {
    x[i] = load_eight<packed>(from_x + row.at, t.count);
    dy[i] = load_eight<packed>(from_dy + row.at, t.count);
    if constexpr (gate == Gate::bits) signs[i] = bits[row.word<packed>(t, pass)];
  }
  // The gradient before the relu, of eight columns of row i, whose x is `v`.
  __device__ __forceinline__ Wide gated(int i, const Wide& v, const Wide& mean, const Wide& scale,
                                        const Wide& beta) const {
    Wide g = widen(dy[i]);
#pragma unroll
    for (int c = 0; c < kWide; ++c) {
      if constexpr (gate == Gate::bits) g[c] = signs[i] >> c & 1u ? g[c] : 0.0f;
      if constexpr (gate == Gate::sign)
        g[c] = normalised(v[c], mean[c], scale[c], beta[c]) > 0.0f ? g[c] : 0.0f;
    }
    return g;
  }
};

// sums (samples * chunks, 2, columns): of dy' and of dy' * (x - mean). Then `joined(sums, pass)`.
template <Gate gate, bool packed, class T, class Joined>
__global__ void __launch_bounds__(kColumnThreads, 2)
    norm_products_kernel(float* sums, const T* __restrict__ dy, const T* __restrict__ x,
                         const uint8_t* __restrict__ bits, NormStatistics s, ColumnPass pass,
                         Joined joined) {
  // The scales and shifts of eight columns take the registers of a row.
  constexpr int kMost = kRowBatch<T, packed>;
  constexpr int kBatch = gate == Gate::sign && kMost > 2 ? kMost - 1 : kMost;
  const ColumnThread t(pass);
  const Wide mean = s.mean_of(t), scale = gate == Gate::sign ? s.scale_of(t) : Wide{};
  const Wide beta = gate == Gate::sign ? load_wide(s.beta + t.column, t.count, false) : Wide{};
  GradientRows<gate, packed, T, kBatch> rows;
  Wide total[2] = {};
  walk_rows<kBatch>(
      t, pass, [&](int i, const ColumnRow& row) { rows.load(i, x, dy, bits, t, pass, row); },
      [&](int i, const ColumnRow&) {
        const Wide v = widen(rows.x[i]), g = rows.gated(i, v, mean, scale, beta);
#pragma unroll
        for (int c = 0; c < kWide; ++c) {
          total[0][c] += g[c];
          total[1][c] += g[c] * (v[c] - mean[c]);
        }
      });
  join_rows(total, [](Wide(&a)[2], const Wide(&b)[2]) { add_wide(a, b); });
  if (threadIdx.y == 0 && t.count > 0) {
    float* own = sums + int64_t{blockIdx.x} * 2 * pass.columns + t.column;
    store_wide(own, total[0], t.count, packed);
    store_wide(own + pass.columns, total[1], t.count, packed);
  }
  joined(sums, pass);
}

// dx = scale * dy' - slope * (x - mean) - offset, plus what is `added`, and the residual's gradient
// dy'. Any of the three may be null. slope and offset are (samples, 2, columns) in one piece.
template <Gate gate, bool packed, class T> __global__ void __launch_bounds__(kColumnThreads, 2)
    norm_gradient_kernel(T* __restrict__ dx, T* __restrict__ dresidual, const T* __restrict__ added,
                         const T* __restrict__ dy, const T* __restrict__ x,
                         const uint8_t* __restrict__ bits, const float* __restrict__ slopes,
                         NormStatistics s, ColumnPass pass) {
  constexpr int kBatch = packed ? 2 : 1;  // four tensors of more rows do not fit the registers
  const ColumnThread t(pass);
  if (t.first >= t.end) return;
  const Wide mean = s.mean_of(t), scale = s.scale_of(t);
  const Wide beta = gate == Gate::sign ? load_wide(s.beta + t.column, t.count, false) : Wide{};
  const float* own = slopes + int64_t{t.sample} * 2 * pass.columns + t.column;
  const Wide slope = load_wide(own, t.count, false);
  const Wide offset = load_wide(own + pass.columns, t.count, false);
  GradientRows<gate, packed, T, kBatch> rows;
  Eight<T> more[kBatch];
  walk_rows_backwards<kBatch>(
      t, pass,
      [&](int i, const ColumnRow& row) {
        rows.load(i, x, dy, bits, t, pass, row);
        if (added) more[i] = load_eight<packed>(added + row.at, t.count);
      },
      [&](int i, const ColumnRow& row) {
        const Wide v = widen(rows.x[i]), g = rows.gated(i, v, mean, scale, beta);
        if (dresidual) store_wide(dresidual + row.at, g, t.count, packed);
        if (!dx) return;
        Wide d = added ? widen(more[i]) : Wide{};
#pragma unroll
        for (int c = 0; c < kWide; ++c)
          d[c] += scale[c] * g[c] - fmaf(slope[c], v[c] - mean[c], offset[c]);
        store_wide(dx + row.at, d, t.count, packed);
      });
}

// --- joining the chunks: blocks of (32 columns, 32 slices of the chunks) ---

// There are few blocks, a warp's worth of columns in each, so what counts is how many loads are
// under way at once. On an H200, 8 slices without unrolling took 39 us for the 528 chunks of a
// batch norm.
inline constexpr int kJoinSlices = 32;
inline constexpr int kJoinThreads = 32 * kJoinSlices;
inline dim3 join_block() { return dim3(32, kJoinSlices); }

// Sums of all slices of a column, in every thread of it.
template <int K> __device__ __forceinline__ void join_slices(double (&sums)[K]) {
  SHARED(double, handed, [K][kJoinSlices][32]);
  __syncthreads();  // an earlier call may still be reading
  for (int k = 0; k < K; ++k) handed[k][threadIdx.y][threadIdx.x] = sums[k];
  __syncthreads();
  for (int k = 0; k < K; ++k) {
    sums[k] = 0;
    for (int slice = 0; slice < kJoinSlices; ++slice) sums[k] += handed[k][slice][threadIdx.x];
  }
}

// Sums over the chunks of one column of two tables, a chunk `stride` numbers after the other.
__device__ __forceinline__ void join_chunk_products(double (&products)[2],
                                                    const float* __restrict__ first,
                                                    const float* __restrict__ second,
                                                    int64_t stride, int chunks, int column,
                                                    int columns) {
  products[0] = products[1] = 0;
  const int end = column < columns ? chunks : 0;
#pragma unroll 4
  for (int c = threadIdx.y; c < end; c += kJoinSlices) {
    products[0] += first[c * stride + column];
    products[1] += second[c * stride + column];
  }
  join_slices(products);
}

inline unsigned join_blocks(int columns) { return static_cast<unsigned>((columns + 31) / 32); }

}  // namespace passband::cuda
