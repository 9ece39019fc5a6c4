// Shared by attention's kernels: where tokens lie, tiles of them in shared memory, logits.
#pragma once
#include <algorithm>
#include <limits>

#include "tensor/cuda/reduce.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/cuda/warp_tile.cuh"
#include "tensor/cuda/wide.cuh"
#include "tensor/ops/attention/attention_kernels.h"

namespace passband::cuda {

inline constexpr int kOwnTiles = 8;  // of 16 rows that a block works on: one for each of its warps
inline constexpr int64_t kMostDepth = 128;
inline constexpr int kKeyTiles = 4;  // of 16 keys that pass by at a time

// AttentionShape with numbers that kernels count in.
struct AttentionLayout {
  int groups, tokens, heads, depth;
  int height, width, window_height, window_width, shift;
  int table_columns;  // 0: no bias; 1: one for all heads; else heads
  float scale;
  bool packed;  // rows of a head may be moved 16 bytes at a time

  __device__ int side() const { return 2 * window_width - 1; }
  __device__ int entries() const { return side() * side(); }
};

// A token of a window and a head, as the rows of a tile are labelled. The entry of the table of
// relative positions for a query and a key is key.code - query.code + the code of the middle.
struct alignas(16) Token {
  int row = -1;  // of a (batch * height * width, ...) tensor; -1: no token, a row of zeros
  int head = 0;
  int code = 0;
  int wrapped = -1;  // tokens of different values do not see each other; -1: no token
};

__device__ __forceinline__ Token token_of(const AttentionLayout& s, int group, int head, int t) {
  if (t >= s.tokens || group >= s.groups) return {};
  const int across = s.width / s.window_width;
  const int windows = across * (s.height / s.window_height), window = group % windows;
  const int y = t / s.window_width, x = t % s.window_width;
  const int r = window / across * s.window_height + y, c = window % across * s.window_width + x;
  const int row = (r + s.shift) % s.height, column = (c + s.shift) % s.width;
  return {(group / windows * s.height + row) * s.width + column, head, y * s.side() + x,
          (r >= s.height - s.shift) + 2 * (c >= s.width - s.shift)};
}

// How (group, head) pairs are dealt to blocks. Short windows share a block: a slot each. `own` rows
// of a slot stay, 16 to a warp; rows of the other operand pass by, `other` of a slot at a time.
struct AttentionBlocks {
  int slots = 1, warps = 1, parts = 1;  // warps of a slot; parts: blocks along the rows of a pair
  int other = 0;
  int chunk = 1;  // groups that a slot works on one after another

