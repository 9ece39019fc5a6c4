// The lambda layer on the GPU, backward. With dS = dy v^T of each image and S = q E as forward:
//   dq = dS E,  dE = dS^T q summed over images and queries,  dv = S^T dy,
// each in a kernel that owns what it writes: blocks of queries, of pairs (queries, contexts), of
// contexts. The same blocks give, with the content lambda for contexts, its part of dq and its own
// gradient; from that the keys' follows. Sums over blocks are added in a fixed order.
//
// Operations: 3 h (k + v) products per image and pair, where dS kept in memory would need 2; the
// published order needs 2 k v + 2 h k v / positions. What bounds them: as forward (lambda_cuda.cu);
// dE, summed over the images by one block, has no reuse of values between query groups either, and
// writes (positions, contexts in reach, k) in f32 once for each chunk of the images.
#include "tensor/ops/attention/lambda_tiles.cuh"

namespace passband::cuda {
namespace {

// The tiles of the three kernels below.
__host__ __device__ constexpr LambdaParts query_parts() {
  return {.values = true, .gradients = true, .tables = true};
}
__host__ __device__ constexpr LambdaParts value_parts() {
  return {.gradients = true, .queries = true, .tables = true};
}
__host__ __device__ constexpr LambdaParts table_parts() {
  return {.values = true, .gradients = true, .queries = true};
}

template <class T> __global__ void __launch_bounds__(kLambdaThreads)
    lambda_query_gradients_kernel(T* __restrict__ dq, LambdaInputs<T> in, LambdaGrid s) {
  SHARED(Context, contexts, [kMostContexts]);
  DYNAMIC_SHARED(T, shared);
  const LambdaMemory<T> memory(shared, s, query_parts());
  const int query_group = static_cast<int>(blockIdx.x) % s.query_groups();
  const LambdaPlace place(s, static_cast<int>(blockIdx.x) / s.query_groups(),
                          query_group * s.queries, static_cast<int>(blockIdx.z));
  const Reach reach(s, place.first_query);
  const int warp = threadIdx.x / 32;
  T* const table = memory.table_of_warp(s);
  clear_scores(memory.scores, s);
  TileSums sums[kUnits][kDepthTiles] = {};
  for (int u = 0; u < s.intra; ++u)
    for (int first = u == 0 ? -s.content_tiles() * s.contexts : 0; first < reach.count;
         first += s.contexts) {
      const int content_row = first < 0 ? first + s.content_tiles() * s.contexts : -1;
      const int used = used_contexts(s, content_row, reach.count - first);
      __syncthreads();  // the last tile has been read
      if (static_cast<int>(threadIdx.x) < s.contexts && first >= 0)
        contexts[threadIdx.x] = reach.context(s, first + threadIdx.x);
      find_dscores(memory, in, contexts,
                   {.u = u, .content_row = content_row, .used = used, .first = content_row == 0},
                   place, s);
#pragma unroll
      for (int unit = 0; unit < kUnits; ++unit) {
        const int qi = warp + unit * kLambdaWarps;
        if (qi >= s.queries) break;
        gather_table(table, in, place.first_query + qi, u, content_row, contexts, used, s);
        for (int m = 0; m < used; m += kTile) {
          LeftTile<T> left;
          load(left, [&](int i) -> const T* {
            return memory.scores + ScoreRows(s, i).of(s, qi) * s.context_line + m;
          });
#pragma unroll
          for (int d = 0; d < kDepthTiles; ++d) {
            if (d * kTile >= s.depth) break;
            RightTile<T> right;
            load_rows(right, table + m * s.depth_line + d * kTile, s.depth_line);
            multiply(sums[unit][d], left, right);
          }
        }
      }
    }
#pragma unroll
  for (int unit = 0; unit < kUnits; ++unit)
#pragma unroll
    for (int d = 0; d < kDepthTiles; ++d)
      for_sums(sums[unit][d], [&](int i, int column, float value) {
        const int image = i / s.group, k = d * kTile + column;
        const int64_t at =
            image < s.images ? place.row(s, image, warp + unit * kLambdaWarps, i % s.group) : -1;
        if (at >= 0 && k < s.depth) dq[at * s.depth + k] = T(value);
      });
}

// sums (contexts, channels) += transposed scores * gradients, of each image.
template <class T>
__device__ __forceinline__ void add_value_gradients(TileSums (&sums)[kUnits][kValueTiles],
                                                    const LambdaMemory<T>& memory, int used,
                                                    int channels, const LambdaGrid& s) {
  for_units(s, used, [&](int unit, int image, int context) {
    for (int row = image * s.rows; row < (image + 1) * s.rows; row += kTile) {
      LeftTile<T> left;
      load_transposed(left, [&](int i) -> const T* {
        return memory.scores + (row + i) * s.context_line + context;
      });
#pragma unroll
      for (int d = 0; d < kValueTiles; ++d) {
        if (d * kTile >= channels) break;
        RightTile<T> right;
        load_rows(right, memory.gradients + row * kValueLine + d * kTile, kValueLine);
        multiply(sums[unit][d], left, right);
      }
    }
  });
}

// Scores and gradients of the content part: the softmax of the keys from k on, and the gradient of
// the content lambda, as rows of each image.
template <class T>
__device__ __forceinline__ void fetch_content(const LambdaMemory<T>& memory,
                                              const LambdaInputs<T>& in,
                                              const float* __restrict__ dcontent,
                                              const Context* contexts, int first_image, int u,
                                              int first_k, int first_value, const LambdaGrid& s) {
  for (int i = threadIdx.x; i < s.images * s.rows * s.contexts; i += kLambdaThreads) {
    const int j = i % s.contexts, row = i / s.contexts;
    const int64_t b = first_image + row / s.rows;
    const int k = first_k + row % s.rows, m = contexts[j].position;
    const bool inside = b < s.batch && k < s.depth && m >= 0;
    memory.scores[row * s.context_line + j] =
        inside ? T(in.keys[((b * s.positions() + m) * s.intra + u) * s.depth + k]) : T(0.0f);
  }
  fill_rows(memory.gradients,
            {.line = kValueLine,
             .rows = s.images * s.rows,
             .runs = kValues / 8,
             .columns = s.value - first_value},
            dcontent, [&](int i) -> const float* {
              const int64_t b = first_image + i / s.rows;
              const int k = first_k + i % s.rows;
              return b < s.batch && k < s.depth
                         ? dcontent + (b * s.depth + k) * s.value + first_value
                         : nullptr;
            });
}

// dvalues; or, when `dvalues` is null, dcontent (batch, depth, value), which dvalues then needs.
// The bounds ask for one block a multiprocessor: without that sm_80 stops at 128 registers and
// spills.
template <class T> __global__ void __launch_bounds__(kLambdaThreads, 1)
    lambda_value_gradients_kernel(T* __restrict__ dvalues, float* __restrict__ dcontent,
                                  LambdaInputs<T> in, LambdaGrid s) {
  SHARED(Context, contexts, [kMostContexts]);
  DYNAMIC_SHARED(T, shared);
  const LambdaMemory<T> memory(shared, s, value_parts());
  const int image_group = static_cast<int>(blockIdx.x) % s.image_groups();
  const int tile = static_cast<int>(blockIdx.x) / s.image_groups();
  const int context_tiles = (s.positions() + s.contexts - 1) / s.contexts;
  const int u = dvalues ? tile / context_tiles : 0;
  const int first_context = dvalues ? tile % context_tiles * s.contexts : 0;
  const int content_row = dvalues ? -1 : tile * s.contexts;
  const int first_value = static_cast<int>(blockIdx.y) * kValues;
  const int first_image = image_group * s.images;
  if (static_cast<int>(threadIdx.x) < s.contexts) {
    const int m = first_context + static_cast<int>(threadIdx.x);
    contexts[threadIdx.x] = m < s.positions() ? Context{m, m / s.width, m % s.width} : Context{};
  }
  clear_scores(memory.scores, s);
  const int used = used_contexts(s, content_row, s.positions() - first_context);
  // Rows of queries that reach these contexts.
  const int last_context = min(first_context + s.contexts, s.positions()) - 1;
  const int top = dvalues ? max(0, first_context / s.width - s.reach_y) : 0;
  const int bottom = dvalues ? min(s.height, last_context / s.width + s.reach_y + 1) : s.height;
  TileSums sums[kUnits][kValueTiles] = {};
  for (int heads = 0; heads < s.head_groups; ++heads)
    for (int first = top * s.width; first < bottom * s.width; first += s.queries) {
      const LambdaPlace place(s, image_group, first, heads);
      __syncthreads();  // the last queries' scores have been read
      fetch_queries(memory.queries, in.q, place, s);
      fetch_gradients(memory.gradients, in.dy, first_value, place, s);
      async_copy_commit();
      async_copy_wait<0>();
      __syncthreads();
      find_scores(memory, in, contexts, u, content_row, used, first, s);
      __syncthreads();
      add_value_gradients(sums, memory, used, s.value - first_value, s);
    }
  for (int k = 0; dvalues && k < s.depth; k += s.rows) {
    __syncthreads();
    fetch_content(memory, in, dcontent, contexts, first_image, u, k, first_value, s);
    __syncthreads();
    add_value_gradients(sums, memory, used, s.value - first_value, s);
  }
  for_units(s, used, [&](int unit, int image, int context) {
    const int64_t b = first_image + image;
    if (b >= s.batch) return;
#pragma unroll
    for (int d = 0; d < kValueTiles; ++d)
      for_sums(sums[unit][d], [&](int i, int column, float value) {
        const int channel = first_value + d * kTile + column, j = context + i;
        if (channel >= s.value) return;
        const int m = contexts[j].position, k = content_row + j;
        if (dvalues && m >= 0)
          dvalues[((b * s.positions() + m) * s.intra + u) * s.value + channel] = T(value);
        if (!dvalues && k < s.depth) dcontent[(b * s.depth + k) * s.value + channel] = value;
      });
  });
}

// How the gradient of the embedding is dealt to blocks, and where their sums go: (chunks, u,
// positions, span, depth_pad), contexts counted within the reach of a query's group.
struct TableSums {
  int tiles = 0;   // of contexts, of a query group
  int chunks = 0;  // of the image groups
  int images = 0;  // groups of a chunk

