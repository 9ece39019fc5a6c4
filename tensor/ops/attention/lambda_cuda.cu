// The lambda layer on the GPU, forward: scores first, S = q E, then y = S v, in one kernel that
// forms neither the position lambdas (positions, k, v) nor the scores of all pairs. How it is cut
// into blocks: lambda_tiles.cuh. The embedding is read where it lies: no table of all pairs.
//
// Operations. Per image and pair of positions h (k + v) products, against k v of the published
// order: with k = 16 and h = 4 that is 2 times fewer for v = 16, 2.7 for 32, 3.2 for 64, 3.6 for
// 128; and pairs beyond the window or the map are skipped by tiles of contexts, where a convolution
// multiplies zeros (a 23 x 23 window on an 8 x 8 map: 8 times fewer again).
// Bound. Values are read once for 16 queries (4 heads), from the second-level cache: 2 v bytes for
// 16 * 4 * 2 (k + v) operations of bf16, 64 to 114 per byte; that cache feeds 5 TB/s, so some 300
// to 550 TFLOP/s, near what mma.sync reaches. Shared memory carries each score twice, 4 bytes for
// 2 (k + v) operations. From memory come q, v and y once: on maps of 256 positions and less that is
// the bound. Small maps fill the device only when images are many.
// Tiles of contexts end with the contexts in reach and with the depth of the content lambda, in
// steps of 16: with whole tiles of 64 an 8 x 8 map took 1.6 times the products, a 4 x 4 map 4
// times. What is left of the saving once edges and the content lambda are counted,
// test_lambda_products.cpp counts: at least 2.5 times fewer products for 16 x 16 and v = 32, 2.7
// for 8 x 8 and 64, 2.0 for 4 x 4 and 128. Considered: the published order in one kernel (its
// position lambdas do not fit shared memory), and as dense products (lambda_dense_cuda.cu), which
// wins where h (k + v) >= k v.
#include "tensor/ops/attention/lambda_tiles.cuh"

namespace passband::cuda {
namespace {

__host__ __device__ constexpr LambdaParts forward_parts() {
  return {.values = true, .queries = true, .tables = true};
}

template <class T> __global__ void __launch_bounds__(kLambdaThreads)
    lambda_forward_kernel(T* __restrict__ y, LambdaInputs<T> in, LambdaGrid s) {
  SHARED(Context, contexts, [kMostContexts]);
  DYNAMIC_SHARED(T, shared);
  const LambdaMemory<T> memory(shared, s, forward_parts());
  const int query_group = static_cast<int>(blockIdx.x) % s.query_groups();
  const LambdaPlace place(s, static_cast<int>(blockIdx.x) / s.query_groups(),
                          query_group * s.queries, static_cast<int>(blockIdx.z));
  const Reach reach(s, place.first_query);
  const int first_value = static_cast<int>(blockIdx.y) * kValues;
  clear_scores(memory.scores, s);
  fetch_queries(memory.queries, in.q, place, s);
  TileSums sums[kUnits][kValueTiles] = {};
  for (int u = 0; u < s.intra; ++u)
    for (int first = u == 0 ? -s.content_tiles() * s.contexts : 0; first < reach.count;
         first += s.contexts) {
      const int content_row = first < 0 ? first + s.content_tiles() * s.contexts : -1;
      const int used = used_contexts(s, content_row, reach.count - first);
      __syncthreads();  // the last tile has been read
      if (static_cast<int>(threadIdx.x) < s.contexts && first >= 0)
        contexts[threadIdx.x] = reach.context(s, first + threadIdx.x);
      __syncthreads();
      fetch_values(memory.values, in, contexts, u, content_row, first_value, place, s);
      async_copy_commit();
      if (content_row == 0) {
        async_copy_wait<0>();  // the queries
        __syncthreads();
      }
      find_scores(memory, in, contexts, u, content_row, used, place.first_query, s);
      async_copy_wait<0>();
      __syncthreads();
      for_units(s, s.rows, [&](int unit, int image, int row) {
#pragma unroll
        for (int m = 0; m < kContextTiles; ++m) {
          if (m * kTile >= used) break;
          LeftTile<T> left;
          load(left, memory.scores + (image * s.rows + row) * s.context_line + m * kTile,
               s.context_line);
#pragma unroll
          for (int d = 0; d < kValueTiles; ++d) {
            if (first_value + d * kTile >= s.value) break;
            RightTile<T> right;
            load_rows(right,
                      memory.values + (image * s.contexts + m * kTile) * kValueLine + d * kTile,
                      kValueLine);
            multiply(sums[unit][d], left, right);
          }
        }
      });
    }
  for_units(s, s.rows, [&](int unit, int image, int row) {
#pragma unroll
    for (int d = 0; d < kValueTiles; ++d)
      for_sums(sums[unit][d], [&](int i, int column, float value) {
        const int64_t at = place.row(s, image, (row + i) / s.group, (row + i) % s.group);
        const int channel = first_value + d * kTile + column;
        if (at >= 0 && channel < s.value) y[at * s.value + channel] = T(value);
      });
  });
}

// (table size, depth, u) of type B to (u, table size, depth_pad) of T.
template <class T, class B>
__global__ void lambda_table_kernel(T* __restrict__ to, const B* __restrict__ from, LambdaGrid s) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= int64_t{s.intra} * s.table_size * s.depth_pad) return;
  const int k = static_cast<int>(i % s.depth_pad);
  const int64_t entry = i / s.depth_pad % s.table_size, u = i / s.depth_pad / s.table_size;
  to[i] = k < s.depth ? T(static_cast<float>(from[(entry * s.depth + k) * s.intra + u])) : T(0.0f);
}

