// Attention on the GPU, backward. With P the probabilities and dP = dy v^T, of each query
//   inner = sum over keys of P dP,  dS = P (dP - inner),  dq = scale dS k,
//   dk = scale dS^T q,  dv = P^T dy,  dbias = sum of dS over the windows.
// Windows that fit into shared memory whole have one kernel (attention_whole_backward_cuda.cu). For
// all others there are two here, each the owner of what it writes, so nothing is added by two
// blocks and every run gives the same bits: one goes along the queries (inner, dq, dS), one along
// the keys (dk, dv). P is computed again in both from the largest logits and sums that forward
// kept.
//
// Bound. Nine products of T^2 d where one kernel with atomic additions needs five (seven up to 64
// tokens, where inner needs no pass of its own); memory 10 d bytes read of each kernel and 6 d
// written per token in bf16, the second reading of a pair mostly from the cache. So below some 300
// tokens memory bounds it as it does forward, and the two extra products cost no more time.
// The gradient of the bias: a block goes through the windows of its share and adds their dS to a
// matrix (T, T) of its own, in the cache (attention_table_cuda.cu adds those up).
// Considered: dq added atomically by the blocks of keys (five products, but other bits in every
// run), and dq, dk and dv by one warp: sums of 16 rows that take 192 registers at d = 128.
#include "tensor/ops/attention/attention_backward.cuh"

