// Where the tiles of a matrix product come from and go to: the work of a block, and the result with what is added.
#pragma once
#include "tensor/cuda/product_operands.cuh"

namespace passband::cuda {

// Blocks are numbered so that neighbours share the rows of a, and all of b stays in the cache: columns first, then
// rows, parts of k, batches.
struct ProductGrid {
  int m = 0, n = 0, k = 0, batch = 1;
  int parts = 1;       // of k, each summed by blocks of its own
  int part_depth = 0;  // k of a part
  Divider column_tiles, row_tiles, part_count;
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

// The result, row-major, with an optional bias (n) and residual. Its rows may be pixels of a coarser grid inside an
// image (every stride-th from `first` on), as in the input gradient of a strided convolution.
template <class T> struct ProductOutput {
  T* data = nullptr;
  int64_t stride = 0, batch_stride = 0;
  const T* bias = nullptr;      // moves by bias_step from product to product of a batch
  const T* residual = nullptr;  // laid out as the result
  int64_t bias_stride = 0;
  bool aligned = false;         // whole, aligned runs of 16 bytes everywhere
  bool scattered = false;
  Divider grid_rows, grid_columns;
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

// The parts of a split product: partial sums (part, batch, m, n), added up by a second kernel in a fixed order.
template <class A> struct PartialSums {
  A* data = nullptr;  // null: the product is not split

  // Sums of neighbouring columns, `count` of them within the result.
  template <int width>
  __device__ __forceinline__ void store(const ProductGrid& grid, const BlockTile& tile, const A (&sums)[width],
                                        int row, int column, int count) const {
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

// Adds bias and residual to `count` neighbouring sums of one row, rounds and stores them.
template <class T, int width, class A>
__device__ __forceinline__ void finish_run(const ProductOutput<T>& out, const A (&sums)[width], int row, int column,
                                           int batch, int count) {
  const int64_t at = out.offset(row, batch) + column;
  const T* const bias = out.bias ? out.bias + batch * out.bias_stride + column : nullptr;
  const T* const residual = out.residual ? out.residual + at : nullptr;
  if (out.aligned && count == width) {
    constexpr int kPack = width < kPackWidth<T> ? width : kPackWidth<T>;
#pragma unroll
    for (int i = 0; i < width; i += kPack) {
      Pack<T, kPack> result, more_bias{}, more_residual{};
      if (bias) more_bias = load_pack<kPack>(bias + i);
      if (residual) more_residual = load_pack<kPack>(residual + i);
#pragma unroll
      for (int j = 0; j < kPack; ++j) {
        A sum = sums[i + j];
        if (bias) sum += static_cast<A>(more_bias[j]);
        if (residual) sum += static_cast<A>(more_residual[j]);
        result[j] = static_cast<T>(sum);
      }
      store_pack(out.data + at + i, result);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < width; ++i) {
    if (i >= count) break;
    A sum = sums[i];
    if (bias) sum += static_cast<A>(bias[i]);
    if (residual) sum += static_cast<A>(residual[i]);
    out.data[at + i] = static_cast<T>(sum);
  }
}

// `width` neighbouring sums of a block, to wherever they go; those outside the result go nowhere.
template <class T, int width, class A>
__device__ __forceinline__ void store_run(const ProductOutput<T>& out, const PartialSums<A>& partial,
                                          const ProductGrid& grid, const BlockTile& tile, const A (&sums)[width],
                                          int row, int column) {
  const int count = min(width, grid.n - column);
  if (row >= grid.m || count <= 0) return;
  if (partial.data) partial.store(grid, tile, sums, row, column, count);
  else finish_run<T, width, A>(out, sums, row, column, tile.batch, count);
}

}  // namespace passband::cuda
