// The grid of attention windows: where their tokens lie in the picture.
#pragma once
#include "nn/tap.h"

namespace passband {

// Attention over keys that each stand for a square cell of places (Twins' sub-sampled attention):
// the cell's side, 1 where every place has a key. `weights` are (N, heads, queries, keys).
int64_t key_cell(const TapSite& site, const Tensor& weights);
// Such weights over places, a key's share spread evenly over its cell: (N, heads, T, T). Others as
// they are.
Tensor over_places(const TapSite& site, const Tensor& weights);

// Windows of an attention layer on its token grid, prefix tokens left out; a global layer is one
// window.
struct WindowGrid {
  int64_t side_h, side_w;  // of a window
  int64_t across;          // windows per row of windows
  int64_t windows;         // per picture

  explicit WindowGrid(const TapSite& site)
      : side_h(site.window > 0 ? site.window : site.height),
        side_w(site.window > 0 ? site.window : site.width),
        across(site.width / side_w),
        windows((site.height / side_h) * across) {}

  int64_t tokens() const { return side_h * side_w; }
  // Row-major index into the whole grid of token `t` of window `w`, the cyclic shift undone.
  int64_t position(const TapSite& site, int64_t w, int64_t t) const {
    const int64_t row = (w / across) * side_h + t / side_w + site.shift;
    const int64_t column = (w % across) * side_w + t % side_w + site.shift;
    return (row % site.height) * site.width + column % site.width;
  }
};

}  // namespace passband
