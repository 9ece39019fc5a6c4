// Parts of matrices as the register tile reads them: tiles of rows of the left factor, panels of
// columns of the right one. F is what they consist of: the computing type, or pairs of bf16.
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

// Numbers, at most kLanes of F, of a step's lines, zeros after them: the line itself, or for pairs
// it and the next one, null past the last.
template <class F, class T> inline auto load_step(const T* line, const T* next, int64_t count) {
  constexpr int64_t L = kLanes<Accumulate<T>>;
  if constexpr (kPerStep<F> == 2) return paired(line, next, count);
  else return count > 0 ? load(line, static_cast<int>(std::min(count, L))) : Vec<Accumulate<T>>{};
}

// panels (columns / kPanelColumns, steps, kPanelColumns) = depth x columns from `b` (k, n) on,
// zeros past `columns`.
template <class F, class T>
void pack_panels(F* panels, const T* b, int64_t stride, int64_t depth, int64_t columns) {
  using A = Accumulate<T>;
  constexpr int64_t L = kLanes<A>, kColumns = kPanelColumns<A>;
  const int64_t steps = steps_of<F>(depth);
  for (int64_t line = 0; line < steps; line += kPackedLines)
    for (int64_t j = 0; j < columns; j += kColumns)
      for (int64_t s = line; s < std::min(steps, line + kPackedLines); ++s) {
        const int64_t k = s * kPerStep<F>;
        const T *from = b + k * stride + j, *next = k + 1 < depth ? from + stride : nullptr;
        F* to = panels + j * steps + s * kColumns;
        store(to, load_step<F>(from, next, columns - j));
        store(to + L, load_step<F>(from + L, next ? next + L : next, columns - j - L));
      }
}

// Numbers of one step after another of a row, zeros after `count` numbers.
template <class F, class T> inline auto load_steps(const T* row, int64_t count) {
  constexpr int64_t L = kLanes<Accumulate<T>>;
  if constexpr (kPerStep<F> == 2) return neighbours(row, count);
  else return load(row, static_cast<int>(std::min(count, L)));
}

// The same from `b` stored (n, k).
template <class F, class T>
void pack_panel_transposed(F* panel, const T* b, int64_t stride, int64_t depth, int64_t columns) {
  using A = Accumulate<T>;
  constexpr int L = kLanes<A>;
  const int64_t steps = steps_of<F>(depth);
  for (int64_t s = 0; s < steps; s += L)
    for (int j = 0; j < kPanelColumns<A>; j += L) {
      const int64_t k = s * kPerStep<F>;
      Vec<A> square[L];
      for (int l = 0; l < L; ++l)
        square[l] = j + l < columns ? load_steps<F>(b + (j + l) * stride + k, depth - k) : Vec<A>{};
      transpose_square<A>(square);
      for (int l = 0; l < std::min<int64_t>(L, steps - s); ++l)
        store(panel + (s + l) * kPanelColumns<A> + j, square[l]);
    }
}

// The panels of columns [column, column + columns) of b (k, n), depth [k, k + depth).
template <class F, class T> void pack_right(F* panels, const Stored<T>& b, int64_t k,
                                            int64_t column, int64_t depth, int64_t columns) {
  constexpr int64_t kColumns = kPanelColumns<Accumulate<T>>;
  const T* from = b.at(k, column);
  if (!b.transposed) return pack_panels(panels, from, b.stride, depth, columns);
  for (int64_t j = 0; j < columns; j += kColumns)
    pack_panel_transposed(panels + j * steps_of<F>(depth), from + j * b.stride, b.stride, depth,
                          std::min(kColumns, columns - j));
}

// to = `rows` rows of a (m, k), `kRowStride` apart.
template <int64_t kRowStride, class F, class T>
void pack_left_rows(F* to, const T* a, int64_t stride, int64_t rows, int64_t depth) {
  constexpr int64_t L = kLanes<Accumulate<T>>;
  const int64_t steps = steps_of<F>(depth);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t s = 0; s < steps; s += L)
      store(to + r * kRowStride + s,
            load_steps<F>(a + r * stride + s * kPerStep<F>, depth - s * kPerStep<F>),
            static_cast<int>(std::min(L, steps - s)));
}

// The next `rows` numbers of one line, or pairs of it and the next one, null past the last.
template <class F, class T> void pack_left_step(F* to, const T* line, const T* next, int64_t rows) {
  if constexpr (kPerStep<F> == 2) {
    store(to, paired(line, next, rows), static_cast<int>(rows));
  } else if constexpr (std::is_same_v<T, F>) {
    if (rows == kTileRows) std::memcpy(to, line, sizeof(T) * kTileRows);
    else std::copy_n(line, rows, to);
  } else {
    for (int64_t r = 0; r < rows; ++r) to[r] = static_cast<F>(line[r]);
  }
}

// to (tiles, steps, kTileRows) = `rows` columns of a stored (k, m).
template <class F, class T>
void pack_left_columns(F* to, const T* a, int64_t stride, int64_t rows, int64_t depth) {
  const int64_t steps = steps_of<F>(depth);
  for (int64_t line = 0; line < steps; line += kPackedLines)
    for (int64_t row = 0; row < rows; row += kTileRows)
      for (int64_t s = line; s < std::min(steps, line + kPackedLines); ++s) {
        const int64_t k = s * kPerStep<F>;
        const T* from = a + k * stride + row;
        pack_left_step(to + row * steps + s * kTileRows, from,
                       k + 1 < depth ? from + stride : nullptr,
                       std::min<int64_t>(kTileRows, rows - row));
      }
}

PASSBAND_LEVEL_END
