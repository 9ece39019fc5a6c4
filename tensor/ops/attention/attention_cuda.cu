// Attention on the GPU, forward: softmax(scale q k^T + bias) v without the matrix of logits. A warp
// has 16 queries; tiles of 64 keys and values pass by in shared memory, and the softmax is put
// right whenever a larger logit turns up (Milakov and Gimelshein 2018; Dao et al. 2022). Windows,
// shift and mask are the labels of a tile's rows. (bf16 up to 128 tokens: attention_whole_cuda.cu.)
//
// Bound. T tokens and d channels of a head: 4 T d operations per query against 8 d bytes of bf16
// (q, k, v read, y written): T / 2 operations per byte. A GPU that does 184 per byte is bound by
// memory up to some 370 tokens, so what counts for this project's windows and images is to read
// everything once: one block has all queries of a pair (group, head) up to 128 tokens, and
// windows of up to 32 tokens share a block, 4 or 2 pairs at a time, so that no warp idles.
// Per 16 x 16 tile of logits and 16 channels: 4 mma.sync, 3 ldmatrix.
// Tiles of 16 keys after the last token are skipped, so 65 tokens (8 x 8 patches and a class
// token) cost 80, not 128.
// Considered: the probabilities in memory for backward (2 T^2 bytes written and read, more than q,
// k and v from T = 3 d on), and f32 on the ordinary units: three tf32 products of split numbers
// come within 2^-21 and keep one layout of tiles for both types.
#include "tensor/ops/attention/attention_whole.cuh"

namespace passband::cuda {
namespace {

// Largest logit and sum of exponentials so far, of the two rows of a lane.
struct RunningSoftmax {
  float top[2] = {-INFINITY, -INFINITY};
  float sum[2] = {};  // of this lane's columns

  // Turns a row's logits into exponentials and returns what earlier results must be multiplied by.
  __device__ float move(TileSums (&logits)[kKeyTiles], int r) {
    float largest = top[r];
#pragma unroll
    for (int n = 0; n < kKeyTiles; ++n)
#pragma unroll
      for (int b = 0; b < 2; ++b)
        largest = fmaxf(largest, fmaxf(logits[n].values[b][r][0], logits[n].values[b][r][1]));
    largest = warp_max(largest, 4);
    const float base = largest == -INFINITY ? 0.0f : largest;  // all keys so far are masked
    const float correction = __expf(top[r] - base);
    sum[r] *= correction;
#pragma unroll
    for (int n = 0; n < kKeyTiles; ++n)
#pragma unroll
      for (int b = 0; b < 2; ++b)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          float& value = logits[n].values[b][r][j];
          value = __expf(value - base);
          sum[r] += value;
        }
    top[r] = largest;
    return correction;
  }
};

template <int tiles, class T> __global__ void __launch_bounds__(kOwnTiles * 32)
    attention_forward_kernel(T* __restrict__ y, float* __restrict__ statistics,
                             const T* __restrict__ qkv, const float* __restrict__ tables,
                             AttentionLayout s, AttentionBlocks blocks) {
  constexpr int kStride = tiles * kTile + kTilePadding;
  SHARED(Token, queries, [kOwnTiles * kTile]);
  SHARED(Token, keys, [kKeyTiles * kTile]);
  DYNAMIC_SHARED(T, shared);
  const int own = blocks.own(), warp = threadIdx.x / 32, slot = warp / blocks.warps;
  T* const q = shared + warp * kTile * kStride;  // of this warp
  T* const k = shared + own * blocks.slots * kStride;
  T* const v = k + blocks.other * blocks.slots * kStride;
  const SlotTask task(s, blocks, slot);
  const int first_query = static_cast<int>(blockIdx.x) % blocks.parts * own;
  const int width = 3 * s.heads * s.depth;
  const float* bias =
      tables ? tables + (s.table_columns == 1 ? 0 : task.head * s.entries()) : nullptr;

  find_tokens(queries, own, first_query, 0, s, blocks);
  __syncthreads();
  fetch_tile<tiles>(shared, queries, own * blocks.slots, qkv, width, s);
  const LaneInTile lane;
  const Token query[2] = {queries[warp * kTile + lane.g], queries[warp * kTile + lane.g + 8]};
  RunningSoftmax running;
  TileSums sums[tiles] = {};
  for (int first = 0; first < s.tokens; first += blocks.other) {
    __syncthreads();  // the last tile has been read
    find_tokens(keys, blocks.other, first, 0, s, blocks);
    __syncthreads();
    fetch_tile<tiles>(k, keys, blocks.other * blocks.slots, qkv + s.heads * s.depth, width, s);
    fetch_tile<tiles>(v, keys, blocks.other * blocks.slots, qkv + 2 * s.heads * s.depth, width, s);
    async_copy_wait<0>();
    __syncthreads();
    const int count = min(blocks.other, s.tokens - first), skip = slot * blocks.other;
    TileSums logits[kKeyTiles];
    multiply_rows<tiles>(logits, q, k + skip * kStride, count, s.depth);
    for_elements<kKeyTiles>([&](int n, int b, int r, int j, int column) {
      float& value = logits[n].values[b][r][j];
      value = column < count ? logit_of(value, query[r], keys[skip + column], bias, s) : -INFINITY;
    });
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float correction = running.move(logits, r);
#pragma unroll
      for (int d = 0; d < tiles; ++d)
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[d].values[i / 2][r][i % 2] *= correction;
    }
    add_weighted(sums, logits, v + skip * kStride, count, s.depth);
  }

