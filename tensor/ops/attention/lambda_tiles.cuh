// Shared by the lambda layer's kernels: a block's images, queries and contexts, tiles of them in
// shared memory, and the two products that every kernel begins with.
//
// A block has `images` images and `queries` neighbouring positions of them. The scores of a query
// are a product with its own part of the embedding, the same for all images: rows (image, head).
// The product of scores and values is one of each image, for all queries: rows (query, head). So
// scores pass through shared memory, in rows (image, query, head), written by the one and read by
// the other. More than 16 heads are worked on 16 at a time.
//
// The content lambda is applied by the same kernels. With the queries themselves for scores and its
// rows for values, it is `depth` more contexts: y = sum of S v + sum over k of q content.
#pragma once
#include <algorithm>
#include <initializer_list>
#include <limits>

#include "tensor/cuda/reduce.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/cuda/warp_tile.cuh"
#include "tensor/cuda/wide.cuh"
#include "tensor/ops/attention/lambda_kernels.h"

namespace passband::cuda {

inline constexpr int kLambdaWarps = 8;
inline constexpr int kLambdaThreads = 32 * kLambdaWarps;
inline constexpr int kMostContexts = 64;
inline constexpr int kContextTiles = kMostContexts / kTile;
inline constexpr int kUnits = 2;       // tiles of rows that a warp has: 16 in a block
inline constexpr int kValueTiles = 4;  // 64 channels of the values at a time
inline constexpr int kValues = kValueTiles * kTile;
inline constexpr int kValueLine = kValues + kTilePadding;
inline constexpr int kMostLambdaDepth = 64;
inline constexpr int kDepthTiles = kMostLambdaDepth / kTile;

struct LambdaGrid {
  int batch = 0, height = 0, width = 0, heads = 0, depth = 0, intra = 0, value = 0;
  int reach_y = 0, reach_x = 0, radius_y = 0, radius_x = 0, table_width = 0, table_size = 0;
  int depth_pad = 0, depth_line = 0;      // whole tiles; a row in shared memory
  int group = 0, head_groups = 0;         // heads that are worked on together
  int images = 0, queries = 0, rows = 0;  // of a block; rows (query, head) of an image, whole tiles
  int contexts = 0, context_line = 0;
  bool packed_values = false, packed_depth = false;

