// Launches a matrix product: which kernel, how large a tile, into how many parts k is split.
//
//     run_product(a, b, output, {.m = m, .n = n, .k = k, .batch = batch}, x.device());
//
// Splitting k keeps all multiprocessors busy where the result is small and the sum long (weight
// gradients). The parts go to memory as f32 and a second kernel adds them in order, or whoever adds
// the result to something else: the bits depend on the shape alone, neither on the device nor on
// chance.
#pragma once
#include <algorithm>

#include "tensor/core/kernel_source.h"
#include "tensor/core/tensor.h"
#include "tensor/cuda/product_output.cuh"
#include "tensor/cuda/simple_product.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/cuda/warpgroup_product.cuh"

namespace passband::cuda {

struct ProductSize {
  int64_t m = 0, n = 0, k = 0, batch = 1;
  // Unless null, where the sums of a product that is split along k are left, (parts, batch m, n):
  // there is then no result.
  Tensor* parts = nullptr;
};

// result (batch, m, n) = the epilogue of the sum of partial (parts, batch, m, n). Bound by memory:
// each partial sum is read once, by neighbouring threads in 16-byte runs.
template <class A, class Output> __global__ void sum_parts_kernel(const A* __restrict__ partial,
                                                                  Output out, int parts, int batch,
                                                                  int m, int n) {
  constexpr int kWidth = 4;
  const int runs = (n + kWidth - 1) / kWidth;
  const int64_t count = int64_t{batch} * m * runs, product = int64_t{batch} * m * n;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * blockDim.x) {
    const int64_t line = i / runs;
    const int column = static_cast<int>(i % runs) * kWidth, width = min(kWidth, n - column);
    const A* from = partial + line * n + column;
    A sums[kWidth] = {};
    for (int part = 0; part < parts; ++part, from += product)
#pragma unroll
      for (int j = 0; j < kWidth; ++j)
        if (j < width) sums[j] += from[j];
    finish_run(out, sums, static_cast<int>(line % m), column, static_cast<int>(line / m), width);
  }
}

constexpr int64_t kLeastDepth = 256;  // of a part of k: less would not repay writing its sums out

inline ProductGrid product_grid(const ProductSize& size, int tile_m, int tile_n, int depth,
                                bool in_parts) {
  constexpr int64_t kWantedBlocks = 264;  // two for each multiprocessor of an H200
  PASSBAND_CHECK(size.m <= INT32_MAX && size.n <= INT32_MAX && size.k <= INT32_MAX,
                 "matmul: a side of ", size.m, " x ", size.n, " x ", size.k,
                 " is more than a kernel counts");
  const int64_t rows = ceil_divide(size.m, tile_m), columns = ceil_divide(size.n, tile_n);
  const int64_t tiles = rows * columns * size.batch, stages = ceil_divide(size.k, depth);
  int64_t parts = std::clamp<int64_t>(std::min(kWantedBlocks / tiles, size.k / kLeastDepth), 1,
                                      in_parts ? 64 : 1);
  const int64_t part_stages = std::max<int64_t>(ceil_divide(stages, parts), 1);
  parts = std::max<int64_t>(ceil_divide(stages, part_stages), 1);
  PASSBAND_CHECK(tiles * parts <= INT32_MAX, "matmul: ", tiles * parts,
                 " tiles are more than a launch can have");
  ProductGrid grid;
  grid.m = static_cast<int>(size.m);
  grid.n = static_cast<int>(size.n);
  grid.k = static_cast<int>(size.k);
  grid.batch = static_cast<int>(size.batch);
  grid.parts = static_cast<int>(parts);
  grid.part_depth = static_cast<int>(part_stages * depth);
  grid.column_tiles = Divisor(columns);
  grid.row_tiles = Divisor(rows);
  grid.part_count = Divisor(parts);
  return grid;
}