  __host__ __device__ int span(const LambdaGrid& s) const { return tiles * s.contexts; }
  __device__ int64_t row(const LambdaGrid& s, int chunk, int u, int query, int context) const {
    return (((int64_t{chunk} * s.intra + u) * s.positions() + query) * span(s) + context) *
           s.depth_pad;
  }
};

template <class T> __global__ void __launch_bounds__(kLambdaThreads)
    lambda_table_gradients_kernel(float* __restrict__ partial, LambdaInputs<T> in, TableSums t,
                                  LambdaGrid s) {
  SHARED(Context, contexts, [kMostContexts]);
  DYNAMIC_SHARED(T, shared);
  const LambdaMemory<T> memory(shared, s, table_parts());
  const int tile = static_cast<int>(blockIdx.x) % t.tiles;
  const int query_group = static_cast<int>(blockIdx.x) / t.tiles % s.query_groups();
  const int chunk = static_cast<int>(blockIdx.x) / t.tiles / s.query_groups();
  const int u = static_cast<int>(blockIdx.y), depth_tile = static_cast<int>(blockIdx.z) * kTile;
  const int first_query = query_group * s.queries, first_context = tile * s.contexts;
  const Reach reach(s, first_query);
  if (first_context >= reach.count) return;
  const int used = used_contexts(s, -1, reach.count - first_context);
  if (static_cast<int>(threadIdx.x) < s.contexts)
    contexts[threadIdx.x] = reach.context(s, first_context + threadIdx.x);
  clear_scores(memory.scores, s);
  const int warp = threadIdx.x / 32;
  TileSums sums[kUnits][kContextTiles] = {};
  const int end = min(s.image_groups(), (chunk + 1) * t.images);
  for (int image_group = chunk * t.images; image_group < end; ++image_group)
    for (int heads = 0; heads < s.head_groups; ++heads) {
      const LambdaPlace place(s, image_group, first_query, heads);
      __syncthreads();  // the last images' scores have been read
      fetch_queries(memory.queries, in.q, place, s);
      find_dscores(memory, in, contexts, {.u = u, .content_row = -1, .used = used, .first = true},
                   place, s);
#pragma unroll
      for (int unit = 0; unit < kUnits; ++unit) {
        const int qi = warp + unit * kLambdaWarps;
        if (qi >= s.queries) break;
        RightTile<T> right;
        load_rows(right, memory.queries + qi * kTile * s.depth_line + depth_tile, s.depth_line);
#pragma unroll
        for (int m = 0; m < kContextTiles; ++m) {
          if (m * kTile >= used) break;
          LeftTile<T> left;
          load_transposed(left, [&](int i) -> const T* {
            return memory.scores + ScoreRows(s, i).of(s, qi) * s.context_line + m * kTile;
          });
          multiply(sums[unit][m], left, right);
        }
      }
    }
#pragma unroll
  for (int unit = 0; unit < kUnits; ++unit) {
    const int qi = warp + unit * kLambdaWarps, query = first_query + qi;
    if (qi >= s.queries || query >= s.positions()) break;
#pragma unroll
    for (int m = 0; m < kContextTiles; ++m) {
      if (m * kTile >= used) break;
      float* to = partial + t.row(s, chunk, u, query, first_context + m * kTile) + depth_tile;
      for_sums(sums[unit][m], [&](int i, int column, float value) {
        to[int64_t{i} * s.depth_pad + column] = value;
      });
    }
  }
}

constexpr int kSumSlices = 16;  // threads that share an entry's pairs

// Adds up the pairs (query, context) of each entry (table size, depth, u) and the chunks: a block
// has 16 of the depth side by side, and 16 slices of the pairs (one thread for all of them took 410
// us a layer on an H200, alone on its multiprocessor).
template <class B> __global__ void __launch_bounds__(kTile* kSumSlices, 4)
    lambda_table_sums_kernel(B* __restrict__ dtable, const float* __restrict__ partial, TableSums t,
                             LambdaGrid s) {
  SHARED(double, handed, [kSumSlices][kTile]);
  const int k = static_cast<int>(blockIdx.y * kTile + threadIdx.x);
  const int u = static_cast<int>(blockIdx.x) % s.intra,
            entry = static_cast<int>(blockIdx.x) / s.intra;
  const int dy = entry / s.table_width - s.radius_y, dx = entry % s.table_width - s.radius_x;
  const int top = max(0, -dy), left = max(0, -dx);
  const int rows = min(s.height, s.height - dy) - top, columns = min(s.width, s.width - dx) - left;
  double sum = 0;
  if (k < s.depth && abs(dy) <= s.reach_y && abs(dx) <= s.reach_x && columns > 0)
    for (int i = threadIdx.y; i < rows * columns; i += kSumSlices) {
      const int y = top + i / columns, x = left + i % columns, query = y * s.width + x;
      const Reach reach(s, query / s.queries * s.queries);
      const int context = (y + dy - reach.top) * reach.columns + x + dx - reach.left;
      for (int chunk = 0; chunk < t.chunks; ++chunk)
        sum += partial[t.row(s, chunk, u, query, context) + k];
    }
  handed[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || k >= s.depth) return;
  for (int slice = 1; slice < kSumSlices; ++slice) sum += handed[slice][threadIdx.x];
  dtable[(int64_t{entry} * s.depth + k) * s.intra + u] = B(static_cast<float>(sum));
}

// dbias[k] = sum of dcontent over images and channels: a block for each k.
template <class B> __global__ void lambda_bias_gradient_kernel(B* __restrict__ dbias,
                                                               const float* __restrict__ dcontent,
                                                               LambdaGrid s) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < int64_t{s.batch} * s.value; i += blockDim.x)
    sum += dcontent[(i / s.value * s.depth + blockIdx.x) * s.value + i % s.value];
  sum = block_sum(sum);
  if (threadIdx.x == 0) dbias[blockIdx.x] = B(static_cast<float>(sum));
}

