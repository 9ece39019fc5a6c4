// How the sums of a pass over columns are joined in the launch that makes them: the last block of a
// group of chunks joins those of the group, the last of these blocks the groups. Joined in f64, in
// a fixed order, so a run is repeatable whichever block comes last.
//
// Bound: latency, after the pass itself. For the 528 chunks of a pass over 64 to 256 columns each
// of the two blocks reads some 23 sums of a column, four at a time, from the second-level cache.
// Considered: a launch of its own, which waits for all blocks to end and for its own to begin; one
// level, where a single block would read 528 sums of a column, 1 MB for 256 columns; the consumer
// joining them, in each of its blocks.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cuda/last_block.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/norm_columns.cuh"

namespace passband::cuda {

// Of the chunks of a pass; the groups of a tile of columns count their blocks at counters of their
// own, and the tile its groups at one more. Where a tile has several chunks, all tiles have
// kColumnBlocks together at most: no pass needs more counters than that.
static_assert(kColumnBlocks <= kArrivals);
struct ColumnGroups {
  int chunks, size, count;
  unsigned* arrivals = cuda::arrivals();

  explicit ColumnGroups(const ColumnPass& pass) : chunks(pass.chunks), size(pass.chunks) {
    constexpr int kOneGroup = 32;
    if (chunks > kOneGroup)
      for (size = 1; size * size < chunks;) ++size;
    count = (chunks + size - 1) / size;
  }
  // (parts, 2, columns): the chunks' sums, and then the groups'.
  Tensor scratch(const ColumnPass& pass, const Tensor& x) const {
    return Tensor::empty({chunks + count, 2, pass.columns}, DType::f32, x.device());
  }
};

// Some rows of a pass, in `count` parts of `size` rows, fewer in the last: what each of them has of
// a column is at `from`, and 2 * columns further for the next.
struct ColumnParts {
  const float* from;
  int64_t rows, size;
  int count;
};

// The sums of all threads of a column in the first of them; `width` columns stand side by side.
template <int K> __device__ __forceinline__ void add_slices(double (&sums)[K], int width) {
  SHARED(double, handed, [K][kColumnThreads]);
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  __syncthreads();  // an earlier call may still be reading
#pragma unroll
  for (int k = 0; k < K; ++k) handed[k][thread] = sums[k];
  __syncthreads();
  for (int other = thread + width; thread < width && other < kColumnThreads; other += width)
#pragma unroll
    for (int k = 0; k < K; ++k) sums[k] += handed[k][other];
}

// Mean and sum of squared deviations, from those of the parts. `slice` of `slices` threads.
struct JoinMoments {
  static __device__ void join(double (&joined)[2], const ColumnParts& parts, int columns, int slice,
                              int slices) {
    // Deviations from the first part's mean: little cancels in the sum of their squares.
    const double base = parts.count > 0 ? parts.from[0] : 0.0;
    double sums[3] = {};
#pragma unroll 4
    for (int part = slice; part < parts.count; part += slices) {
      const float* const own = parts.from + int64_t{2} * part * columns;
      const double rows = static_cast<double>(min(parts.size, parts.rows - part * parts.size));
      const double d = own[0] - base;
      sums[0] += rows * d;
      sums[1] += rows * d * d;
      sums[2] += own[columns];
    }
    add_slices(sums, kColumnThreads / slices);
    const double n = static_cast<double>(parts.rows), excess = sums[0] / n;
    joined[0] = base + excess;
    joined[1] = sums[2] + (sums[1] - n * excess * excess);
  }
};

struct JoinProducts {
  static __device__ void join(double (&joined)[2], const ColumnParts& parts, int columns, int slice,
                              int slices) {
    joined[0] = joined[1] = 0;
#pragma unroll 4
    for (int part = slice; part < parts.count; part += slices) {
      const float* const own = parts.from + int64_t{2} * part * columns;
      joined[0] += own[0];
      joined[1] += own[columns];
    }
    add_slices(joined, kColumnThreads / slices);
  }
};

// What comes after a block's sums have been written to `sums`, laid out by ColumnGroups: of the
// last block of a tile of columns, finish(column, joined) in a thread for each column. All threads
// call.
template <class Join, class Finish>
__device__ __forceinline__ void join_columns(float* sums, const ColumnGroups& groups,
                                             const ColumnPass& pass, const Finish& finish) {
  const int width = static_cast<int>(blockDim.x) * kWide, slices = kColumnThreads / width;
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  const int column = static_cast<int>(blockIdx.y) * width + thread % width;
  const bool active = column < pass.columns;
  const int group = static_cast<int>(blockIdx.x) / groups.size, first = group * groups.size;
  ColumnParts parts{sums + int64_t{2} * first * pass.columns + column, 0, pass.chunk,
                    min(groups.size, groups.chunks - first)};
  parts.rows = min(pass.rows, (first + parts.count) * pass.chunk) - first * pass.chunk;
  unsigned* const arrivals = groups.arrivals + blockIdx.y * (groups.count + 1);
  for (unsigned* counter = arrivals + group;; counter = arrivals + groups.count) {
    if (groups.chunks == 1) __syncthreads();
    else if (!is_last_block(counter, parts.count)) return;
    ColumnParts own = parts;
    if (!active) own.count = 0;
    double joined[2];
    Join::join(joined, own, pass.columns, thread / width, slices);
    const bool mine = active && thread < width;
    if (parts.rows == pass.rows) {
      if (mine) finish(column, joined);
      return;
    }
    float* const to = sums + int64_t{2} * (groups.chunks + group) * pass.columns + column;
    if (mine) {
      to[0] = static_cast<float>(joined[0]);
      to[pass.columns] = static_cast<float>(joined[1]);
    }
    parts = {sums + int64_t{2} * groups.chunks * pass.columns + column, pass.rows,
             groups.size * pass.chunk, groups.count};
  }
}

}  // namespace passband::cuda