// Softmax over the positions: a block per image, a warp per column of (positions, u * depth).
template <class T> __global__ void __launch_bounds__(kLambdaThreads)
    lambda_keys_kernel(float* __restrict__ softmax, const T* __restrict__ keys, LambdaGrid s) {
  const int columns = s.intra * s.depth, lane = threadIdx.x % 32;
  const int64_t image = int64_t{blockIdx.x} * s.positions() * columns;
  for (int c = threadIdx.x / 32; c < columns; c += kLambdaWarps) {
    const T* from = keys + image + c;
    float* to = softmax + image + c;
    float top = -INFINITY, sum = 0.0f;
    for (int m = lane; m < s.positions(); m += 32)
      top = fmaxf(top, static_cast<float>(from[int64_t{m} * columns]));
    top = warp_max(top);
    for (int m = lane; m < s.positions(); m += 32)
      sum += __expf(static_cast<float>(from[int64_t{m} * columns]) - top);
    const float scale = 1.0f / warp_sum(sum);
    for (int m = lane; m < s.positions(); m += 32)
      to[int64_t{m} * columns] =
          __expf(static_cast<float>(from[int64_t{m} * columns]) - top) * scale;
  }
}

constexpr int kContentRows = 8;  // of a block of 32 channels

// content[b, k, v] = sum over u and m of softmax * values, plus the bias of k.
template <class T, class B> __global__ void __launch_bounds__(32 * kContentRows)
    lambda_content_kernel(T* __restrict__ content, const float* __restrict__ keys,
                          const T* __restrict__ values, const B* __restrict__ bias, LambdaGrid s) {
  constexpr int kHeld = kMostLambdaDepth / kContentRows;
  const int v = static_cast<int>(blockIdx.y * 32 + threadIdx.x), columns = s.intra * s.depth;
  const int64_t image = blockIdx.x;
  if (v >= s.value) return;
  float sums[kHeld] = {};
  for (int u = 0; u < s.intra; ++u)
    for (int m = 0; m < s.positions(); ++m) {
      const int64_t row = image * s.positions() + m;
      const float value = static_cast<float>(values[(row * s.intra + u) * s.value + v]);
      const float* p = keys + row * columns + u * s.depth;
#pragma unroll
      for (int i = 0; i < kHeld; ++i) {
        const int k = threadIdx.y + i * kContentRows;
        if (k < s.depth) sums[i] += p[k] * value;
      }
    }
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    const int k = threadIdx.y + i * kContentRows;
    if (k < s.depth)
      content[(image * s.depth + k) * s.value + v] =
          T(sums[i] + (bias ? static_cast<float>(bias[k]) : 0.0f));
  }
}

}  // namespace

LambdaGrid lambda_grid(const LambdaShape& shape, DType dtype) {
  CHECK(shape.depth <= kMostLambdaDepth, "lambda_layer: queries of depth ", shape.depth,
        "; on a GPU it is at most ", kMostLambdaDepth);
  CHECK(shape.batch * shape.positions() * shape.heads <= std::numeric_limits<int32_t>::max(),
        "lambda_layer: ", shape.batch, " images of ", shape.height, "x", shape.width,
        " are too many for one launch");
  const auto number = [](int64_t value) { return static_cast<int>(value); };
  const auto whole_tiles = [](int n) { return (n + kTile - 1) / kTile * kTile; };
  LambdaGrid s{.batch = number(shape.batch),
               .height = number(shape.height),
               .width = number(shape.width),
               .heads = number(shape.heads),
               .depth = number(shape.depth),
               .intra = number(shape.intra),
               .value = number(shape.value),
               .reach_y = number(shape.reach_y()),
               .reach_x = number(shape.reach_x()),
               .radius_y = number(shape.radius_y),
               .radius_x = number(shape.radius_x),
               .table_width = number(shape.table_width()),
               .table_size = number(shape.table_size())};
  s.depth_pad = whole_tiles(s.depth);
  s.depth_line = s.depth_pad + kTilePadding;
  // 16 tiles of rows (image, query, head) in a block, two for each warp; each query's rows (image,
  // head) in one tile; each image's rows (query, head) in four at most.
  s.group = std::min(s.heads, kTile);
  s.head_groups = (s.heads + s.group - 1) / s.group;
  s.images = kTile / s.group;
  s.queries = std::min(kTile, 4 * kTile / s.group);
  s.rows = whole_tiles(s.queries * s.group);
  const int most = dtype == DType::bf16 ? kMostContexts : kMostContexts / 2;
  s.contexts = std::clamp(256 / s.images / kTile * kTile, kTile, most);
  s.context_line = s.contexts + kTilePadding;
  s.packed_values = s.value % 8 == 0;
  s.packed_depth = s.depth % 8 == 0;
  return s;
}

