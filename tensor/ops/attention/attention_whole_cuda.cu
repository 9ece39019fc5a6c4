// Attention on the GPU, forward, for windows of up to 128 tokens and heads of up to 64 channels in
// bf16: a block has a whole pair (group, head), a warp 16 of its queries and, in registers, their
// logits of all keys, so that the softmax is found at once.
//
// Bound. Memory: q, k and v read once, y written once, 8 d bytes per token: 51 MB for 512 pictures
// of 65 tokens and 3 heads of 64 channels, 12 us on an H200. As in backward what counts is that
// other blocks load while one multiplies, and that no branch lies between a load from shared memory
// and the next product: 35 KB and at most 96 registers at 65 tokens, four blocks of five warps.
#include "tensor/ops/attention/attention_whole.cuh"

namespace passband::cuda {
namespace {

// Blocks of a multiprocessor that registers must leave room for.
template <int columns> constexpr int kForwardBlocks = columns == 1   ? 20
                                                      : columns == 4 ? 5
                                                      : columns == 5 ? 4
                                                                     : 2;

// Turns the logits of row r into exponentials. Returns the largest logit and the inverse of the
// sum.
template <int columns>
__device__ __forceinline__ Pack<float, 2> exponentiate(TileSums (&logits)[columns], int r) {
  float top = -INFINITY, sum = 0.0f;
#pragma unroll
  for (int n = 0; n < columns; ++n)
#pragma unroll
    for (int b = 0; b < 2; ++b)
      top = fmaxf(top, fmaxf(logits[n].values[b][r][0], logits[n].values[b][r][1]));
  top = warp_max(top, 4);
  const float base = top == -INFINITY ? 0.0f : top;  // a row that is no query
#pragma unroll
  for (int n = 0; n < columns; ++n)
#pragma unroll
    for (int b = 0; b < 2; ++b)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        float& value = logits[n].values[b][r][j];
        value = __expf(value - base);
        sum += value;
      }
  return {{top, 1.0f / warp_sum(sum, 4)}};
}

template <int columns, int tiles>
__global__ void __launch_bounds__(columns * 32, kForwardBlocks<columns>)
    attention_whole_kernel(bf16* __restrict__ y, float* __restrict__ statistics,
                           const bf16* __restrict__ qkv, const float* __restrict__ tables,
                           AttentionLayout s) {
  using Size = WholeSize<columns, tiles>;
  SHARED(Token, tokens, [Size::kRows]);
  DYNAMIC_SHARED(bf16, shared);
  bf16 *const k = shared + Size::kMatrix, *const v = k + Size::kMatrix;
  const int own = static_cast<int>(threadIdx.x) / 32 * kTile;  // first row of this warp
  const int group = static_cast<int>(blockIdx.x) / s.heads;
  const int head = static_cast<int>(blockIdx.x) % s.heads, channels = s.heads * s.depth;
  bf16* const q = shared + own * Size::kStride;
  const float* bias = tables ? tables + (s.table_columns == 1 ? 0 : head * s.entries()) : nullptr;

  for (int i = threadIdx.x; i < Size::kRows; i += blockDim.x)
    tokens[i] = token_of(s, group, head, i);
  __syncthreads();
  fetch_tile<tiles>(shared, tokens, Size::kRows, qkv, 3 * channels, s);
  fetch_tile<tiles>(k, tokens, Size::kRows, qkv + channels, 3 * channels, s);
  fetch_tile<tiles>(v, tokens, Size::kRows, qkv + 2 * channels, 3 * channels, s);
  async_copy_wait<1>();
  __syncthreads();
  TileSums logits[columns];
  multiply_rows<tiles>(logits, q, k, Size::kRows, Size::kDepth);
  find_logits(logits, tokens + own, tokens, bias, s);
  const Pack<float, 2> softmax[2] = {exponentiate(logits, 0), exponentiate(logits, 1)};
  async_copy_wait<0>();
  __syncthreads();
  TileSums sums[tiles] = {};
  add_weighted(sums, logits, v, Size::kRows, Size::kDepth);
  const LaneInTile lane;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
#pragma unroll
    for (int d = 0; d < tiles; ++d)
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[d].values[i / 2][r][i % 2] *= softmax[r][1];
    const int token = own + lane.g + 8 * r;
    if (lane.t > 0 || token >= s.tokens) continue;
    float* saved = statistics + (int64_t{group} * s.heads + head) * 2 * s.tokens + token;
    saved[0] = softmax[r][0];
    saved[s.tokens] = softmax[r][1];
  }
  write_tile(y, tokens + own, q, sums, 1.0f, channels, s);
}

}  // namespace

void attention_whole_forward(Tensor y, Tensor statistics, const Tensor& qkv, const Tensor& tables,
                             const AttentionLayout& s) {
  dispatch_whole(s, [&](auto columns, auto tiles) {
    launch({.grid = whole_blocks(s, s.groups),
            .block = columns.value * 32,
            .shared_bytes = 3 * WholeSize<columns.value, tiles.value>::kMatrix * sizeof(bf16),
            .stream = compute_stream()},
           attention_whole_kernel<columns.value, tiles.value>, y.data<bf16>(),
           statistics.data<float>(), qkv.data<bf16>(),
           tables.defined() ? tables.data<float>() : nullptr, s);
  });
}

}  // namespace passband::cuda