constexpr int kKeyColumns = 16, kKeyRows = kLambdaThreads / kKeyColumns;

// dkeys = p (dp - sum over positions of p dp) with dp = dcontent v; a block for an image and u.
// dp (batch, positions, u, depth) is its own memory.
template <class T> __global__ void __launch_bounds__(kLambdaThreads)
    lambda_key_gradients_kernel(T* __restrict__ dkeys, float* __restrict__ dp,
                                const float* __restrict__ dcontent, LambdaInputs<T> in,
                                LambdaGrid s) {
  SHARED(float, handed, [kKeyRows][kKeyColumns]);
  const int64_t b = blockIdx.x;
  const int u = static_cast<int>(blockIdx.y), row = threadIdx.x / kKeyColumns;
  for (int first = 0; first < s.depth; first += kKeyColumns) {
    const int k = first + static_cast<int>(threadIdx.x) % kKeyColumns;
    float inner = 0.0f;
    for (int m = row; k < s.depth && m < s.positions(); m += kKeyRows) {
      const int64_t at = (b * s.positions() + m) * s.intra + u;
      const float* g = dcontent + (b * s.depth + k) * s.value;
      float sum = 0.0f;
      for (int v = 0; v < s.value; ++v)
        sum += g[v] * static_cast<float>(in.values[at * s.value + v]);
      dp[at * s.depth + k] = sum;
      inner += sum * in.keys[at * s.depth + k];
    }
    __syncthreads();  // the last columns' sums have been read
    handed[row][k - first] = inner;
    __syncthreads();
    inner = 0.0f;
    for (int i = 0; i < kKeyRows; ++i) inner += handed[i][k - first];
    for (int m = row; k < s.depth && m < s.positions(); m += kKeyRows) {
      const int64_t at = ((b * s.positions() + m) * s.intra + u) * s.depth + k;
      dkeys[at] = T(in.keys[at] * (dp[at] - inner));
    }
  }
}

