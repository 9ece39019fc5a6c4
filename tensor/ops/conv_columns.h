// A convolution as a matrix product: the patches that the kernel sees, as rows of a matrix.
#pragma once
#include <algorithm>
#include <cstring>

#include "tensor/core/dtype.h"
#include "tensor/core/parallel.h"
#include "tensor/ops/conv_geometry.h"

namespace passband::cpu {

// Calls f(patch element offset, pixel of x or -1 outside) for each cell of output pixel (row,
// column) of an image.
template <class F> void for_cells(const ConvGeometry& g, int64_t row, int64_t column, F&& f) {
  const int64_t top = row * g.rows.stride - g.rows.before,
                left = column * g.columns.stride - g.columns.before;
  for (int64_t i = 0; i < g.kh; ++i)
    for (int64_t j = 0; j < g.kw; ++j) {
      const int64_t y = top + i * g.rows.dilation, x = left + j * g.columns.dilation;
      const bool inside = y >= 0 && y < g.h && x >= 0 && x < g.w;
      f((i * g.kw + j) * g.ci, inside ? y * g.w + x : -1);
    }
}

// columns (pixels, kh kw ci): the patches of channels [group * ci, (group + 1) * ci) of x, zeros
// outside the image.
template <class T>
void gather_columns(const ConvGeometry& g, int64_t group, const T* x, T* columns) {
  const size_t bytes = static_cast<size_t>(g.ci) * sizeof(T);
  parallel_for(g.n * g.ho, grain_for(g.wo * g.patch()), [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const T* image = x + line / g.ho * g.h * g.w * g.c + group * g.ci;
      T* out = columns + line * g.wo * g.patch();
      for (int64_t column = 0; column < g.wo; ++column, out += g.patch())
        for_cells(g, line % g.ho, column, [&](int64_t offset, int64_t pixel) {
          if (pixel < 0) std::memset(static_cast<void*>(out + offset), 0, bytes);
          else std::memcpy(static_cast<void*>(out + offset), image + pixel * g.c, bytes);
        });
    }
  });
}

// Adjoint of gather_columns: dx of the group's channels = the sum of the patches, in a fixed order;
// the rest of dx must be zero. bf16 sums are rounded at every overlap, so bf16 comes here only with
// patches that are disjoint.
template <class T>
void scatter_columns(const ConvGeometry& g, int64_t group, const T* columns, T* dx) {
  const bool disjoint = g.disjoint();
  parallel_for(g.n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      T* image = dx + n * g.h * g.w * g.c + group * g.ci;
      for (int64_t p = 0; p < g.ho * g.wo; ++p) {
        const T* patch = columns + (n * g.ho * g.wo + p) * g.patch();
        for_cells(g, p / g.wo, p % g.wo, [&](int64_t offset, int64_t pixel) {
          if (pixel < 0) return;
          T* out = image + pixel * g.c;
          if (disjoint) return static_cast<void>(std::copy_n(patch + offset, g.ci, out));
#pragma omp simd
          for (int64_t c = 0; c < g.ci; ++c)
            out[c] = static_cast<T>(Accumulate<T>(out[c]) + Accumulate<T>(patch[offset + c]));
        });
      }
    }
  });
}

// The `co` channels of one group of y (pixels, o), packed; and back.
template <class T> void gather_group(const ConvGeometry& g, int64_t group, const T* y, T* packed) {
  for (int64_t p = 0; p < g.pixels(); ++p)
    std::copy_n(y + p * g.o + group * g.co, g.co, packed + p * g.co);
}
template <class T> void scatter_group(const ConvGeometry& g, int64_t group, const T* packed, T* y) {
  for (int64_t p = 0; p < g.pixels(); ++p)
    std::copy_n(packed + p * g.co, g.co, y + p * g.o + group * g.co);
}

}  // namespace passband::cpu