// Runs `kernel(output, partial sums or none)` and adds the parts up where there are several, unless
// they are to be left.
template <class Output, class Launch> void run_in_parts(const Output& out, const ProductGrid& grid,
                                                        Tensor* left, Device device,
                                                        Launch&& kernel) {
  using A = Accumulate<typename Output::Element>;
  if (grid.parts == 1) return kernel(out, PartialSums<A>{});
  Tensor sums =
      Tensor::empty({grid.parts, int64_t{grid.batch} * grid.m, grid.n}, dtype_of<A>(), device);
  kernel(out, PartialSums<A>{sums.data<A>()});
  if (left) {
    *left = sums;
    return;
  }
  const int64_t runs = int64_t{grid.batch} * grid.m * ceil_divide(grid.n, 4);
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(ceil_divide(runs, 256), 4096));
  launch({.grid = blocks, .block = 256, .stream = compute_stream()}, sum_parts_kernel<A, Output>,
         sums.data<A>(), out, grid.parts, grid.batch, grid.m, grid.n);
}

// As above, for any epilogue: sums along columns, of `rows` rows each, need the whole of k in one
// block.
template <class Output, class Launch> Tensor run_blocks(Output out, const ProductGrid& grid,
                                                        int rows, Tensor* left, Device device,
                                                        Launch&& kernel) {
  using A = Accumulate<typename Output::Element>;
  if constexpr (Output::Finish::kSumsColumns) {
    Tensor lines = Tensor::empty({ceil_divide(grid.m, rows), grid.n}, dtype_of<A>(), device);
    out.column_sums = lines.data<A>();
    kernel(out, PartialSums<A>{});
    return lines;
  } else {
    run_in_parts(out, grid, left, device, kernel);
    return {};
  }
}

template <class A, class B, class Output>
Tensor run_simple_product(const A& a, const B& b, const Output& out, const ProductSize& size,
                          Device device) {
  using Sum = Accumulate<typename Output::Element>;
  const ProductGrid grid = product_grid(size, SimpleTile::kSide, SimpleTile::kSide,
                                        SimpleTile::kDepth, !Output::Finish::kSumsColumns);
  const int64_t tiles =
      ceil_divide(size.m, SimpleTile::kSide) * ceil_divide(size.n, SimpleTile::kSide);
  const auto blocks = static_cast<unsigned>(tiles * size.batch * grid.parts);
  return run_blocks(
      out, grid, SimpleTile::kSide, size.parts, device,
      [&](const Output& to, const PartialSums<Sum>& partial) {
        launch({.grid = blocks, .block = SimpleTile::kThreads, .stream = compute_stream()},
               simple_product_kernel<A, B, Output>, a, b, to, partial, grid);
      });
}

// A product by `kernel`, whose stages hold `depth` of k.
template <class Tile, class A, class B, class Output>
Tensor run_tiles(void (*kernel)(A, B, Output, PartialSums<float>, ProductGrid), int depth,
                 const A& a, const B& b, const Output& out, const ProductSize& size,
                 Device device) {
  const ProductGrid grid =
      product_grid(size, Tile::kM, Tile::kN, depth, !Output::Finish::kSumsColumns);
  const int64_t tiles = ceil_divide(size.m, Tile::kM) * ceil_divide(size.n, Tile::kN);
  const auto blocks = static_cast<unsigned>(tiles * size.batch * grid.parts);
  return run_blocks(out, grid, Tile::kWarpM, size.parts, device,
                    [&](const Output& to, const PartialSums<float>& partial) {
                      launch({.grid = blocks,
                              .block = Tile::kThreads,
                              .shared_bytes = Tile::kSharedBytes,
                              .stream = compute_stream()},
                             kernel, a, b, to, partial, grid);
                    });
}

template <class Tile, class A, class B, class Output>
Tensor run_tensor_core_product(const A& a, const B& b, const Output& out, const ProductSize& size,
                               Device device) {
  return run_tiles<Tile>(tensor_core_product_kernel<Tile, A, B, Output>,
                         Tile::template kDepth<typename Output::Element>, a, b, out, size, device);
}

template <class Tile, class A, class B, class Output>
Tensor run_warpgroup_product(const A& a, const B& b, const Output& out, const ProductSize& size,
                             Device device) {
  return run_tiles<Tile>(warpgroup_product_kernel<Tile, A, B, Output>, Tile::kDepth, a, b, out,
                         size, device);
}

using LargeGroupTile = WarpgroupTile<256, 128, 1>;
using SmallGroupTile = WarpgroupTile<128, 64, 2>;