TableSums table_sums(const LambdaGrid& s) {
  int most = 0;
  for (int first = 0; first < s.positions(); first += s.queries)
    most = std::max(most, Reach(s, first).count);
  TableSums t{.tiles = (most + s.contexts - 1) / s.contexts};
  const int64_t blocks = int64_t{t.tiles} * s.query_groups() * s.intra * (s.depth_pad / kTile);
  const int64_t numbers = int64_t{s.intra} * s.positions() * t.span(s) * s.depth_pad;
  const int64_t chunks = std::clamp<int64_t>(std::min(528 / blocks, (int64_t{1} << 26) / numbers),
                                             1, s.image_groups());
  t.images = static_cast<int>((s.image_groups() + chunks - 1) / chunks);
  t.chunks = (s.image_groups() + t.images - 1) / t.images;
  return t;
}

template <class T>
void embedding_gradient(Tensor dembedding, const LambdaInputs<T>& in, const LambdaGrid& s) {
  const TableSums t = table_sums(s);
  const StreamHandle stream = compute_stream();
  Tensor partial = Tensor::empty({t.chunks, s.intra, s.positions(), t.span(s), s.depth_pad},
                                 DType::f32, dembedding.device());
  launch({.grid = dim3(static_cast<unsigned>(t.tiles * s.query_groups() * t.chunks),
                       static_cast<unsigned>(s.intra), static_cast<unsigned>(s.depth_pad / kTile)),
          .block = kLambdaThreads,
          .shared_bytes = LambdaMemory<T>::bytes(s, table_parts()),
          .stream = stream},
         lambda_table_gradients_kernel<T>, partial.data<float>(), in, t, s);
  dispatch_f32_bf16(dembedding.dtype(), "lambda_layer", [&]<class B>() {
    launch({.grid = dim3(static_cast<unsigned>(s.table_size * s.intra),
                         static_cast<unsigned>(s.depth_pad / kTile)),
            .block = dim3(kTile, kSumSlices),
            .stream = stream},
           lambda_table_sums_kernel<B>, dembedding.data<B>(), partial.data<float>(), t, s);
  });
}