Tensor lambda_table(const Tensor& embedding, const LambdaGrid& s, DType dtype) {
  Tensor table = Tensor::empty({s.intra, s.table_size, s.depth_pad}, dtype, embedding.device());
  dispatch_f32_bf16(dtype, "lambda_layer", [&]<class T>() {
    dispatch_f32_bf16(embedding.dtype(), "lambda_layer", [&]<class B>() {
      launch({.grid = static_cast<unsigned>((table.numel() + 255) / 256),
              .block = 256,
              .stream = compute_stream()},
             lambda_table_kernel<T, B>, table.data<T>(), embedding.data<B>(), s);
    });
  });
  return table;
}

Tensor lambda_keys(const Tensor& keys, const LambdaGrid& s) {
  Tensor softmax = Tensor::empty(keys.shape(), DType::f32, keys.device());
  dispatch_f32_bf16(keys.dtype(), "lambda_layer", [&]<class T>() {
    launch({.grid = static_cast<unsigned>(s.batch),
            .block = kLambdaThreads,
            .stream = compute_stream()},
           lambda_keys_kernel<T>, softmax.data<float>(), keys.data<T>(), s);
  });
  return softmax;
}

Tensor lambda_content(const Tensor& keys, const Tensor& values, const Tensor& embedding_bias,
                      const LambdaGrid& s) {
  Tensor content = Tensor::empty({s.batch, s.depth, s.value}, values.dtype(), values.device());
  const DType bias_type = embedding_bias.defined() ? embedding_bias.dtype() : DType::f32;
  dispatch_f32_bf16(values.dtype(), "lambda_layer", [&]<class T>() {
    dispatch_f32_bf16(bias_type, "lambda_layer", [&]<class B>() {
      launch(
          {.grid = dim3(static_cast<unsigned>(s.batch), static_cast<unsigned>((s.value + 31) / 32)),
           .block = dim3(32, kContentRows),
           .stream = compute_stream()},
          lambda_content_kernel<T, B>, content.data<T>(), keys.data<float>(), values.data<T>(),
          embedding_bias.defined() ? embedding_bias.data<B>() : nullptr, s);
    });
  });
  return content;
}

void lambda_forward(Tensor y, const LambdaTensors& x, const LambdaShape& shape) {
  if (y.numel() == 0) return;
  dispatch_f32_bf16(x.q.dtype(), "lambda_layer", [&]<class T>() {
    LambdaGrid s = fitted<T>(lambda_grid(shape, x.q.dtype()), {forward_parts()});
    s.packed_depth = s.packed_depth && is_pack_aligned<kPackWidth<T>>(x.q.data<T>());
    s.packed_values = s.packed_values && is_pack_aligned<kPackWidth<T>>(x.values.data<T>());
    const Tensor table = lambda_table(x.embedding, s, x.q.dtype());
    const Tensor keys = lambda_keys(x.keys, s);
    const Tensor content = lambda_content(keys, x.values, x.embedding_bias, s);
    const LambdaInputs<T> in{x.q.data<T>(),   x.values.data<T>(), nullptr,
                             table.data<T>(), content.data<T>(),  keys.data<float>()};
    if (shape.order == LambdaOrder::lambda_first) return lambda_dense_forward(y, in, s);
    launch({.grid =
                dim3(static_cast<unsigned>(s.image_groups() * s.query_groups()),
                     static_cast<unsigned>(s.value_chunks()), static_cast<unsigned>(s.head_groups)),
            .block = kLambdaThreads,
            .shared_bytes = LambdaMemory<T>::bytes(s, forward_parts()),
            .stream = compute_stream()},
           lambda_forward_kernel<T>, y.data<T>(), in, s);
  });
}

}  // namespace passband::cuda
