// The tiles of a matrix product, where they come from and go to: the work of a block, and what
// becomes of a sum before it is rounded and stored (the epilogue).
#pragma once
#include "tensor/cuda/product_operands.cuh"

namespace passband::cuda {

// Blocks are numbered so that neighbours share the rows of a, and all of b stays in the cache:
// columns first, then rows, parts of k, batches.
struct ProductGrid {
  int m = 0, n = 0, k = 0, batch = 1;
  int parts = 1;       // of k, each summed by blocks of its own
  int part_depth = 0;  // k of a part
  Divisor column_tiles, row_tiles, part_count;
};

struct BlockTile {
  int row, column, batch, part, k_begin, k_end;

  __device__ BlockTile(const ProductGrid& grid, int tile_m, int tile_n) {
    column = static_cast<int>(blockIdx.x);
    row = grid.column_tiles.split(column);
    part = grid.row_tiles.split(row);
    batch = grid.part_count.split(part);
    row *= tile_m;
    column *= tile_n;
    k_begin = part * grid.part_depth;
    k_end = min(grid.k, k_begin + grid.part_depth);
  }
};

// The usual epilogue: what becomes of a sum whose bias is added, and of the residual (0 where there
// is none). Others are written where they are used.
struct AddResidual {
  static constexpr bool kKeepsSum = false;  // the sum, its bias added, is stored as well
  // the results are summed along columns, before they are rounded
  static constexpr bool kSumsColumns = false;
  template <class A> static __device__ A finish(A sum, A residual) { return sum + residual; }
};

// The result, row-major, with an optional bias (n) and residual. Its rows may be pixels of a
// coarser grid inside an image (every stride-th from `first` on), as in the input gradient of a
// strided convolution.
template <class T, class Epilogue = AddResidual> struct ProductOutput {
  using Element = T;
  using Finish = Epilogue;

  T* data = nullptr;
  int64_t stride = 0, batch_stride = 0;
  const T* bias = nullptr;      // moves by bias_stride from product to product of a batch
  const T* residual = nullptr;  // laid out as the result
  T* kept_sum = nullptr;        // laid out as the result; may be null
  // (lines, n), a line for each block or warp of rows; may be null
  Accumulate<T>* column_sums = nullptr;
  int64_t bias_stride = 0;
  bool aligned = false;  // whole, aligned runs of 16 bytes everywhere
  bool scattered = false;
  Divisor grid_rows, grid_columns;
  int64_t image_pixels = 0, row_pixels = 0, column_pixels = 0;  // steps, in pixels, when scattered

  __device__ int64_t offset(int row, int batch) const {
    int64_t pixel = row;
    if (scattered) {
      int column = row;
      int line = grid_columns.split(column);
      const int image = grid_rows.split(line);
      pixel = image * image_pixels + line * row_pixels + column * column_pixels;
    }
    return pixel * stride + batch * batch_stride;
  }
};

// The parts of a split product: partial sums (part, batch, m, n), added up by a second kernel in a
// fixed order.
template <class A> struct PartialSums {
  A* data = nullptr;  // null: the product is not split

  // Sums of neighbouring columns, `count` of them within the result.
  template <int width> __device__ __forceinline__ void store(const ProductGrid& grid,
                                                             const BlockTile& tile,
                                                             const A (&sums)[width], int row,
                                                             int column, int count) const {
    const int64_t product = int64_t{tile.part} * grid.batch + tile.batch;
    A* const to = data + (product * grid.m + row) * grid.n + column;
    constexpr int kPack = kPackWidth<A>;
    if (grid.n % kPack == 0 && count == width) {
#pragma unroll
      for (int i = 0; i < width; i += kPack) {
        Pack<A, kPack> pack;
#pragma unroll
        for (int j = 0; j < kPack; ++j) pack[j] = sums[i + j];
        store_pack(to + i, pack);
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < width; ++i)
      if (i < count) to[i] = sums[i];
  }
};

// Adds the bias to `count` neighbouring sums of one row, hands them to the epilogue, rounds and
// stores them. Leaves the results in `sums`.
template <int width, class T, class Finish, class A>
__device__ __forceinline__ void finish_run(const ProductOutput<T, Finish>& out, A (&sums)[width],
                                           int row, int column, int batch, int count) {
  const int64_t at = out.offset(row, batch) + column;
  const T* const bias = out.bias ? out.bias + batch * out.bias_stride + column : nullptr;
  const T* const residual = out.residual ? out.residual + at : nullptr;
  if (out.aligned && count == width) {
    constexpr int kPack = width < kPackWidth<T> ? width : kPackWidth<T>;
#pragma unroll
    for (int i = 0; i < width; i += kPack) {
      Pack<T, kPack> result, kept, more_bias{}, more_residual{};
      if (bias) more_bias = load_pack<kPack>(bias + i);
      if (residual) more_residual = load_pack<kPack>(residual + i);
#pragma unroll
      for (int j = 0; j < kPack; ++j) {
        A& sum = sums[i + j];
        if (bias) sum += static_cast<A>(more_bias[j]);
        kept[j] = static_cast<T>(sum);
        sum = Finish::finish(sum, static_cast<A>(more_residual[j]));
        result[j] = static_cast<T>(sum);
      }
      store_pack(out.data + at + i, result);
      if constexpr (Finish::kKeepsSum)
        if (out.kept_sum) store_pack(out.kept_sum + at + i, kept);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < width; ++i) {
    if (i >= count) break;
    A& sum = sums[i];
    if (bias) sum += static_cast<A>(bias[i]);
    if constexpr (Finish::kKeepsSum)
      if (out.kept_sum) out.kept_sum[at + i] = static_cast<T>(sum);
    sum = Finish::finish(sum, residual ? static_cast<A>(residual[i]) : A(0));
    out.data[at + i] = static_cast<T>(sum);
  }
}

// `width` neighbouring sums of a block, to wherever they go; those outside the result go nowhere.
// The results are added to `columns` where the epilogue sums them.
template <int width, class T, class Finish, class A>
__device__ __forceinline__ void store_run(const ProductOutput<T, Finish>& out,
                                          const PartialSums<A>& partial, const ProductGrid& grid,
                                          const BlockTile& tile, A (&sums)[width], int row,
                                          int column, A (&columns)[width]) {
  const int count = min(width, grid.n - column);
  if (row >= grid.m || count <= 0) return;
  if (partial.data) return partial.store(grid, tile, sums, row, column, count);
  finish_run(out, sums, row, column, tile.batch, count);
  if constexpr (Finish::kSumsColumns) {
#pragma unroll
    for (int i = 0; i < width; ++i) columns[i] += sums[i];
  }
}

// A line of column sums, `width` neighbours of it.
template <int width, class T, class Finish, class A>
__device__ __forceinline__ void store_columns(const ProductOutput<T, Finish>& out,
                                              const ProductGrid& grid, const A (&columns)[width],
                                              int line, int column) {
#pragma unroll
  for (int i = 0; i < width; ++i)
    if (column + i < grid.n) out.column_sums[int64_t{line} * grid.n + column + i] = columns[i];
}

}  // namespace passband::cuda
