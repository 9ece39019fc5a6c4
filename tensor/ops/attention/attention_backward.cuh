// Shared by the kernels of attention's backward pass: what they read, and the functions by which
// one file calls another.
#pragma once
#include "tensor/ops/attention/attention_tiles.cuh"

namespace passband::cuda {

// P and dP of 16 own rows and a tile of the other operand, from what is in shared memory.
template <int columns> struct Pairs { TileSums p[columns], dp[columns]; };

template <class T> struct BackwardInputs {
  const T *dy, *qkv;
  const float *tables, *statistics;

  __device__ const float* bias_of(const AttentionLayout& s, int head) const {
    return tables ? tables + (s.table_columns == 1 ? 0 : head * s.entries()) : nullptr;
  }
};

// Index of a query in (groups, heads, tokens).
__device__ __forceinline__ int64_t query_index(const AttentionLayout& s, int group, int head,
                                               int token) {
  return (int64_t{group} * s.heads + head) * s.tokens + token;
}

// What forward kept of a query.
struct QuerySoftmax {
  float top = 0.0f, inverse = 0.0f;
  QuerySoftmax() = default;
  __device__ QuerySoftmax(const float* __restrict__ statistics, const AttentionLayout& s, int group,
                          int head, int token) {
    const float* saved = statistics + query_index(s, group, head, 0) * 2 + token;
    top = saved[0];
    inverse = saved[s.tokens];
  }
};

// Groups that a block works on one after another, for the gradient of the table: as few as leave
// about `wanted` chunks of each head and keep the sums of dS below 64 MB. A function of the shape
// alone.
inline int groups_of_chunk(const AttentionLayout& s, int64_t wanted) {
  const int64_t matrix = int64_t{s.heads} * s.tokens * s.tokens;
  const int64_t chunks =
      std::clamp<int64_t>(std::min(wanted, (int64_t{1} << 24) / matrix), 1, s.groups);
  return static_cast<int>((s.groups + chunks - 1) / chunks);
}

// attention_whole_backward_cuda.cu: all gradients of windows that fit into shared memory whole, in
// one kernel. Returns dlogits (chunks, heads, tokens, tokens), dS summed over the groups of a
// chunk, where `table` asks for it.
bool fits_whole(const AttentionLayout& s);
Tensor attention_whole_gradients(Tensor dqkv, const BackwardInputs<bf16>& in,
                                 const AttentionLayout& s, bool table);

// attention_table_cuda.cu: dbias (entries, table columns) from dlogits.
void attention_table_gradient(Tensor dbias, Tensor dlogits, const AttentionLayout& s);

}  // namespace passband::cuda