namespace passband::cuda {
namespace {

constexpr int kQueryTiles = 2;  // of 16 queries that pass by the keys at a time: fewer registers
// Of 16 keys that pass by the queries: all up to 64 tokens, so that `inner` needs no pass of its
// own, but for heads of more than 64 channels, where registers would not suffice.
template <int tiles> constexpr int kPassingKeys = tiles > 4 ? 2 : kKeyTiles;

// Where a block's tiles lie in shared memory: two of its own rows, two that pass by.
template <int tiles, class T> struct Tiles {
  static constexpr int kStride = tiles * kTile + kTilePadding;
  T *own[2], *other[2];

  __device__ Tiles(T* shared, const AttentionBlocks& blocks) {
    const int own_size = blocks.own() * blocks.slots * kStride;
    const int other_size = blocks.other * blocks.slots * kStride;
    for (int i = 0; i < 2; ++i) {
      own[i] = shared + i * own_size;
      other[i] = shared + 2 * own_size + i * other_size;
    }
  }
  static size_t bytes(const AttentionBlocks& blocks) {
    return size_t{2} * blocks.slots * (blocks.own() + blocks.other) * kStride * sizeof(T);
  }
};

// dq, inner (groups, heads, tokens) and, unless null, dlogits (chunks, heads, tokens, tokens): dS
// summed over the groups of a chunk.
template <int tiles, class T> __global__ void __launch_bounds__(kOwnTiles * 32)
    attention_query_gradients_kernel(T* __restrict__ dqkv, float* __restrict__ inners,
                                     float* __restrict__ dlogits, BackwardInputs<T> in,
                                     AttentionLayout s, AttentionBlocks blocks) {
  using Memory = Tiles<tiles, T>;
  constexpr int kColumns = kPassingKeys<tiles>;
  SHARED(Token, queries, [kOwnTiles * kTile]);
  SHARED(Token, keys, [kColumns * kTile]);
  DYNAMIC_SHARED(T, shared);
  const Memory memory(shared, blocks);
  const int warp = threadIdx.x / 32, slot = warp / blocks.warps, skip = slot * blocks.other;
  const int own_rows = blocks.own() * blocks.slots, other_rows = blocks.other * blocks.slots;
  const int first_query = static_cast<int>(blockIdx.x) % blocks.parts * blocks.own();
  const int channels = s.heads * s.depth;
  const SlotTask task(s, blocks, slot);
  const float* bias = in.bias_of(s, task.head);
  const LaneInTile lane;
  const int first_token = first_query + warp % blocks.warps * kTile + lane.g;  // of row 0
  T* const q = memory.own[0] + warp * kTile * Memory::kStride;
  T* const dy = memory.own[1] + warp * kTile * Memory::kStride;

  for (int step = 0; step < blocks.chunk; ++step) {
    const int group = task.chunk * blocks.chunk + step;
    __syncthreads();  // the last group's tiles have been read
    find_tokens(queries, blocks.own(), first_query, step, s, blocks);
    __syncthreads();
    fetch_tile<tiles>(memory.own[0], queries, own_rows, in.qkv, 3 * channels, s);
    fetch_tile<tiles>(memory.own[1], queries, own_rows, in.dy, channels, s);
    Token query[2];
    QuerySoftmax kept[2];
    float* sums[2] = {};  // the rows of dlogits
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      query[r] = queries[warp * kTile + lane.g + 8 * r];
      if (query[r].row < 0) continue;
      const int token = first_token + 8 * r;
      kept[r] = QuerySoftmax(in.statistics, s, group, task.head, token);
      if (dlogits) sums[r] = dlogits + query_index(s, task.chunk, task.head, token) * s.tokens;
    }
    // P and dP of the keys from `first` on.
    const auto find_pairs = [&](Pairs<kColumns>& pairs, int first, int count) {
      __syncthreads();  // the last tile has been read
      find_tokens(keys, blocks.other, first, step, s, blocks);
      __syncthreads();
      fetch_tile<tiles>(memory.other[0], keys, other_rows, in.qkv + channels, 3 * channels, s);
      fetch_tile<tiles>(memory.other[1], keys, other_rows, in.qkv + 2 * channels, 3 * channels, s);
      async_copy_wait<0>();
      __syncthreads();
      const int at = skip * Memory::kStride;
      multiply_rows<tiles>(pairs.p, q, memory.other[0] + at, count, s.depth);
      multiply_rows<tiles>(pairs.dp, dy, memory.other[1] + at, count, s.depth);
      for_elements<kColumns>([&](int n, int b, int r, int j, int column) {
        float& value = pairs.p[n].values[b][r][j];
        const Token key = column < count ? keys[skip + column] : Token{};
        value = __expf(logit_of(value, query[r], key, bias, s) - kept[r].top) * kept[r].inverse;
      });
    };
    float inner[2] = {};
    const auto add_inner = [&](const Pairs<kColumns>& pairs) {
      for_elements<kColumns>([&](int n, int b, int r, int j, int) {
        inner[r] += pairs.p[n].values[b][r][j] * pairs.dp[n].values[b][r][j];
      });
    };
    Pairs<kColumns> pairs;
    const bool at_once = s.tokens <= blocks.other;
    for (int first = 0; !at_once && first < s.tokens; first += blocks.other) {
      find_pairs(pairs, first, min(blocks.other, s.tokens - first));
      add_inner(pairs);
    }
    TileSums dq[tiles] = {};
    for (int first = 0; first < s.tokens; first += blocks.other) {
      const int count = min(blocks.other, s.tokens - first);
      find_pairs(pairs, first, count);
      if (at_once) add_inner(pairs);
      if (first == 0)
        for (float& sum : inner) sum = warp_sum(sum, 4);
      for_elements<kColumns>([&](int n, int b, int r, int j, int column) {
        const float ds = pairs.p[n].values[b][r][j] * (pairs.dp[n].values[b][r][j] - inner[r]);
        pairs.p[n].values[b][r][j] = ds;
        if (!sums[r] || column >= count) return;
        float& sum = sums[r][first + column];
        sum = step == 0 ? ds : sum + ds;
      });
      add_weighted(dq, pairs.p, memory.other[0] + skip * Memory::kStride, count, s.depth);
    }
    for (int r = 0; r < 2; ++r)
      if (lane.t == 0 && query[r].row >= 0)
        inners[query_index(s, group, task.head, first_token + 8 * r)] = inner[r];
    write_tile(dqkv, queries + warp * kTile, q, dq, s.scale, 3 * channels, s);
  }
}

// dk and dv.
template <int tiles, class T> __global__ void __launch_bounds__(kOwnTiles * 32)
    attention_key_gradients_kernel(T* __restrict__ dqkv, const float* __restrict__ inners,
                                   BackwardInputs<T> in, AttentionLayout s,
                                   AttentionBlocks blocks) {
  using Memory = Tiles<tiles, T>;
  SHARED(Token, keys, [kOwnTiles * kTile]);
  SHARED(Token, queries, [kQueryTiles * kTile]);
  SHARED(float, kept, [3][kQueryTiles * kTile]);  // top, inverse, inner of each query
  DYNAMIC_SHARED(T, shared);
  const Memory memory(shared, blocks);
  const int warp = threadIdx.x / 32, slot = warp / blocks.warps, skip = slot * blocks.other;
  const int own_rows = blocks.own() * blocks.slots, other_rows = blocks.other * blocks.slots;
  const int first_key = static_cast<int>(blockIdx.x) % blocks.parts * blocks.own();
  const int channels = s.heads * s.depth;
  const SlotTask task(s, blocks, slot);
  const float* bias = in.bias_of(s, task.head);
  const LaneInTile lane;
  T* const k = memory.own[0] + warp * kTile * Memory::kStride;
  T* const v = memory.own[1] + warp * kTile * Memory::kStride;

  find_tokens(keys, blocks.own(), first_key, 0, s, blocks);
  __syncthreads();
  fetch_tile<tiles>(memory.own[0], keys, own_rows, in.qkv + channels, 3 * channels, s);
  fetch_tile<tiles>(memory.own[1], keys, own_rows, in.qkv + 2 * channels, 3 * channels, s);
  const Token key[2] = {keys[warp * kTile + lane.g], keys[warp * kTile + lane.g + 8]};
  TileSums dk[tiles] = {}, dv[tiles] = {};
  for (int first = 0; first < s.tokens; first += blocks.other) {
    __syncthreads();  // the last tile has been read
    find_tokens(queries, blocks.other, first, 0, s, blocks);
    for (int i = threadIdx.x; i < other_rows; i += blockDim.x) {
      const SlotTask other(s, blocks, i / blocks.other);
      const int token = first + i % blocks.other;
      const bool inside = token < s.tokens && other.chunk < s.groups;
      const QuerySoftmax saved =
          inside ? QuerySoftmax(in.statistics, s, other.chunk, other.head, token) : QuerySoftmax();
      kept[0][i] = saved.top;
      kept[1][i] = saved.inverse;
      kept[2][i] = inside ? inners[query_index(s, other.chunk, other.head, token)] : 0.0f;
    }
    __syncthreads();
    fetch_tile<tiles>(memory.other[0], queries, other_rows, in.qkv, 3 * channels, s);
    fetch_tile<tiles>(memory.other[1], queries, other_rows, in.dy, channels, s);
    async_copy_wait<0>();
    __syncthreads();
    const int count = min(blocks.other, s.tokens - first), at = skip * Memory::kStride;
    Pairs<kQueryTiles> pairs;  // transposed: keys, queries
    multiply_rows<tiles>(pairs.p, k, memory.other[0] + at, count, s.depth);
    multiply_rows<tiles>(pairs.dp, v, memory.other[1] + at, count, s.depth);
    for_elements<kQueryTiles>([&](int n, int b, int r, int j, int column) {
      float &p = pairs.p[n].values[b][r][j], &dp = pairs.dp[n].values[b][r][j];
      const int i = skip + min(column, blocks.other - 1);
      const Token query = column < count ? queries[i] : Token{};
      p = __expf(logit_of(p, query, key[r], bias, s) - kept[0][i]) * kept[1][i];
      dp = p * (dp - kept[2][i]);
    });
    add_weighted(dv, pairs.p, memory.other[1] + at, count, s.depth);
    add_weighted(dk, pairs.dp, memory.other[0] + at, count, s.depth);
  }
  write_tile(dqkv + channels, keys + warp * kTile, k, dk, s.scale, 3 * channels, s);
  write_tile(dqkv + 2 * channels, keys + warp * kTile, v, dv, 1.0f, 3 * channels, s);
}

// All gradients by the two kernels. Returns dlogits (chunks, heads, tokens, tokens), dS summed over
// the groups of a chunk, where `table` asks for it.
template <class T> Tensor gradients_by_two(Tensor dqkv, const BackwardInputs<T>& in,
                                           const AttentionLayout& s, bool table) {
  Tensor inners = Tensor::empty({s.groups, s.heads, s.tokens}, DType::f32, dqkv.device());
  Tensor dlogits;
  const StreamHandle stream = compute_stream();
  dispatch_depth(s.depth, [&](auto tiles) {
    const auto bytes = &Tiles<tiles.value, T>::bytes;
    AttentionBlocks by_query = fitted(s, kTile * kPassingKeys<tiles.value>, bytes);
    const AttentionBlocks by_key = fitted(s, kTile * kQueryTiles, bytes);
    if (table) {
      by_query.chunk =
          groups_of_chunk(s, int64_t{528} * by_query.slots / (int64_t{s.heads} * by_query.parts));
      const int64_t chunks = by_query.tasks(s) / s.heads;
      dlogits = Tensor::empty({chunks, s.heads, s.tokens, s.tokens}, DType::f32, dqkv.device());
    }
    launch({.grid = by_query.grid(s),
            .block = by_query.threads(),
            .shared_bytes = bytes(by_query),
            .stream = stream},
           attention_query_gradients_kernel<tiles.value, T>, dqkv.data<T>(), inners.data<float>(),
           table ? dlogits.data<float>() : nullptr, in, s, by_query);
    launch({.grid = by_key.grid(s),
            .block = by_key.threads(),
            .shared_bytes = bytes(by_key),
            .stream = stream},
           attention_key_gradients_kernel<tiles.value, T>, dqkv.data<T>(), inners.data<float>(), in,
           s, by_key);
  });
  return dlogits;
}

}  // namespace

void attention_backward(Tensor dqkv, Tensor dbias, const Tensor& dy, const Tensor& qkv,
                        const Tensor& bias, const Tensor& statistics, const AttentionShape& shape) {
  if (dqkv.numel() == 0) return;
  const Tensor tables = attention_tables(bias);
  dispatch_f32_bf16(qkv.dtype(), "attention", [&]<class T>() {
    const auto aligned = [](const Tensor& t) {
      return is_pack_aligned<kPackWidth<T>>(t.data<T>());
    };
    const AttentionLayout s =
        attention_layout(shape, bias, aligned(qkv) && aligned(dy) && aligned(dqkv));
    const BackwardInputs<T> in{dy.data<T>(), qkv.data<T>(),
                               tables.defined() ? tables.data<float>() : nullptr,
                               statistics.data<float>()};
    const bool table = dbias.defined();
    Tensor dlogits;
    if constexpr (std::is_same_v<T, bf16>)
      dlogits = fits_whole(s) ? attention_whole_gradients(dqkv, in, s, table)
                              : gradients_by_two(dqkv, in, s, table);
    else dlogits = gradients_by_two(dqkv, in, s, table);
    if (table) attention_table_gradient(dbias, dlogits, s);
  });
}

}  // namespace passband::cuda
