// Global self-attention with relative positions by row and by column (BoTNet).
#pragma once
#include "nn/linear.h"
#include "nn/tap.h"

namespace passband {

// Srinivas et al. 2021: softmax(q k^T / sqrt(d) + q R) v, where R for query (y, x) and key (y', x')
// is height_rel[y' - y + H - 1] + width_rel[x' - x + W - 1]; the position term is not scaled.
// (N, H, W, in) -> (N, H, W, heads head_dim), for maps of the extent given. No projection follows.
// Names are timm's: qkv (without bias), pos_embed.height_rel, pos_embed.width_rel.
struct RelativeAttention {
  struct Options {
    int64_t heads = 4;
    int64_t head_dim = 16;
  };
  RelativeAttention(const Scope& scope, int64_t in, Grid grid, const Options& options);
  Tensor operator()(const Tensor& x, const TapSite& site) const;

  Linear qkv;                          // (3 heads head_dim, in)
  ParameterRef height_rel, width_rel;  // (2 H - 1, head_dim), (2 W - 1, head_dim)
  Grid grid;
  Options options;
};

}  // namespace passband
