// The innermost loop of direct convolutions: a tile of pixels by two vectors of channels whose sums
// stay in registers. Each pixel has a pointer of its own into the source, so patches are never
// copied.
#pragma once
#include "tensor/cpu/product_tile.h"

PASSBAND_LEVEL_BEGIN

// S: of what the source consists. bf16 is multiplied in pairs of its channels and summed in f32.
template <class S> inline constexpr int kPanel =
    2 * kLanes<Accumulate<S>>;  // channels of the result

template <class S> struct SumTile {
  using A = Accumulate<S>;

  const S* const* sources;  // (count, kTileRows): of each cell, where each pixel's channels begin
  const int32_t* cells;     // (count): which of the panel's cells they are
  int64_t count;
  int64_t channel, depth;  // the source's channels to sum, of bf16 an even number
  const Factor<S>* panel;  // (cells, steps of channels, kPanel)
  int64_t cell_size;       // of the panel
  A* const* result;        // (kTileRows)
  int64_t width;           // channels of the result, at most kPanel
  const A* bias;           // (kPanel), null: none
  bool add;                // to what the result holds
};

// The sums of a tile, before they are stored.
template <class T, int Rows, int Vectors> struct TileSums {
  Vec<T> of[Rows][Vectors];

  template <class F> [[gnu::always_inline]] void each(F&& f) {
    unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
      unrolled<Vectors>([&](auto v) __attribute__((always_inline)) { f(of[r][v], r, v); });
    });
  }
};

template <class S, int Rows, int Vectors>
[[gnu::always_inline]] inline void finish_tile(const SumTile<S>& t,
                                               TileSums<Accumulate<S>, Rows, Vectors>& sums) {
  using T = Accumulate<S>;
  constexpr int L = kLanes<T>;
  if (t.bias)
    sums.each([&](Vec<T> & sum, auto, auto v)
                  __attribute__((always_inline)) { sum += load(t.bias + v * L); });
  if (t.width == Vectors * L) {
    if (t.add)
      sums.each([&](Vec<T> & sum, auto r, auto v)
                    __attribute__((always_inline)) { sum += load(t.result[r] + v * L); });
    return sums.each([&](Vec<T> & sum, auto r, auto v)
                         __attribute__((always_inline)) { store(t.result[r] + v * L, sum); });
  }
  sums.each([&](Vec<T> & sum, auto r, auto v) __attribute__((always_inline)) {
    T* const to = t.result[r] + v * L;
    const int count = static_cast<int>(t.width - v * L < L ? t.width - v * L : L);
    if (t.add) sum += load(to, count);
    store(to, sum, count);
  });
}

template <class S, int Rows, int Vectors> void sum_tile(const SumTile<S>& t) {
  using T = Accumulate<S>;
  using F = Factor<S>;
  constexpr int L = kLanes<T>;
  constexpr int64_t kStep = kPerStep<F>;
  TileSums<T, Rows, Vectors> sums;
  sums.each([](Vec<T> & sum, auto, auto) __attribute__((always_inline)) { sum = Vec<T>{}; });
  for (int64_t i = 0; i < t.count; ++i) {
    const F* a[Rows];
    unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
      a[r] = reinterpret_cast<const F*>(t.sources[i * kTileRows + r] + t.channel);
    });
    const F* b = t.panel + t.cells[i] * t.cell_size + t.channel / kStep * kPanel<S>;
    for (int64_t k = 0; k < t.depth / kStep; ++k, b += kPanel<S>) {
      Vec<T> w[Vectors];
      unrolled<Vectors>([&](auto v) __attribute__((always_inline)) { w[v] = load(b + v * L); });
      unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
        unrolled<Vectors>([&](auto v) __attribute__((always_inline)) {
          sums.of[r][v] = multiply_add(sums.of[r][v], a[r][k], w[v]);
        });
      });
    }
  }
  finish_tile(t, sums);
}

// The same for 1 <= rows <= kTileRows.
template <class S> void sum_tile(int64_t rows, const SumTile<S>& t) {
  if (rows == kTileRows && t.width > kLanes<Accumulate<S>>) return sum_tile<S, kTileRows, 2>(t);
  for_row_groups(rows, [&]<int Rows>(int64_t first) {
    SumTile<S> group = t;
    group.sources += first;
    group.result += first;
    if (t.width > kLanes<Accumulate<S>>) sum_tile<S, Rows, 2>(group);
    else sum_tile<S, Rows, 1>(group);
  });
}

PASSBAND_LEVEL_END
