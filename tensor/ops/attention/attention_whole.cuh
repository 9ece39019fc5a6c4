// Sizes of windows of up to 128 tokens whose pairs (group, head) a block has whole, a warp for each
// 16 of its tokens: forward and backward are compiled for a few of them, and smaller ones padded.
#pragma once
#include "tensor/ops/attention/attention_tiles.cuh"

namespace passband::cuda {

// `columns` tiles of 16 tokens, `tiles` of 16 channels.
template <int columns, int tiles> struct WholeSize {
  static constexpr int kRows = columns * kTile;
  static constexpr int kDepth = tiles * kTile;
  static constexpr int kStride = kDepth + kTilePadding;
  static constexpr int kMatrix = kRows * kStride;  // elements of one operand in shared memory
};

inline bool is_whole(const AttentionLayout& s) { return s.tokens <= 128 && s.depth <= 64; }

// Calls f with `columns` and `tiles` as compile-time constants.
template <class F> auto dispatch_whole(const AttentionLayout& s, const F& f) {
  const auto with_depth = [&](auto columns) {
    if (s.depth <= 32) return f(columns, std::integral_constant<int, 2>{});
    return f(columns, std::integral_constant<int, 4>{});
  };
  if (s.tokens <= 16) return with_depth(std::integral_constant<int, 1>{});
  if (s.tokens <= 64) return with_depth(std::integral_constant<int, 4>{});
  if (s.tokens <= 80) return with_depth(std::integral_constant<int, 5>{});
  return with_depth(std::integral_constant<int, 8>{});
}

inline unsigned whole_blocks(const AttentionLayout& s, int64_t chunks) {
  PASSBAND_CHECK(chunks * s.heads <= std::numeric_limits<int32_t>::max(), "attention: ", s.groups,
                 " windows of ", s.heads, " heads are too many for one launch");
  return static_cast<unsigned>(chunks * s.heads);
}

// Logits of a warp's 16 queries, made from their products with all keys; -infinity where there is
// no key or it is not seen.
template <int columns>
__device__ __forceinline__ void find_logits(TileSums (&products)[columns], const Token* queries,
                                            const Token* keys, const float* __restrict__ bias,
                                            const AttentionLayout& s) {
  const LaneInTile lane;
  const bool labelled = bias != nullptr || s.shift > 0;
  const Token query[2] = {queries[lane.g], queries[lane.g + 8]};
  for_elements<columns>([&](int n, int b, int r, int j, int column) {
    float& value = products[n].values[b][r][j];
    value = column >= s.tokens ? -INFINITY
            : labelled         ? logit_of(value, query[r], keys[column], bias, s)
                               : value * s.scale;
  });
}

}  // namespace passband::cuda