// The large tile multiplies at 1.3 times the rate of the small one, but leaves more multiprocessors
// without work at the end; of long sums in parts it makes too few.
inline bool wants_large_group_tile(const ProductSize& size) {
  constexpr int64_t kMultiprocessors = 132;
  constexpr double kLargeRate = 1.3;
  const int64_t large = ceil_divide(size.m, 256) * ceil_divide(size.n, 128) * size.batch;
  const int64_t small = ceil_divide(size.m, 128) * ceil_divide(size.n, 64) * size.batch;
  if (large < kMultiprocessors) return false;
  return 2.0 * double(ceil_divide(large, kMultiprocessors)) <=
         kLargeRate * double(ceil_divide(small, 2 * kMultiprocessors));
}

using LargeTile = TensorCoreTile<128, 128, 64, 64, 2>;
using MiddleTile = TensorCoreTile<128, 64, 64, 32, 3>;
using SmallTile = TensorCoreTile<64, 64, 32, 32, 4>;

// Large tiles reuse more of what they fetch; small ones waste less at the edges and keep more
// multiprocessors busy, which costs less than splitting k.
inline bool wants_large_tile(const ProductSize& size) {
  constexpr int64_t kMultiprocessors = 132;
  constexpr double kSmallTileCost = 1.3;  // for the same work
  const int64_t large = ceil_divide(size.m, 128) * ceil_divide(size.n, 128) * size.batch;
  const int64_t small = ceil_divide(size.m, 64) * ceil_divide(size.n, 64) * size.batch;
  if (large < kMultiprocessors &&
      (small >= kMultiprocessors || large * (size.k / kLeastDepth) < kMultiprocessors))
    return false;
  return 4.0 * double(large) <= kSmallTileCost * double(small);
}

// c = the epilogue of a b. Returns the sums along columns, of some rows in each line, where the
// epilogue asks for them: (lines, n).
template <class A, class B, class Output>
Tensor run_product(const A& a, const B& b, const Output& out, const ProductSize& size,
                   Device device) {
  using T = typename Output::Element;
  if constexpr (std::is_same_v<T, bf16>) {
    if (a.aligned && b.aligned && has_warpgroup_products()) {
      if constexpr (A::major == Major::k)
        if (wants_large_group_tile(size))
          return run_warpgroup_product<LargeGroupTile>(a, b, out, size, device);
      return run_warpgroup_product<SmallGroupTile>(a, b, out, size, device);
    }
    // Both operands transposed: nobody's hot product, so it has no large tile.
    if constexpr (A::major == Major::k || B::major == Major::side)
      if (wants_large_tile(size))
        return run_tensor_core_product<LargeTile>(a, b, out, size, device);
    return run_tensor_core_product<SmallTile>(a, b, out, size, device);
  } else {
    if constexpr (std::is_same_v<T, float>)
      if (tf32_allowed()) return run_tensor_core_product<MiddleTile>(a, b, out, size, device);
    return run_simple_product(a, b, out, size, device);
  }
}

// True where a line of `width` elements, starting every `stride` elements from `data` on, is made
// of aligned 16 bytes.
template <class T>
bool lines_are_aligned(const T* data, int64_t width, int64_t stride, int64_t batch_stride = 0) {
  constexpr int64_t kRun = 16 / sizeof(T);
  return is_pack_aligned<kRun>(data) && width % kRun == 0 && stride % kRun == 0 &&
         batch_stride % kRun == 0;
}

// A (batch, lines, width) operand in memory, with k along or across its lines.
template <class T, Major major>
Operand<Matrix<T>, major> matrix_operand(const Tensor& x, int64_t lines, int64_t width,
                                         int64_t batch = 1) {
  Operand<Matrix<T>, major> operand;
  operand.data = x.data<T>();
  operand.stride = width;
  operand.lines = static_cast<int>(lines);
  operand.width = static_cast<int>(width);
  operand.batch_stride = batch > 1 ? lines * width : 0;
  operand.aligned = lines_are_aligned(operand.data, width, width, operand.batch_stride);
  return operand;
}

}  // namespace passband::cuda
