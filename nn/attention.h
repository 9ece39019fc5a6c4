// Self-attention layers: global (ViT) and in windows with a relative-position table (AlterNet,
// Swin).
#pragma once
#include <optional>

#include "nn/conv.h"
#include "nn/linear.h"
#include "nn/tap.h"

namespace passband {

// Multi-head self-attention over tokens: proj(softmax(q k^T / sqrt(d)) v), d = width / heads.
// (N, T, width) -> the same.
struct SelfAttention {
  struct Options {
    int64_t heads = 3;
    bool qkv_bias = true;
    LinearOptions linear = {};  // initial values
    int64_t tokens = 1;         // per image: for ParameterStore::macs
  };
  SelfAttention(const Scope& scope, int64_t width, const Options& options);
  // `site` describes the token grid for the tap "attention".
  Tensor operator()(const Tensor& x, const TapSite& site = {}, const Tensor& residual = {}) const;

  Linear qkv, proj;
  int64_t heads;
};

// Multi-head self-attention within windows of `window` x `window` pixels, plus a learned bias per
// relative position (Park and Kim 2022: one table for all heads, key minus query, no shift; Swin:
// one per head, query minus key, shifted). (N, H, W, in) -> (N, H, W, out). H and W must be
// multiples of the window.
// With a `kernel`, a depthwise convolution of the input is added to what the heads give, before the
// last projection (the parallel block of UNet-2022, Guo et al. 2022): attention's weights change
// from place to place and are shared by the channels of a head, the convolution's the other way
// round. heads x head_dim must be `in` then.
struct WindowAttention {
  struct Options {
    int64_t heads = 3;
    int64_t head_dim = 64;
    int64_t window = 7;
    int64_t shift = 0;
    bool bias_per_head = false;
    bool query_minus_key = false;  // how the table counts positions; otherwise key minus query
    bool qkv_bias = false;
    bool has_table = true;                                // false: no bias by position (Twins)
    LinearOptions linear = {.layout = Layout::conv_1x1};  // of both layers
    int64_t kernel = 0;  // side of the depthwise convolution; 0 = none
  };
  WindowAttention(const Scope& scope, int64_t in, int64_t out, Grid grid, const Options& options);
  Tensor operator()(const Tensor& x, const TapSite& site, const Tensor& residual = {}) const;

  Linear qkv;                                 // (3 heads head_dim, in)
  ParameterRef relative_position_bias_table;  // ((2 window - 1)^2, heads or 1), or null
  std::optional<Conv2d> dwconv;
  Linear proj;  // (out, heads head_dim), with bias
  Options options;
};

}  // namespace passband
