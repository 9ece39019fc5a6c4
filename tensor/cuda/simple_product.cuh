// A matrix product on the ordinary arithmetic units, for f32 and f64 at full precision. A block of
// 256 threads makes a tile of 64 x 64, each thread 4 x 4 of it, from stages of 16 steps of k in
// shared memory.
//
// Bound: the f32 units (H200: 67 TFLOP/s). A stage of 64 x 64 x 16 is 65,536 multiply-adds for 8 KB
// read, 16 FLOP a byte, from the second-level cache mostly; in shared memory a thread reads 8
// numbers for 16 multiply-adds, as two 16-byte accesses that the rows of a warp share, so those
// take half of the arithmetic's time. The next stage is on its way in registers while the present
// one is multiplied.
#pragma once
#include "tensor/cuda/product_output.cuh"

namespace passband::cuda {

struct SimpleTile {
  static constexpr int kSide = 64, kDepth = 16, kThreads = 256, kLoads = kSide * kDepth / kThreads;
};

// One operand's stage: fetched into registers, then put into shared memory as [k][side].
template <class Source, class A> class SimpleStage {
 public:
  using Shared = A[SimpleTile::kDepth][SimpleTile::kSide + 4];

  // Neighbouring threads read neighbouring elements of a line.
  __device__ void fetch(const Source& source, int first, int k0) {
#pragma unroll
    for (int i = 0; i < SimpleTile::kLoads; ++i) {
      const int side = first + side_of(i), k = k0 + depth_of(i);
      const bool by_k = Source::major == Major::k;
      const auto* found = source.find(source.line(by_k ? side : k), source.place(by_k ? k : side));
      values_[i] = found ? static_cast<A>(*found) : A(0);
    }
  }
  __device__ void put(Shared& shared) const {
#pragma unroll
    for (int i = 0; i < SimpleTile::kLoads; ++i) shared[depth_of(i)][side_of(i)] = values_[i];
  }

 private:
  static __device__ int element(int i) {
    return static_cast<int>(threadIdx.x) + i * SimpleTile::kThreads;
  }
  static __device__ int depth_of(int i) {
    return Source::major == Major::k ? element(i) % SimpleTile::kDepth
                                     : element(i) / SimpleTile::kSide;
  }
  static __device__ int side_of(int i) {
    return Source::major == Major::k ? element(i) / SimpleTile::kDepth
                                     : element(i) % SimpleTile::kSide;
  }

  A values_[SimpleTile::kLoads];
};

// Adds the column sums of a block's 16 rows of threads; stores them as the line of this block.
template <class Output, class A> __device__ __forceinline__ void add_columns(
    const Output& out, const ProductGrid& grid, const BlockTile& tile, const A (&columns)[4],
    A (&shared)[SimpleTile::kDepth][SimpleTile::kSide + 4]) {
  static_assert(SimpleTile::kDepth == 16, "a row of shared memory for each row of threads");
#pragma unroll
  for (int i = 0; i < 4; ++i) shared[threadIdx.x / 16][threadIdx.x % 16 * 4 + i] = columns[i];
  __syncthreads();
  if (threadIdx.x >= SimpleTile::kSide) return;
  A sum[1] = {};
  for (int row = 0; row < 16; ++row) sum[0] += shared[row][threadIdx.x];
  store_columns(out, grid, sum, tile.row / SimpleTile::kSide,
                tile.column + static_cast<int>(threadIdx.x));
}

template <class SourceA, class SourceB, class Output>
__global__ void __launch_bounds__(SimpleTile::kThreads)
    simple_product_kernel(SourceA a, SourceB b, Output out,
                          PartialSums<Accumulate<typename Output::Element>> partial,
                          ProductGrid grid) {
  using A = Accumulate<typename Output::Element>;
  SHARED(A, a_tile, [SimpleTile::kDepth][SimpleTile::kSide + 4]);
  SHARED(A, b_tile, [SimpleTile::kDepth][SimpleTile::kSide + 4]);
  const BlockTile tile(grid, SimpleTile::kSide, SimpleTile::kSide);
  a.select(tile.batch);
  b.select(tile.batch);
  const int x = threadIdx.x % 16 * 4, y = threadIdx.x / 16 * 4;
  SimpleStage<SourceA, A> next_a;
  SimpleStage<SourceB, A> next_b;
  A sums[4][4] = {};
  next_a.fetch(a, tile.row, tile.k_begin);
  next_b.fetch(b, tile.column, tile.k_begin);
  for (int k0 = tile.k_begin; k0 < tile.k_end; k0 += SimpleTile::kDepth) {
    next_a.put(a_tile);
    next_b.put(b_tile);
    __syncthreads();
    if (k0 + SimpleTile::kDepth < tile.k_end) {
      next_a.fetch(a, tile.row, k0 + SimpleTile::kDepth);
      next_b.fetch(b, tile.column, k0 + SimpleTile::kDepth);
    }
#pragma unroll
    for (int k = 0; k < SimpleTile::kDepth; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sums[i][j] += a_tile[k][y + i] * b_tile[k][x + j];
    __syncthreads();
  }
  A columns[4] = {};
#pragma unroll
  for (int i = 0; i < 4; ++i)
    store_run(out, partial, grid, tile, sums[i], tile.row + y + i, tile.column + x, columns);
  if constexpr (Output::Finish::kSumsColumns)
    if (out.column_sums) add_columns(out, grid, tile, columns, a_tile);
}

}  // namespace passband::cuda
