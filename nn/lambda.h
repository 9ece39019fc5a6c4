// The lambda layer with its projections and norms (Bello, ICLR 2021).
#pragma once
#include <optional>

#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/tap.h"

namespace passband {

// (N, H, W, width) -> the same. Queries, keys and values come from one 1x1 convolution without
// bias, in the order [q (heads k), k (u k), v (u v)], v = width / heads; batch norms on q and v,
// none on k. Names follow the public PyTorch ports: conv_qkv, norm_q, norm_v, and lambda_conv
// (local window: a kernel with bias) or pos_emb (global: a table); or timm: qkv, norm_q, norm_v,
// conv_lambda or pos_emb, of another layout.
struct LambdaLayer {
  struct Options {
    int64_t heads = 4;
    int64_t depth = 16;       // k
    int64_t intra_depth = 1;  // u
    int64_t window = 23;      // r, odd side of the local window, the paper's scope; 0 = global
    std::optional<Init> qkv_init = {}, embedding_init = {};
    bool timm_names = false;  // u = 1 only
  };
  LambdaLayer(const Scope& scope, int64_t width, Grid grid, const Options& options);
  Tensor operator()(const Tensor& x, const TapSite& site) const;

  Linear conv_qkv;
  BatchNorm norm_q, norm_v;
  ParameterRef embedding;       // (r, r, k, u) or (2H-1, 2W-1, k, u); timm's without u
  ParameterRef embedding_bias;  // (k), local window only
  Options options;
  int64_t value_depth;  // v
};

}  // namespace passband
