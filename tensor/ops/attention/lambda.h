// The lambda layer (Bello, "LambdaNetworks: Modeling long-range interactions without attention",
// ICLR 2021).
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

enum class LambdaOrder : uint8_t {
  automatic,     // the cheaper of the two for the shape
  lambda_first,  // as published: form the lambdas, apply them to the queries
  // y = sum_m S v with S = q (softmax(k) + E): 2 to 3.6 times fewer products, nothing materialised.
  score_first,
};

struct LambdaOptions {
  int64_t heads = 4;
  int64_t depth = 16;       // k, of queries and keys
  int64_t intra_depth = 1;  // u
  int64_t window = 0;       // r, odd side of the local window, the paper's scope; 0 = global
  LambdaOrder order = LambdaOrder::automatic;
};

// q (N, H, W, heads * k) channel = head * k + kk; keys (N, H, W, u * k); values (N, H, W, u * v).
// `embedding`: local (r, r, k, u), global (2H-1, 2W-1, k, u), entry [my - ny + R, mx - nx + R]
// (context minus query) with R = (r-1)/2, H-1 or W-1; `embedding_bias` (k) is added to each
// position lambda, may be undefined. Both have the type of q, or f32 beside bf16. The softmax over
// positions of the keys is part of the operation. Result (N, H, W, heads * v), channel = head * v +
// vv.
Tensor lambda_layer(const Tensor& q, const Tensor& keys, const Tensor& values,
                    const Tensor& embedding, const Tensor& embedding_bias,
                    const LambdaOptions& options = {});

// Effective weights of the layer for a tap, without the embedding's bias: (N, heads, H*W, H*W),
// signed, rows not normalised. u must be 1.
Tensor lambda_weights(const Tensor& q, const Tensor& keys, const Tensor& embedding,
                      const LambdaOptions& options = {});

}  // namespace passband
