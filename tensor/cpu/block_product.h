// Products of small matrices that lie in cache, as attention and the lambda layer make them: one
// thread, no packing.
#pragma once
#include <algorithm>

#include "tensor/cpu/vector.h"

namespace passband::cpu {

// A matrix read element by element: entry (i, k) is data[i * row + k * column], so a transpose is a
// swap of strides.
template <class A> struct Strided {
  const A* data;
  int64_t row, column;
};

// An inner dimension in `count` pieces: piece g continues at g * a in the left and g * b in the
// right factor.
struct Pieces {
  int64_t count = 1, a = 0, b = 0;
};

// `count` rounded up to whole vectors: the row length of the packed matrices below, zeros behind
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
template <class A, int R, int V> inline void product_tile(A* c, int64_t ldc, Strided<A> a,
                                                          const A* b, int64_t ldb, int64_t K,
                                                          bool add, Pieces pieces) {
  Vec<A> sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v] = add ? load(c + r * ldc + v * kLanes<A>) : Vec<A>{};
  for (int64_t g = 0; g < pieces.count; ++g) {
    const A* left = a.data + g * pieces.a;
    const A* right = b + g * pieces.b;
    for (int64_t k = 0; k < K; ++k) {
      Vec<A> row[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) row[v] = load(right + k * ldb + v * kLanes<A>);
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
    for (int v = 0; v < V; ++v) store(c + r * ldc + v * kLanes<A>, sums[r][v]);
}

// All M rows of V vectors of columns: tiles of R rows, then of 4, 2 and 1.
template <class A, int R, int V> void product_panel(A* c, int64_t ldc, Strided<A> a, const A* b,
                                                    int64_t ldb, int64_t M, int64_t K, bool add,
                                                    Pieces pieces) {
  int64_t i = 0;
  const auto rows = [&]<int Rows>() {
    for (; i + Rows <= M; i += Rows)
      product_tile<A, Rows, V>(c + i * ldc, ldc, {a.data + i * a.row, a.row, a.column}, b, ldb, K,
                               add, pieces);
  };
  rows.template operator()<R>();
  if constexpr (R > 4) rows.template operator()<4>();
  rows.template operator()<2>();
  rows.template operator()<1>();
}

// c (M, N) = a (M, K) b (K, N), or += when `add`; summed over `pieces` of the inner dimension. N is
// whole vectors.
template <class A> void block_product(A* c, int64_t ldc, Strided<A> a, const A* b, int64_t ldb,
                                      int64_t M, int64_t N, int64_t K, bool add,
                                      Pieces pieces = {}) {
  // Tiles fill the registers: 32 of them with AVX-512, 16 before.
  constexpr bool kMany = kVectorBytes == 64;
  int64_t j = 0;
  if constexpr (kMany)
    for (; j + 4 * kLanes<A> <= N; j += 4 * kLanes<A>)
      product_panel<A, 6, 4>(c + j, ldc, a, b + j, ldb, M, K, add, pieces);
  for (; j + 2 * kLanes<A> <= N; j += 2 * kLanes<A>)
    product_panel<A, kMany ? 12 : 6, 2>(c + j, ldc, a, b + j, ldb, M, K, add, pieces);
  for (; j < N; j += kLanes<A>)
    product_panel<A, kMany ? 16 : 8, 1>(c + j, ldc, a, b + j, ldb, M, K, add, pieces);
}

}  // namespace passband::cpu