  const int group = task.chunk;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float inverse = 1.0f / warp_sum(running.sum[r], 4);
#pragma unroll
    for (int d = 0; d < tiles; ++d)
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[d].values[i / 2][r][i % 2] *= inverse;
    const int token = first_query + (warp % blocks.warps) * kTile + lane.g + 8 * r;
    if (lane.t > 0 || query[r].row < 0) continue;
    float* saved = statistics + (int64_t{group} * s.heads + task.head) * 2 * s.tokens + token;
    saved[0] = running.top[r];
    saved[s.tokens] = inverse;
  }
  write_tile(y, queries + warp * kTile, q, sums, 1.0f, s.heads * s.depth, s);
}

// (entries, columns) of type B to (columns, entries) of f32.
template <class B> __global__ void attention_tables_kernel(float* __restrict__ to,
                                                           const B* __restrict__ from, int entries,
                                                           int columns) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < entries * columns) to[i % columns * entries + i / columns] = static_cast<float>(from[i]);
}

}  // namespace

AttentionLayout attention_layout(const AttentionShape& shape, const Tensor& bias, bool packed) {
  CHECK(shape.batch * shape.height * shape.width <= std::numeric_limits<int32_t>::max(),
        "attention: ", shape.batch, " images of ", shape.height, "x", shape.width,
        " tokens are too many for one launch");
  const auto number = [](int64_t value) { return static_cast<int>(value); };
  return {.groups = number(shape.groups()),
          .tokens = number(shape.tokens()),
          .heads = number(shape.heads),
          .depth = number(shape.depth),
          .height = number(shape.height),
          .width = number(shape.width),
          .window_height = number(shape.window_height),
          .window_width = number(shape.window_width),
          .shift = number(shape.shift),
          .table_columns = bias.defined() ? number(bias.size(1)) : 0,
          .scale = static_cast<float>(shape.scale),
          .packed = packed && shape.depth % 8 == 0};
}

Tensor attention_tables(const Tensor& bias) {
  if (!bias.defined()) return {};
  Tensor tables = Tensor::empty({bias.size(1), bias.size(0)}, DType::f32, bias.device());
  dispatch_f32_bf16(bias.dtype(), "attention", [&]<class B>() {
    launch({.grid = static_cast<unsigned>((bias.numel() + 255) / 256),
            .block = 256,
            .stream = compute_stream()},
           attention_tables_kernel<B>, tables.data<float>(), bias.data<B>(),
           static_cast<int>(bias.size(0)), static_cast<int>(bias.size(1)));
  });
  return tables;
}

void attention_forward(Tensor y, Tensor statistics, const Tensor& qkv, const Tensor& bias,
                       const AttentionShape& shape) {
  if (y.numel() == 0) return;
  const Tensor tables = attention_tables(bias);
  dispatch_f32_bf16(qkv.dtype(), "attention", [&]<class T>() {
    const AttentionLayout s = attention_layout(shape, bias,
                                               is_pack_aligned<kPackWidth<T>>(qkv.data<T>()) &&
                                                   is_pack_aligned<kPackWidth<T>>(y.data<T>()));
    if constexpr (std::is_same_v<T, bf16>)
      if (is_whole(s)) return attention_whole_forward(y, statistics, qkv, tables, s);
    dispatch_depth(shape.depth, [&](auto tiles) {
      const auto bytes = [&](const AttentionBlocks& b) {
        const int rows = b.slots * (b.own() + 2 * b.other);
        return rows * (tiles.value * kTile + kTilePadding) * sizeof(T);
      };
      const AttentionBlocks blocks = fitted(s, kKeyTiles * kTile, bytes);
      launch({.grid = blocks.grid(s),
              .block = blocks.threads(),
              .shared_bytes = bytes(blocks),
              .stream = compute_stream()},
             attention_forward_kernel<tiles.value, T>, y.data<T>(), statistics.data<float>(),
             qkv.data<T>(), tables.defined() ? tables.data<float>() : nullptr, s, blocks);
    });
  });
}

}  // namespace passband::cuda
