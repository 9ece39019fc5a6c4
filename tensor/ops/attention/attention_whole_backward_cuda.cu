// Attention's backward pass on the GPU for windows of up to 128 tokens and heads of up to 64
// channels in bf16: a block has a whole pair (group, head), a warp 16 of its rows. Formulas are in
// attention_backward_cuda.cu. First each warp has 16 queries: P and dP stay in its registers, and
// from them come inner, dS and dq; then, P and dS being in shared memory, 16 keys: dk and dv.
//
// Bound. Five products of T^2 d, each operand read from memory once and each result written once:
// 14 d bytes per token, 92 MB for 512 pictures of 65 tokens and 3 heads of 64 channels, which a
// H200 moves in 22 us. The products take half of that, the instructions round them the other half.
// So what counts is that blocks load while others multiply: by registers (128) and shared memory
// (75 KB at 65 tokens) three blocks of five warps share a multiprocessor, at 64 tokens four of
// four, at 16 tokens sixteen of one. Sizes are known when it is compiled: no branch lies between a
// load from shared memory and the next product.
// Considered: the transposed products again instead of P and dS in shared memory (seven products,
// 28 KB less), and one warp summing dq, dk and dv (no room in registers).
#include "tensor/ops/attention/attention_backward.cuh"
#include "tensor/ops/attention/attention_whole.cuh"

namespace passband::cuda {
namespace {

// Shared memory of a pair: its rows, and P and dS (queries, keys).
template <int columns, int tiles> struct WholeTiles : WholeSize<columns, tiles> {
  using Size = WholeSize<columns, tiles>;
  static constexpr int kPairStride = Size::kRows + kTilePadding;
  static constexpr size_t kBytes =
      (4 * Size::kMatrix + 2 * Size::kRows * kPairStride) * sizeof(bf16);
  bf16 *q, *k, *v, *dy, *p, *ds;

  __device__ explicit WholeTiles(bf16* shared)
      : q(shared),
        k(q + Size::kMatrix),
        v(k + Size::kMatrix),
        dy(v + Size::kMatrix),
        p(dy + Size::kMatrix),
        ds(p + Size::kRows * kPairStride) {}
};

// Blocks of a multiprocessor that registers must leave room for.
template <int columns> constexpr int kWholeBlocks = columns == 1   ? 16
                                                    : columns == 4 ? 4
                                                    : columns == 5 ? 3
                                                                   : 1;

// sums (16 keys, depth) = the transpose of weights (queries, 16 keys) times rows (queries, depth).
template <int columns, int tiles>
__device__ __forceinline__ void multiply_transposed(TileSums (&sums)[tiles], const bf16* weights,
                                                    const bf16* rows) {
  using Memory = WholeTiles<columns, tiles>;
#pragma unroll
  for (int d = 0; d < tiles; ++d) sums[d] = {};
#pragma unroll
  for (int n = 0; n < columns; ++n) {
    LeftTile<bf16> left;
    load_transposed(left, [=](int i) { return weights + (n * kTile + i) * Memory::kPairStride; });
#pragma unroll
    for (int d = 0; d < tiles; ++d) {
      RightTile<bf16> right;
      load_rows(right, rows + n * kTile * Memory::kStride + d * kTile, Memory::kStride);
      multiply(sums[d], left, right);
    }
  }
}

// Adds what a lane has of ds to a matrix (tokens, tokens) in device memory, or begins it; `own`:
// the first row of this warp. A tile is read before it is written: its loads wait together.
template <int columns>
__device__ __forceinline__ void add_to_matrix(float* matrix, const TileSums (&ds)[columns], int own,
                                              int tokens, bool begin) {
  const LaneInTile lane;
#pragma unroll
  for (int n = 0; n < columns; ++n) {
    TileSums sums = {};
    const auto for_inside = [&](const auto& f) {
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const int b = i / 4, r = i / 2 % 2, j = i % 2;
        const int row = own + lane.g + 8 * r, column = n * kTile + 8 * b + 2 * lane.t + j;
        if (row < tokens && column < tokens)
          f(sums.values[b][r][j], ds[n].values[b][r][j], matrix[row * tokens + column]);
      }
    };
    if (!begin) for_inside([](float& sum, float, float& element) { sum = element; });
    for_inside([](float& sum, float value, float& element) { element = sum + value; });
  }
}

// dq, dk, dv and, unless null, dlogits (chunks, heads, tokens, tokens).
template <int columns, int tiles>
__global__ void __launch_bounds__(columns * 32, kWholeBlocks<columns>)
    attention_whole_gradients_kernel(bf16* __restrict__ dqkv, float* __restrict__ dlogits,
                                     BackwardInputs<bf16> in, AttentionLayout s, int chunk) {
  using Memory = WholeTiles<columns, tiles>;
  constexpr int kRows = Memory::kRows, kDepth = Memory::kDepth;
  SHARED(Token, tokens, [kRows]);
  DYNAMIC_SHARED(bf16, shared);
  const Memory memory(shared);
  const int own = static_cast<int>(threadIdx.x) / 32 * kTile;  // first row of this warp
  const int part = static_cast<int>(blockIdx.x) / s.heads;
  const int head = static_cast<int>(blockIdx.x) % s.heads, channels = s.heads * s.depth;
  const float* bias = in.bias_of(s, head);
  const LaneInTile lane;
  bf16 *const k = memory.k + own * Memory::kStride, *const v = memory.v + own * Memory::kStride;
  bf16* const p = memory.p + own * Memory::kPairStride;
  bf16* const ds = memory.ds + own * Memory::kPairStride;

  for (int step = 0; step < chunk && part * chunk + step < s.groups; ++step) {
    const int group = part * chunk + step;
    __syncthreads();  // the last group's tiles have been read
    for (int i = threadIdx.x; i < kRows; i += blockDim.x) tokens[i] = token_of(s, group, head, i);
    __syncthreads();
    fetch_tile<tiles>(memory.q, tokens, kRows, in.qkv, 3 * channels, s);
    fetch_tile<tiles>(memory.k, tokens, kRows, in.qkv + channels, 3 * channels, s);
    fetch_tile<tiles>(memory.v, tokens, kRows, in.qkv + 2 * channels, 3 * channels, s);
    fetch_tile<tiles>(memory.dy, tokens, kRows, in.dy, channels, s);
    QuerySoftmax kept[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int token = own + lane.g + 8 * r;
      if (token < s.tokens) kept[r] = QuerySoftmax(in.statistics, s, group, head, token);
    }
    async_copy_wait<2>();
    __syncthreads();
    Pairs<columns> pairs;
    multiply_rows<tiles>(pairs.p, memory.q + own * Memory::kStride, memory.k, kRows, kDepth);
    find_logits(pairs.p, tokens + own, tokens, bias, s);
    for_elements<columns>([&](int n, int b, int r, int j, int) {
      float& value = pairs.p[n].values[b][r][j];
      value = __expf(value - kept[r].top) * kept[r].inverse;
    });
#pragma unroll
    for (int n = 0; n < columns; ++n) store(p + n * kTile, Memory::kPairStride, pairs.p[n]);
    async_copy_wait<0>();
    __syncthreads();
    multiply_rows<tiles>(pairs.dp, memory.dy + own * Memory::kStride, memory.v, kRows, kDepth);
    float inner[2] = {};
    for_elements<columns>([&](int n, int b, int r, int j, int) {
      inner[r] += pairs.p[n].values[b][r][j] * pairs.dp[n].values[b][r][j];
    });
    for (float& sum : inner) sum = warp_sum(sum, 4);
    for_elements<columns>([&](int n, int b, int r, int j, int) {
      pairs.p[n].values[b][r][j] *= pairs.dp[n].values[b][r][j] - inner[r];
    });
    if (dlogits)
      add_to_matrix(dlogits + query_index(s, part, head, 0) * s.tokens, pairs.p, own, s.tokens,
                    step == 0);
    TileSums result[tiles] = {};
#pragma unroll
    for (int n = 0; n < columns; ++n) {
      const LeftTile<bf16> left = left_of<bf16>(pairs.p[n]);
      store(ds + n * kTile, Memory::kPairStride, pairs.p[n]);
#pragma unroll
      for (int d = 0; d < tiles; ++d) {
        RightTile<bf16> right;
        load_rows(right, memory.k + n * kTile * Memory::kStride + d * kTile, Memory::kStride);
        multiply(result[d], left, right);
      }
    }
    __syncthreads();  // P and dS are there, and nobody reads k and v any more
    write_tile(dqkv, tokens + own, v, result, s.scale, 3 * channels, s);
    multiply_transposed<columns>(result, memory.p + own, memory.dy);
    write_tile(dqkv + 2 * channels, tokens + own, v, result, 1.0f, 3 * channels, s);
    multiply_transposed<columns>(result, memory.ds + own, memory.q);
    write_tile(dqkv + channels, tokens + own, k, result, s.scale, 3 * channels, s);
  }
}

}  // namespace

