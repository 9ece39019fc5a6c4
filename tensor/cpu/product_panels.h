// Parts of matrices as the register tile reads them: tiles of rows of the left factor, panels of
// columns of the right one.
#pragma once
#include <algorithm>

#include "tensor/cpu/product_tile.h"

PASSBAND_LEVEL_BEGIN

// Part of a stored matrix, its rows `stride` apart.
template <class T> struct Stored {
  const T* data;
  int64_t stride;
  bool transposed;  // it is read by columns

  // From row i and column k of what is read on.
  const T* at(int64_t i, int64_t k) const {
    return data + (transposed ? k * stride + i : i * stride + k);
  }
};

// Lines of a matrix that are packed at a time: what they hold stays in the first level of cache,
// and so does what is written of each panel or tile.
inline constexpr int64_t kPackedLines = 8;

// One line of a panel, zeros past `columns`.
template <class T> void pack_panel_line(Accumulate<T>* to, const T* from, int64_t columns) {
  using A = Accumulate<T>;
  constexpr int64_t L = kLanes<A>;
  const int64_t second = std::clamp<int64_t>(columns - L, 0, L);
  store(to, load(from, static_cast<int>(std::min(columns, L))));
  store(to + L, second > 0 ? load(from + L, static_cast<int>(second)) : Vec<A>{});
}

// panels (columns / kPanelColumns, depth, kPanelColumns) = depth x columns from `b` (k, n) on,
// zeros past `columns`.
template <class T> void pack_panels(Accumulate<T>* panels, const T* b, int64_t stride,
                                    int64_t depth, int64_t columns) {
  constexpr int64_t kColumns = kPanelColumns<Accumulate<T>>;
  for (int64_t line = 0; line < depth; line += kPackedLines)
    for (int64_t j = 0; j < columns; j += kColumns) {
      const int64_t end = std::min(depth, line + kPackedLines);
      for (int64_t k = line; k < end; ++k)
        pack_panel_line(panels + j * depth + k * kColumns, b + k * stride + j,
                        std::min(kColumns, columns - j));
    }
}

// The same from `b` stored (n, k).
template <class T> void pack_panel_transposed(Accumulate<T>* panel, const T* b, int64_t stride,
                                              int64_t depth, int64_t columns) {
  using A = Accumulate<T>;
  constexpr int L = kLanes<A>;
  for (int64_t k = 0; k < depth; k += L)
    for (int j = 0; j < kPanelColumns<A>; j += L) {
      const int count = static_cast<int>(std::min<int64_t>(L, depth - k));
      Vec<A> square[L];
      for (int l = 0; l < L; ++l)
        square[l] = j + l < columns ? load(b + (j + l) * stride + k, count) : Vec<A>{};
      transpose_square<A>(square);
      for (int l = 0; l < count; ++l) store(panel + (k + l) * kPanelColumns<A> + j, square[l]);
    }
}

// The panels of columns [column, column + columns) of b (k, n), depth [k, k + depth).
template <class T> void pack_right(Accumulate<T>* panels, const Stored<T>& b, int64_t k,
                                   int64_t column, int64_t depth, int64_t columns) {
  constexpr int64_t kColumns = kPanelColumns<Accumulate<T>>;
  const T* from = b.at(k, column);
  if (!b.transposed) return pack_panels(panels, from, b.stride, depth, columns);
  for (int64_t j = 0; j < columns; j += kColumns)
    pack_panel_transposed(panels + j * depth, from + j * b.stride, b.stride, depth,
                          std::min(kColumns, columns - j));
}

// to = `rows` rows of a (m, k), `kRowStride` apart.
template <int64_t kRowStride, class T>
void pack_left_rows(Accumulate<T>* to, const T* a, int64_t stride, int64_t rows, int64_t depth) {
  using A = Accumulate<T>;
  for (int64_t r = 0; r < rows; ++r)
    for_vectors<A>(0, depth, [&](int64_t k, int count) {
      store(to + r * kRowStride + k, load(a + r * stride + k, count), count);
    });
}

// The next `rows` numbers of one line.
template <class T> void widen_line(Accumulate<T>* to, const T* from, int64_t rows) {
  if constexpr (std::is_same_v<T, Accumulate<T>>) {
    if (rows == kTileRows) std::memcpy(to, from, sizeof(T) * kTileRows);
    else std::copy_n(from, rows, to);
  } else {
    for (int64_t r = 0; r < rows; ++r) to[r] = static_cast<Accumulate<T>>(from[r]);
  }
}

// to (tiles, depth, kTileRows) = `rows` columns of a stored (k, m).
template <class T>
void pack_left_columns(Accumulate<T>* to, const T* a, int64_t stride, int64_t rows, int64_t depth) {
  for (int64_t line = 0; line < depth; line += kPackedLines)
    for (int64_t row = 0; row < rows; row += kTileRows)
      for (int64_t k = line; k < std::min(depth, line + kPackedLines); ++k)
        widen_line(to + row * depth + k * kTileRows, a + k * stride + row,
                   std::min<int64_t>(kTileRows, rows - row));
}

PASSBAND_LEVEL_END
