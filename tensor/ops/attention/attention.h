// Multi-head self-attention on packed queries, keys and values, global or in windows.
// Packed layout: last dimension 3 * heads * d = [q | k | v], each head-major (head, d).
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

struct AttentionOptions {
  int64_t heads = 1;
  double scale = 0;    // of q k^T; 0 means 1 / sqrt(d)
  int64_t window = 0;  // side of square windows; 0 = global over all tokens
  int64_t shift = 0;   // cyclic shift before windowing (Swin); pairs that wrap around are masked
};

// qkv (B, T, 3hd), or (N, H, W, 3hd) (required for windows; H and W must be multiples of the
// window). `bias`: undefined, or a relative-position table ((2w-1)^2, heads), or ((2w-1)^2, 1)
// shared by all heads, where w is the window side (or H = W when global); the entry
//   [(kr - qr + w - 1) * (2w - 1) + kc - qc + w - 1]
// is added to the logit of query (qr, qc) and key (kr, kc). Its type is qkv's, or f32 beside bf16.
// Result: qkv's leading dimensions, hd.
Tensor attention(const Tensor& qkv, const Tensor& bias = {}, const AttentionOptions& options = {});

// The two halves of `attention`, with the probabilities in between made real, for taps:
// (B * windows, heads, T, T), T = tokens of a window (row-major within the window; windows
// row-major within the image).
Tensor attention_probabilities(const Tensor& qkv, const Tensor& bias = {},
                               const AttentionOptions& options = {});
Tensor attention_output(const Tensor& probabilities, const Tensor& qkv,
                        const AttentionOptions& options = {});

}  // namespace passband