  __host__ __device__ int positions() const { return height * width; }
  __host__ __device__ int image_groups() const { return (batch + images - 1) / images; }
  __host__ __device__ int query_groups() const { return (positions() + queries - 1) / queries; }
  __host__ __device__ int value_chunks() const { return (value + kValues - 1) / kValues; }
  // Tiles of contexts that the rows of the content lambda fill.
  __host__ __device__ int content_tiles() const { return (depth + contexts - 1) / contexts; }
};

// The inputs as the kernels read them.
template <class T> struct LambdaInputs {
  const T *q, *values, *dy;
  const T* table;     // (u, table size, depth_pad): the embedding, zeros after the depth
  const T* content;   // (batch, depth, value): the content lambda and the embedding's bias
  const float* keys;  // (batch, positions, u, depth): softmax over the positions
};

// --- tiles in dynamic shared memory ---

// The tiles that a kernel uses beside the scores.
struct LambdaParts {
  bool values = false, gradients = false, queries = false, tables = false;
};

template <class T> struct LambdaMemory {
  T *scores, *values, *gradients, *queries, *tables;

  // Lays out the parts one after the other; null for those that the kernel does not use.
  __device__ LambdaMemory(T* shared, const LambdaGrid& s, LambdaParts parts) {
    const auto take = [&](bool wanted, int rows, int line) {
      T* const part = wanted ? shared : nullptr;
      if (wanted) shared += rows * line;
      return part;
    };
    scores = take(true, s.images * s.rows + 1, s.context_line);  // and a row of zeros
    values = take(parts.values, s.images * s.contexts, kValueLine);
    gradients = take(parts.gradients, s.images * s.rows, kValueLine);
    queries = take(parts.queries, s.queries * kTile, s.depth_line);
    tables = take(parts.tables, kLambdaWarps * s.contexts, s.depth_line);
  }
  static size_t bytes(const LambdaGrid& s, LambdaParts parts) {
    const int elements = (s.images * s.rows + 1) * s.context_line +
                         parts.values * s.images * s.contexts * kValueLine +
                         parts.gradients * s.images * s.rows * kValueLine +
                         parts.queries * s.queries * kTile * s.depth_line +
                         parts.tables * kLambdaWarps * s.contexts * s.depth_line;
    return elements * sizeof(T);
  }
  __device__ T* table_of_warp(const LambdaGrid& s) const {
    return tables + static_cast<int>(threadIdx.x) / 32 * s.contexts * s.depth_line;
  }
};

// The grid with tiles that fit into the device's shared memory, whatever a kernel uses of them:
// fewer contexts at a time, then fewer images in a block, then fewer positions. `uses` are the
// parts of the kernels that share the grid.
template <class T> LambdaGrid fitted(LambdaGrid s, std::initializer_list<LambdaParts> uses) {
  constexpr size_t kStatic = 2048;  // what the kernels declare beside the tiles
  const auto fits = [&] {
    return std::all_of(uses.begin(), uses.end(), [&](LambdaParts parts) {
      return LambdaMemory<T>::bytes(s, parts) + kStatic <= shared_memory_limit();
    });
  };
  while (!fits() && (s.contexts > kTile || s.images > 1 || s.queries > 1)) {
    if (s.contexts > kTile) s.contexts -= kTile;
    else if (s.images > 1) s.images = (s.images + 1) / 2;
    else s.queries = (s.queries + 1) / 2;
    s.context_line = s.contexts + kTilePadding;
    s.rows = (s.queries * s.group + kTile - 1) / kTile * kTile;
  }
  return s;
}

// Rows of a tile that begin `line` elements apart: `columns` elements each, then zeros up to whole
// runs of eight. packed: the source's rows can be read by packs.
struct LambdaRows {
  int line, rows, runs, columns;
  bool packed = false;
};

// Fills such rows: source(row) is their first element, or null for a row of zeros. `any` is an
// address that may be named where nothing is read.
template <class T, class From, class Source>
__device__ __forceinline__ void fill_rows(T* to, const LambdaRows& shape, const From* any,
                                          const Source& source) {
  for (int i = threadIdx.x; i < shape.rows * shape.runs; i += kLambdaThreads) {
    const int row = i / shape.runs, c = i % shape.runs * 8;
    const From* from = c < shape.columns ? source(row) : nullptr;
    T* const target = to + row * shape.line + c;
    if constexpr (std::is_same_v<T, From>) {
      if (shape.packed) {
#pragma unroll
        for (int k = 0; k < 8; k += kPackWidth<T>)
          async_copy<16>(target + k, from ? from + c + k : any, from != nullptr);
        continue;
      }
    }
#pragma unroll
    for (int k = 0; k < 8; ++k)
      target[k] = from && c + k < shape.columns ? T(static_cast<float>(from[c + k])) : T(0.0f);
  }
}

// --- what a block works on ---

struct LambdaPlace {
  int first_image, first_query, first_head, heads;

  __device__ LambdaPlace(const LambdaGrid& s, int image_group, int first_query, int head_group)
      : first_image(image_group * s.images),
        first_query(first_query),
        first_head(head_group * s.group),
        heads(min(s.group, s.heads - first_head)) {}

  // Row of a (batch, positions, heads) tensor; -1 where there is none.
  __device__ int64_t row(const LambdaGrid& s, int image, int query, int head) const {
    const int b = first_image + image, n = first_query + query;
    if (b >= s.batch || n >= s.positions() || query >= s.queries || head >= heads) return -1;
    return (int64_t{b} * s.positions() + n) * s.heads + first_head + head;
  }
};

struct Context {
  int position = -1, y = 0, x = 0;  // -1: none
};

// The contexts that some of the queries from `first_query` on reach: a rectangle of the map.
struct Reach {
  int top, left, columns, count;

