// Kernels of fused attention, one signature per backend.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

// What one attention call works on. qkv is (batch, height * width, 3 * heads * depth); without
// windows it is one window of all tokens.
struct AttentionShape {
  int64_t batch = 0, height = 0, width = 0;
  int64_t heads = 0, depth = 0;
  int64_t window_height = 0, window_width = 0;
  int64_t shift = 0;
  double scale = 1;

  int64_t windows() const { return (height / window_height) * (width / window_width); }
  int64_t groups() const { return batch * windows(); }
  int64_t tokens() const { return window_height * window_width; }
  // Side of the relative-position table; the windows are square when there is one.
  int64_t table_side() const { return 2 * window_width - 1; }

  // Row and column, before the cyclic shift, of token t of window `window`, and whether the shift
  // wrapped it around.
  struct Place {
    int64_t row, column;
    int wrapped;  // bit 0: in rows, bit 1: in columns; pairs of different values do not see each
                  // other
  };
  Place place(int64_t window, int64_t t) const {
    const int64_t across = width / window_width;
    const int64_t r = window / across * window_height + t / window_width,
                  c = window % across * window_width + t % window_width;
    return {(r + shift) % height, (c + shift) % width,
            (r >= height - shift) + 2 * (c >= width - shift)};
  }
  // Entry of the relative-position table for query token q and key token k of a window.
  int64_t table_entry(int64_t q, int64_t k) const {
    const int64_t w = window_width;
    return (k / w - q / w + w - 1) * table_side() + k % w - q % w + w - 1;
  }
};

namespace cpu {
// y (batch, tokens, heads * depth); statistics (groups, heads, 2, tokens): the largest logit of
// each query and the inverse of the sum of exponentials, for backward.
PASSBAND_CPU_KERNEL(attention_forward, void(Tensor y, Tensor statistics, const Tensor& qkv,
                                            const Tensor& bias, const AttentionShape& shape));
// dbias may be undefined.
PASSBAND_CPU_KERNEL(attention_backward,
                    void(Tensor dqkv, Tensor dbias, const Tensor& dy, const Tensor& qkv,
                         const Tensor& bias, const Tensor& statistics,
                         const AttentionShape& shape));
}  // namespace cpu

namespace cuda {
void attention_forward(Tensor y, Tensor statistics, const Tensor& qkv, const Tensor& bias,
                       const AttentionShape& shape);
void attention_backward(Tensor dqkv, Tensor dbias, const Tensor& dy, const Tensor& qkv,
                        const Tensor& bias, const Tensor& statistics, const AttentionShape& shape);
}  // namespace cuda

}  // namespace passband
