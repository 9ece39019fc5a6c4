// The numbers of a convolution, for the kernels of all backends.
#pragma once
#include "tensor/ops/conv.h"

namespace passband {

// All numbers of a convolution. `c` and `o` are channels of x and y, `ci` and `co` those of one
// group.
struct ConvGeometry {
  int64_t n, h, w, c, ho, wo, o, kh, kw, ci, co;
  ConvOptions options;

  ConvGeometry(const Shape& x, const Shape& y, const Shape& weight, const ConvOptions& given)
      : n(x[0]),
        h(x[1]),
        w(x[2]),
        c(x[3]),
        ho(y[1]),
        wo(y[2]),
        o(y[3]),
        kh(weight[1]),
        kw(weight[2]),
        ci(weight[3]),
        co(o / given.groups),
        options(given) {}

  int64_t pixels() const { return n * ho * wo; }
  int64_t patch() const { return kh * kw * ci; }
  // No pixel of x is in two patches.
  bool disjoint() const {
    return options.dilation == 1 && kh <= options.stride && kw <= options.stride;
  }
  bool pointwise() const {
    return kh == 1 && kw == 1 && options.padding == 0 && options.groups == 1;
  }
  // The patches of x are x itself.
  bool trivial() const { return pointwise() && options.stride == 1; }
};

}  // namespace passband