  __host__ __device__ Reach(const LambdaGrid& s, int first_query) {
    const int last =
        (first_query + s.queries < s.positions() ? first_query + s.queries : s.positions()) - 1;
    const int y0 = first_query / s.width, y1 = last / s.width;
    const int x0 = y0 == y1 ? first_query % s.width : 0;
    const int x1 = y0 == y1 ? last % s.width : s.width - 1;
    top = y0 > s.reach_y ? y0 - s.reach_y : 0;
    left = x0 > s.reach_x ? x0 - s.reach_x : 0;
    const int bottom = y1 + s.reach_y + 1 < s.height ? y1 + s.reach_y + 1 : s.height;
    const int right = x1 + s.reach_x + 1 < s.width ? x1 + s.reach_x + 1 : s.width;
    columns = right - left;
    count = (bottom - top) * columns;
  }
  __device__ Context context(const LambdaGrid& s, int j) const {
    if (j >= count) return {};
    const int y = top + j / columns, x = left + j % columns;
    return {y * s.width + x, y, x};
  }
};

// Index of the embedding for a query and a context, -1 beyond its reach.
__device__ __forceinline__ int table_row(const LambdaGrid& s, int query, const Context& context) {
  if (context.position < 0 || query >= s.positions()) return -1;
  const int dy = context.y - query / s.width, dx = context.x - query % s.width;
  if (abs(dy) > s.reach_y || abs(dx) > s.reach_x) return -1;
  return (dy + s.radius_y) * s.table_width + dx + s.radius_x;
}

// Rows of scores, for the row (image, head) of a query's product. Rows past the last image are
// the row of zeros when read.
struct ScoreRows {
  int base, count;  // of query 0; -1: none

