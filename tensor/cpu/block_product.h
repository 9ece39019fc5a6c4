// Products of small matrices that lie in cache, as attention and the lambda layer make them: one
// thread, no packing.
#pragma once
#include <algorithm>

#include "tensor/cpu/vector.h"

PASSBAND_LEVEL_BEGIN

// A matrix read element by element: entry (i, k) is data[i * row + k * column], so a transpose is a
// swap of strides.
template <class A> struct Strided {
  const A* data;
  int64_t row, column;
};

// A matrix of lines that begin `line` elements apart.
template <class A> struct Lines {
  A* data;
  int64_t line;
};

// An inner dimension in `count` pieces: piece g continues at g * a in the left and g * b in the
// right factor.
struct Pieces {
  int64_t count = 1, a = 0, b = 0;
};

// c (m, n), summed over k.
struct BlockShape {
  int64_t m, n, k;
};

struct BlockSum {
  bool add = false;  // to what c holds
  Pieces pieces = {};
};

// `count` rounded up to whole vectors: the row length of the packed matrices below, zeros after
// the last column.
template <class A> constexpr int64_t padded(int64_t count) {
  return (count + kLanes<A> - 1) / kLanes<A> * kLanes<A>;
}

// to (columns, rows) = from (rows, columns)^T, both with rows of whole vectors and zeros in the
// padding of `from`. `from` has rows up to a whole number of vectors.
template <class A> void block_transpose(A* to, int64_t ld_to, const A* from, int64_t ld_from,
                                        int64_t rows, int64_t columns) {
  constexpr int L = kLanes<A>;
  for (int64_t i = 0; i < rows; i += L)
    for (int64_t j = 0; j < columns; j += L) {
      Vec<A> square[L];
      for (int k = 0; k < L; ++k) square[k] = load(from + (i + k) * ld_from + j);
      transpose_square<A>(square);
      for (int k = 0; k < L; ++k) store(to + (j + k) * ld_to + i, square[k]);
    }
}

// R rows and V vectors of c (+)= a b, in registers over the whole inner dimension.
template <class A, int R, int V>
inline void product_tile(Lines<A> c, Strided<A> a, Lines<const A> b, int64_t K, BlockSum sum) {
  Vec<A> sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      sums[r][v] = sum.add ? load(c.data + r * c.line + v * kLanes<A>) : Vec<A>{};
  for (int64_t g = 0; g < sum.pieces.count; ++g) {
    const A* left = a.data + g * sum.pieces.a;
    const A* right = b.data + g * sum.pieces.b;
    for (int64_t k = 0; k < K; ++k) {
      Vec<A> row[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) row[v] = in_register<A>(load(right + k * b.line + v * kLanes<A>));
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const Vec<A> s = splat(left[r * a.row + k * a.column]);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[r][v] += s * row[v];
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(c.data + r * c.line + v * kLanes<A>, sums[r][v]);
}

// All rows of V vectors of columns: tiles of R rows, then of 4, 2 and 1.
template <class A, int R, int V> void product_panel(Lines<A> c, Strided<A> a, Lines<const A> b,
                                                    const BlockShape& shape, BlockSum sum) {
  int64_t i = 0;
  const auto rows = [&]<int Rows>() {
    for (; i + Rows <= shape.m; i += Rows)
      product_tile<A, Rows, V>({c.data + i * c.line, c.line}, {a.data + i * a.row, a.row, a.column},
                               b, shape.k, sum);
  };
  rows.template operator()<R>();
  if constexpr (R > 4) rows.template operator()<4>();
  rows.template operator()<2>();
  rows.template operator()<1>();
}

// c (m, n) = a (m, k) b (k, n), or += when `sum.add`; summed over pieces of the inner dimension. n
// is whole vectors.
template <class A> void block_product(Lines<A> c, Strided<A> a, Lines<const A> b,
                                      const BlockShape& shape, BlockSum sum = {}) {
  // Tiles fill the registers: 32 of them with AVX-512, 16 before.
  constexpr bool kMany = kVectorBytes == 64;
  int64_t j = 0;
  const auto panels = [&]<int Rows, int Vectors>() {
    constexpr int64_t kColumns = Vectors * kLanes<A>;
    for (; j + kColumns <= shape.n; j += kColumns)
      product_panel<A, Rows, Vectors>({c.data + j, c.line}, a, {b.data + j, b.line}, shape, sum);
  };
  if constexpr (kMany) panels.template operator()<6, 4>();
  panels.template operator()<kMany ? 12 : 6, 2>();
  panels.template operator()<kMany ? 16 : 8, 1>();
}

PASSBAND_LEVEL_END
