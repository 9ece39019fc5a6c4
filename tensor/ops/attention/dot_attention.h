// Scaled dot-product attention on separate queries, keys and values: cross attention, grouped
// heads, masks. Composed of products, softmax and choices; the self-attention of the models, fused
// and on packed queries, keys and values, is ops/attention.h.
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

struct DotAttentionOptions {
  double scale = 0;     // of q k^T; 0 means 1 / sqrt(d)
  bool causal = false;  // query t sees the keys s <= t, counted from the start of both
};

// q (B, heads, T, d), k (B, groups, S, d), v (B, groups, S, e) -> (B, heads, T, e):
//   y = softmax(scale q k^T + mask) v
// T and S may differ. `groups` divides `heads`: each key and value head serves heads / groups query
// heads in a row (grouped-query attention), without a copy of it. The mask broadcasts to (B, heads,
// T, S): u8, where 0 hides the key from the query (PyTorch's boolean mask), or of q's type, which
// is added and gets a gradient, where -infinity hides; beside `causal` both must let a pair see one
// another. As PyTorch's scaled_dot_product_attention with enable_gqa. A query that sees no key at
// all gets 0, and gives no gradient.
// Cost: the (B, heads, T, S) scores are stored, once for each of softmax, its result, and, with a
// mask, two choices. The causal mask is made on the host in each call, so a call with it can not be
// part of a recorded step.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const Tensor& mask = {},
                                    const DotAttentionOptions& options = {});

}  // namespace passband