  __device__ ScoreRows(const LambdaGrid& s, int row)
      : base(row < s.images * s.group ? row / s.group * s.rows + row % s.group : -1),
        count(s.images * s.rows) {}
  __device__ int of(const LambdaGrid& s, int query) const {
    return base < 0 ? count : base + query * s.group;
  }
};

// --- fetching ---

// The queries of a block: for each position 16 rows (image, head).
template <class T> __device__ __forceinline__ void fetch_queries(T* to, const T* __restrict__ q,
                                                                 const LambdaPlace& place,
                                                                 const LambdaGrid& s) {
  fill_rows(to,
            {.line = s.depth_line,
             .rows = s.queries * kTile,
             .runs = s.depth_pad / 8,
             .columns = s.depth,
             .packed = s.packed_depth},
            q, [&](int i) -> const T* {
              const int row = i % kTile, image = row / s.group;
              const int64_t at =
                  image < s.images ? place.row(s, image, i / kTile, row % s.group) : -1;
              return at < 0 ? nullptr : q + at * s.depth;
            });
}

// dy of a block, 64 channels from `first_value` on: for each image rows (query, head).
template <class T>
__device__ __forceinline__ void fetch_gradients(T* to, const T* __restrict__ dy, int first_value,
                                                const LambdaPlace& place, const LambdaGrid& s) {
  fill_rows(to,
            {.line = kValueLine,
             .rows = s.images * s.rows,
             .runs = kValues / 8,
             .columns = s.value - first_value,
             .packed = s.packed_values},
            dy, [&](int i) -> const T* {
              const int row = i % s.rows;
              const int64_t at = place.row(s, i / s.rows, row / s.group, row % s.group);
              return at < 0 ? nullptr : dy + at * s.value + first_value;
            });
}

// The values of the contexts, or rows of the content lambda from `content_row` on when that is not
// negative: for each image a row per context.
template <class T> __device__ __forceinline__ void fetch_values(T* to, const LambdaInputs<T>& in,
                                                                const Context* contexts, int u,
                                                                int content_row, int first_value,
                                                                const LambdaPlace& place,
                                                                const LambdaGrid& s) {
  fill_rows(
      to,
      {.line = kValueLine,
       .rows = s.images * s.contexts,
       .runs = kValues / 8,
       .columns = s.value - first_value,
       .packed = s.packed_values},
      in.values, [&](int i) -> const T* {
        const int64_t b = place.first_image + i / s.contexts;
        const int j = i % s.contexts;
        if (b >= s.batch) return nullptr;
        if (content_row >= 0) {
          const int k = content_row + j;
          return k < s.depth ? in.content + (b * s.depth + k) * s.value + first_value : nullptr;
        }
        const int m = contexts[j].position;
        return m < 0 ? nullptr
                     : in.values + ((b * s.positions() + m) * s.intra + u) * s.value + first_value;
      });
}

// How many contexts of a tile there is work for, in whole tiles of 16: rows of the content lambda
// from `content_row` on when that is not negative, else those of the `left` contexts in reach that
// fit.
__device__ __forceinline__ int used_contexts(const LambdaGrid& s, int content_row, int left) {
  const int count = content_row >= 0 ? s.depth - content_row : left;
  return min(s.contexts, (count + kTile - 1) / kTile * kTile);
}

// A warp's own tile: for each context the row of the embedding for `query`; for content rows, of
// the identity, so that products with it are the queries (or their gradient) themselves.
template <class T> __device__ __forceinline__ void gather_table(T* to, const LambdaInputs<T>& in,
                                                                int query, int u, int content_row,
                                                                const Context* contexts, int used,
                                                                const LambdaGrid& s) {
  const int runs = s.depth_pad / kPackWidth<T>;
  __syncwarp();  // the last query's rows have been read
  for (int i = threadIdx.x % 32; i < used * runs; i += 32) {
    const int j = i / runs, c = i % runs * kPackWidth<T>;
    Pack<T, kPackWidth<T>> pack;
#pragma unroll
    for (int k = 0; k < kPackWidth<T>; ++k)
      pack[k] = T(content_row >= 0 && content_row + j == c + k ? 1.0f : 0.0f);
    const int row = content_row >= 0 ? -1 : table_row(s, query, contexts[j]);
    if (row >= 0)
      pack =
          load_pack<kPackWidth<T>>(in.table + (int64_t{u} * s.table_size + row) * s.depth_pad + c);
    store_pack(to + j * s.depth_line + c, pack);
  }
  __syncwarp();
}

// --- products ---

// Zeros for the rows of scores that no query has: they take part in sums over rows.
template <class T> __device__ __forceinline__ void clear_scores(T* scores, const LambdaGrid& s) {
  for (int i = threadIdx.x; i < (s.images * s.rows + 1) * s.context_line; i += kLambdaThreads)
    scores[i] = T(0.0f);
}

// scores = q E: every query of the block against the first `used` contexts.
template <class T>
__device__ __forceinline__ void find_scores(const LambdaMemory<T>& memory,
                                            const LambdaInputs<T>& in, const Context* contexts,
                                            int u, int content_row, int used, int first_query,
                                            const LambdaGrid& s) {
  const LaneInTile lane;
  T* const table = memory.table_of_warp(s);
  const ScoreRows rows[2] = {{s, lane.g}, {s, lane.g + 8}};
  for (int qi = threadIdx.x / 32; qi < s.queries; qi += kLambdaWarps) {
    gather_table(table, in, first_query + qi, u, content_row, contexts, used, s);
    const T* q = memory.queries + qi * kTile * s.depth_line;
    for (int m = 0; m < used; m += kTile) {
      TileSums sums = {};
      for (int d = 0; d < s.depth_pad; d += kTile) {
        LeftTile<T> left;
        RightTile<T> right;
        load(left, q + d, s.depth_line);
        load_columns(right, table + m * s.depth_line + d, s.depth_line);
        multiply(sums, left, right);
      }
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        if (rows[r].base < 0) continue;
        T* const to = memory.scores + rows[r].of(s, qi) * s.context_line + m + 2 * lane.t;
#pragma unroll
        for (int b = 0; b < 2; ++b) {
          Pack<T, 2> pair;
          pair[0] = T(sums.values[b][r][0]);
          pair[1] = T(sums.values[b][r][1]);
          store_pack(to + 8 * b, pair);
        }
      }
    }
  }
}