bool fits_whole(const AttentionLayout& s) {
  if (!is_whole(s)) return false;
  const size_t bytes = dispatch_whole(s, [](auto columns, auto tiles) {
    using Memory = WholeTiles<columns.value, tiles.value>;
    return Memory::kBytes + Memory::kRows * sizeof(Token);
  });
  return bytes <= shared_memory_limit();
}

Tensor attention_whole_gradients(Tensor dqkv, const BackwardInputs<bf16>& in,
                                 const AttentionLayout& s, bool table) {
  Tensor dlogits;
  dispatch_whole(s, [&](auto columns, auto tiles) {
    // For the table, three blocks for each that 132 multiprocessors have room for.
    const int chunk =
        table ? groups_of_chunk(s, int64_t{3} * 132 * kWholeBlocks<columns.value> / s.heads) : 1;
    const int64_t chunks = (s.groups + chunk - 1) / chunk;
    if (table)
      dlogits = Tensor::empty({chunks, s.heads, s.tokens, s.tokens}, DType::f32, dqkv.device());
    launch({.grid = whole_blocks(s, chunks),
            .block = columns.value * 32,
            .shared_bytes = WholeTiles<columns.value, tiles.value>::kBytes,
            .stream = compute_stream()},
           attention_whole_gradients_kernel<columns.value, tiles.value>, dqkv.data<bf16>(),
           table ? dlogits.data<float>() : nullptr, in, s, chunk);
  });
  return dlogits;
}

}  // namespace passband::cuda
