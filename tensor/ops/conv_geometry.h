// The numbers of a convolution, for the kernels of all backends.
#pragma once
#include <array>

#include "tensor/ops/conv.h"

namespace passband {

// The three products of a convolution.
enum class ConvPass : int64_t { forward = 'f', backward_input = 'i', backward_weight = 'w' };

// All numbers of a convolution. `c` and `o` are channels of x and y, `ci` and `co` those of one
// group.
struct ConvGeometry {
  int64_t n, h, w, c, ho, wo, o, kh, kw, ci, co;
  WindowAxis rows, columns;
  int64_t groups;

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
        rows(given.rows()),
        columns(given.columns()),
        groups(given.groups) {}

  int64_t pixels() const { return n * ho * wo; }
  int64_t patch() const { return kh * kw * ci; }
  bool strided() const { return rows.stride > 1 || columns.stride > 1; }
  // No pixel of x is in two patches.
  bool disjoint() const {
    return rows.dilation == 1 && columns.dilation == 1 && kh <= rows.stride && kw <= columns.stride;
  }
  bool pointwise() const {
    return kh == 1 && kw == 1 && !rows.padded() && !columns.padded() && groups == 1;
  }
  // The patches of x are x itself.
  bool trivial() const { return pointwise() && !strided(); }
  // All that tells this convolution from others, for caches of what is prepared for one.
  std::array<int64_t, 16> numbers() const {
    return {n,
            h,
            w,
            c,
            o,
            kh,
            kw,
            groups,
            rows.stride,
            rows.dilation,
            rows.before,
            rows.after,
            columns.stride,
            columns.dilation,
            columns.before,
            columns.after};
  }
};

}  // namespace passband