// The tiles of 16 of an image's rows (query, head), or of its contexts, that a warp works on:
// f(unit, image, first).
template <class F>
__device__ __forceinline__ void for_units(const LambdaGrid& s, int rows, const F& f) {
  const int tiles = rows / kTile;
#pragma unroll
  for (int unit = 0; unit < kUnits; ++unit) {
    const int i = static_cast<int>(threadIdx.x) / 32 + unit * kLambdaWarps;
    if (i < s.images * tiles) f(unit, i / tiles, i % tiles * kTile);
  }
}

// The contexts that a step looks at: of intra channel u, or rows of the content lambda from
// `content_row` on when that is not negative; the first `used` of a tile.
struct LambdaStep {
  int u, content_row, used;
  bool first;  // of a place: dy is not there yet
};

// scores = dy v^T for the contexts of a step, summed over the channels 64 at a time. Fetches what
// it needs; dy stays from step to step when all its channels fit.
template <class T>
__device__ __forceinline__ void find_dscores(const LambdaMemory<T>& memory,
                                             const LambdaInputs<T>& in, const Context* contexts,
                                             const LambdaStep& step, const LambdaPlace& place,
                                             const LambdaGrid& s) {
  TileSums sums[kUnits][kContextTiles] = {};
  for (int v = 0; v < s.value; v += kValues) {
    __syncthreads();  // the last chunk has been read
    fetch_values(memory.values, in, contexts, step.u, step.content_row, v, place, s);
    if (step.first || s.value > kValues) fetch_gradients(memory.gradients, in.dy, v, place, s);
    async_copy_commit();
    async_copy_wait<0>();
    __syncthreads();
    for_units(s, s.rows, [&](int unit, int image, int row) {
#pragma unroll
      for (int d = 0; d < kValueTiles; ++d) {
        if (v + d * kTile >= s.value) break;
        LeftTile<T> left;
        load(left, memory.gradients + (image * s.rows + row) * kValueLine + d * kTile, kValueLine);
#pragma unroll
        for (int m = 0; m < kContextTiles; ++m) {
          if (m * kTile >= step.used) break;
          RightTile<T> right;
          load_columns(right,
                       memory.values + (image * s.contexts + m * kTile) * kValueLine + d * kTile,
                       kValueLine);
          multiply(sums[unit][m], left, right);
        }
      }
    });
  }
  for_units(s, s.rows, [&](int unit, int image, int row) {
#pragma unroll
    for (int m = 0; m < kContextTiles; ++m)
      if (m * kTile < step.used)
        store(memory.scores + (image * s.rows + row) * s.context_line + m * kTile, s.context_line,
              sums[unit][m]);
  });
  __syncthreads();
}

// f(row, column, value) for the elements of a tile that a lane has.
template <class F> __device__ __forceinline__ void for_sums(const TileSums& sums, const F& f) {
  const LaneInTile lane;
#pragma unroll
  for (int b = 0; b < 2; ++b)
#pragma unroll
    for (int r = 0; r < 2; ++r)
#pragma unroll
      for (int j = 0; j < 2; ++j) f(lane.g + 8 * r, 8 * b + 2 * lane.t + j, sums.values[b][r][j]);
}

// --- host ---

LambdaGrid lambda_grid(const LambdaShape& shape, DType dtype);
// The embedding as the kernels read it.
Tensor lambda_table(const Tensor& embedding, const LambdaGrid& s, DType dtype);
// Softmax of the keys over the positions, in f32.
Tensor lambda_keys(const Tensor& keys, const LambdaGrid& s);
// The content lambda with the embedding's bias.
Tensor lambda_content(const Tensor& keys, const Tensor& values, const Tensor& embedding_bias,
                      const LambdaGrid& s);

// The published order as dense products (lambda_dense_cuda.cu): y; and every gradient but the keys'
// and the bias', which follow from dcontent (batch, depth, value).
template <class T>
void lambda_dense_forward(Tensor y, const LambdaInputs<T>& in, const LambdaGrid& s);
template <class T> void lambda_dense_backward(LambdaTensors dx, Tensor dcontent,
                                              const LambdaInputs<T>& in, const LambdaGrid& s);

}  // namespace passband::cuda