  AttentionBlocks(const AttentionLayout& s, int tile_rows, int own_tiles = kOwnTiles) {
    const int tiles = (s.tokens + kTile - 1) / kTile;
    other = std::min(tile_rows, tiles * kTile);
    while (2 * other * slots <= tile_rows && 2 * slots <= own_tiles) slots *= 2;
    parts = (tiles * slots + own_tiles - 1) / own_tiles;
    warps = (tiles + parts - 1) / parts;
  }
  __host__ __device__ int own() const { return warps * kTile; }
  unsigned threads() const { return static_cast<unsigned>(slots * warps * 32); }
  int64_t tasks(const AttentionLayout& s) const {
    return int64_t{(s.groups + chunk - 1) / chunk} * s.heads;
  }
  unsigned grid(const AttentionLayout& s) const {
    const int64_t blocks = (tasks(s) + slots - 1) / slots * parts;
    PASSBAND_CHECK(blocks <= std::numeric_limits<int32_t>::max(), "attention: ", s.groups,
                   " windows of ", s.heads, " heads are too many for one launch");
    return static_cast<unsigned>(blocks);
  }
};

// Blocks of as many warps as the device's shared memory has room for: bytes(blocks) is what their
// tiles take.
template <class Bytes>
AttentionBlocks fitted(const AttentionLayout& s, int tile_rows, const Bytes& bytes) {
  constexpr size_t kStatic = 4096;  // what the kernels declare beside the tiles
  int own_tiles = kOwnTiles;
  while (own_tiles > 1 &&
         bytes(AttentionBlocks(s, tile_rows, own_tiles)) + kStatic > shared_memory_limit())
    own_tiles /= 2;
  return AttentionBlocks(s, tile_rows, own_tiles);
}

// The slot that a row of `rows` per slot belongs to, and what it works on.
struct SlotTask {
  int slot, chunk, head;
  __device__ SlotTask(const AttentionLayout& s, const AttentionBlocks& blocks, int slot)
      : slot(slot) {
    const int task = static_cast<int>(blockIdx.x) / blocks.parts * blocks.slots + slot;
    chunk = task / s.heads;
    head = task % s.heads;
  }
};

// Labels `slots` * rows rows: tokens `first` and on, of step `step` of each slot's chunk.
__device__ __forceinline__ void find_tokens(Token* tokens, int rows, int first, int step,
                                            const AttentionLayout& s,
                                            const AttentionBlocks& blocks) {
  for (int i = threadIdx.x; i < rows * blocks.slots; i += blockDim.x) {
    const SlotTask task(s, blocks, i / rows);
    tokens[i] = token_of(s, task.chunk * blocks.chunk + step, task.head, first + i % rows);
  }
}

// Copies the rows of a tile, `depth` elements of a head each, into shared memory; zeros elsewhere.
// `from`: column 0 of head 0, in rows of `width`. Ends in a group of asynchronous copies.
template <int tiles, class T>
__device__ __forceinline__ void fetch_tile(T* __restrict__ to, const Token* tokens, int rows,
                                           const T* __restrict__ from, int width,
                                           const AttentionLayout& s) {
  constexpr int kRuns = 2 * tiles, kStride = tiles * kTile + kTilePadding;
  for (int i = threadIdx.x; i < rows * kRuns; i += blockDim.x) {
    const int row = i / kRuns, c = i % kRuns * 8;
    const Token token = tokens[row];
    const bool valid = token.row >= 0 && c < s.depth;
    const T* source = valid ? from + int64_t{token.row} * width + token.head * s.depth + c : from;
    T* target = to + row * kStride + c;
    if (s.packed) {
#pragma unroll
      for (int k = 0; k < 8; k += kPackWidth<T>)
        async_copy<16>(target + k, source + (valid ? k : 0), valid);
    } else {
#pragma unroll
      for (int k = 0; k < 8; ++k) target[k] = valid && c + k < s.depth ? source[k] : T(0.0f);
    }
  }
  async_copy_commit();
}

// Rows of a warp's own tile from shared memory to rows of `width`, 16 bytes at a time.
template <int tiles, class T>
__device__ __forceinline__ void write_rows(T* __restrict__ to, const Token* tokens,
                                           const T* __restrict__ from, int width,
                                           const AttentionLayout& s) {
  constexpr int kRuns = 2 * tiles, kStride = tiles * kTile + kTilePadding;
  for (int i = threadIdx.x % 32; i < kTile * kRuns; i += 32) {
    const int row = i / kRuns, c = i % kRuns * 8;
    const Token token = tokens[row];
    if (token.row < 0 || c >= s.depth) continue;
    T* target = to + int64_t{token.row} * width + token.head * s.depth + c;
    const T* source = from + row * kStride + c;
    if (s.packed) {
#pragma unroll
      for (int k = 0; k < 8; k += kPackWidth<T>)
        store_pack(target + k, load_pack<kPackWidth<T>>(source + k));
    } else {
      for (int k = 0; k < min(8, s.depth - c); ++k) target[k] = source[k];
    }
  }
}

// The results of a warp's 16 rows, times `factor`, to rows of `width`, by way of its own tile.
template <int tiles, class T>
__device__ __forceinline__ void write_tile(T* __restrict__ to, const Token* tokens, T* own,
                                           TileSums (&sums)[tiles], float factor, int width,
                                           const AttentionLayout& s) {
  constexpr int kStride = tiles * kTile + kTilePadding;
  __syncwarp();  // the tile has been read
#pragma unroll
  for (int d = 0; d < tiles; ++d) {
#pragma unroll
    for (int i = 0; i < 8; ++i) sums[d].values[i / 4][i / 2 % 2][i % 2] *= factor;
    store(own + d * kTile, kStride, sums[d]);
  }
  __syncwarp();
  write_rows<tiles>(to, tokens, own, width, s);
}

// sums[n] (16 own rows, 16 rows n of the other tile) = products of the rows along the depth, for
// the `count` rows there are.
template <int tiles, int columns, class T>
__device__ __forceinline__ void multiply_rows(TileSums (&sums)[columns], const T* own,
                                              const T* other, int count, int depth) {
  constexpr int kStride = tiles * kTile + kTilePadding;
#pragma unroll
  for (int n = 0; n < columns; ++n) sums[n] = {};
#pragma unroll
  for (int d = 0; d < tiles; ++d) {
    if (d * kTile >= depth) break;
    LeftTile<T> left;
    load(left, own + d * kTile, kStride);
#pragma unroll
    for (int n = 0; n < columns; ++n) {
      if (n * kTile >= count) break;
      RightTile<T> right;
      load_columns(right, other + n * kTile * kStride + d * kTile, kStride);
      multiply(sums[n], left, right);
    }
  }
}

// sums[d] (16 own rows, 16 of the depth) += weights (own rows, rows of the other tile) * the tile.
template <int tiles, int columns, class T>
__device__ __forceinline__ void add_weighted(TileSums (&sums)[tiles],
                                             const TileSums (&weights)[columns], const T* other,
                                             int count, int depth) {
  constexpr int kStride = tiles * kTile + kTilePadding;
#pragma unroll
  for (int n = 0; n < columns; ++n) {
    if (n * kTile >= count) break;
    const LeftTile<T> left = left_of<T>(weights[n]);
#pragma unroll
    for (int d = 0; d < tiles; ++d) {
      if (d * kTile >= depth) break;
      RightTile<T> right;
      load_rows(right, other + n * kTile * kStride + d * kTile, kStride);
      multiply(sums[d], left, right);
    }
  }
}

// f(n, b, r, j, column) for the elements (16 own rows, 16 * columns) that a lane has; `column`
// counts rows of the other tile.
template <int columns, class F> __device__ __forceinline__ void for_elements(const F& f) {
  const LaneInTile lane;
#pragma unroll
  for (int n = 0; n < columns; ++n)
#pragma unroll
    for (int b = 0; b < 2; ++b)
#pragma unroll
      for (int j = 0; j < 2; ++j)
#pragma unroll
        for (int r = 0; r < 2; ++r) f(n, b, r, j, n * kTile + 8 * b + 2 * lane.t + j);
}

// The logit of a pair from the product of its query and key; -infinity where they do not see each
// other. `bias`: the table of the head, or null.
__device__ __forceinline__ float logit_of(float product, const Token& query, const Token& key,
                                          const float* __restrict__ bias,
                                          const AttentionLayout& s) {
  const int middle = (s.window_width - 1) * (s.side() + 1);
  float logit = product * s.scale;
  if (bias) logit += bias[key.code - query.code + middle];
  return key.wrapped == query.wrapped ? logit : -INFINITY;
}

// Calls f with the padded depth in tiles of 16, as a compile-time constant.
template <class F> void dispatch_depth(int64_t depth, const F& f) {
  PASSBAND_CHECK(depth <= kMostDepth, "attention: heads of ", depth,
                 " channels; on a GPU they have at most ", kMostDepth, ", use more heads");
  if (depth <= 32) return f(std::integral_constant<int, 2>{});
  if (depth <= 64) return f(std::integral_constant<int, 4>{});
  f(std::integral_constant<int, 8>{});
}

AttentionLayout attention_layout(const AttentionShape& shape, const Tensor& bias, bool packed);
// attention_whole_cuda.cu: bf16, for windows that is_whole (attention_whole.cuh) is true of.
void attention_whole_forward(Tensor y, Tensor statistics, const Tensor& qkv, const Tensor& tables,
                             const AttentionLayout& s);
// The bias of every head in f32, (table columns, entries); undefined without a bias.
Tensor attention_tables(const Tensor& bias);

}  // namespace passband::cuda