template <class T> void content_gradients(LambdaTensors dx, Tensor dcontent, const Tensor& keys,
                                          const LambdaInputs<T>& in, const LambdaGrid& s) {
  const StreamHandle stream = compute_stream();
  Tensor dp = Tensor::empty_like(keys);
  launch({.grid = dim3(static_cast<unsigned>(s.batch), static_cast<unsigned>(s.intra)),
          .block = kLambdaThreads,
          .stream = stream},
         lambda_key_gradients_kernel<T>, dx.keys.data<T>(), dp.data<float>(),
         dcontent.data<float>(), in, s);
  if (!dx.embedding_bias.defined()) return;
  dispatch_f32_bf16(dx.embedding_bias.dtype(), "lambda_layer", [&]<class B>() {
    launch({.grid = static_cast<unsigned>(s.depth), .block = 256, .stream = stream},
           lambda_bias_gradient_kernel<B>, dx.embedding_bias.data<B>(), dcontent.data<float>(), s);
  });
}

}  // namespace

void lambda_backward(LambdaTensors dx, const Tensor& dy, const LambdaTensors& x,
                     const LambdaShape& shape) {
  if (dy.numel() == 0) return;
  dispatch_f32_bf16(x.q.dtype(), "lambda_layer", [&]<class T>() {
    const auto aligned = [](const Tensor& t) {
      return is_pack_aligned<kPackWidth<T>>(t.data<T>());
    };
    LambdaGrid s =
        fitted<T>(lambda_grid(shape, x.q.dtype()), {query_parts(), value_parts(), table_parts()});
    s.packed_depth = s.packed_depth && aligned(x.q);
    s.packed_values = s.packed_values && aligned(x.values) && aligned(dy);
    const Tensor table = lambda_table(x.embedding, s, x.q.dtype());
    const Tensor keys = lambda_keys(x.keys, s);
    const Tensor content = lambda_content(keys, x.values, x.embedding_bias, s);
    const LambdaInputs<T> in{x.q.data<T>(),   x.values.data<T>(), dy.data<T>(),
                             table.data<T>(), content.data<T>(),  keys.data<float>()};
    Tensor dcontent = Tensor::empty({s.batch, s.depth, s.value}, DType::f32, x.q.device());
    if (shape.order == LambdaOrder::lambda_first) {
      lambda_dense_backward(dx, dcontent, in, s);
      return content_gradients(dx, dcontent, keys, in, s);
    }
    const StreamHandle stream = compute_stream();
    launch({.grid = dim3(static_cast<unsigned>(s.image_groups() * s.query_groups()), 1,
                         static_cast<unsigned>(s.head_groups)),
            .block = kLambdaThreads,
            .shared_bytes = LambdaMemory<T>::bytes(s, query_parts()),
            .stream = stream},
           lambda_query_gradients_kernel<T>, dx.q.data<T>(), in, s);
    const int context_tiles = (s.positions() + s.contexts - 1) / s.contexts;
    const auto value_gradients = [&](T* dvalues, int tiles) {
      launch({.grid = dim3(static_cast<unsigned>(s.image_groups() * tiles),
                           static_cast<unsigned>(s.value_chunks())),
              .block = kLambdaThreads,
              .shared_bytes = LambdaMemory<T>::bytes(s, value_parts()),
              .stream = stream},
             lambda_value_gradients_kernel<T>, dvalues, dcontent.data<float>(), in, s);
    };
    value_gradients(nullptr, s.content_tiles());
    value_gradients(dx.values.data<T>(), s.intra * context_tiles);
    content_gradients(dx, dcontent, keys, in, s);
    embedding_gradient(dx.embedding, in, s);
  });
}

}  // namespace passband::cuda
