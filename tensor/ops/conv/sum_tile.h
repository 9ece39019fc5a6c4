// The innermost loop of direct convolutions: a tile of pixels by two vectors of channels whose sums
// stay in registers. Each pixel has a pointer of its own into the source, so patches are never
// copied.
#pragma once
#include "tensor/cpu/product_tile.h"

PASSBAND_LEVEL_BEGIN

template <class T> inline constexpr int kPanel = 2 * kLanes<T>;  // channels of the result

template <class T> struct SumTile {
  const T* const* sources;  // (count, kTileRows): of each cell, where each pixel's channels begin
  const int32_t* cells;     // (count): which of the panel's cells they are
  int64_t count;
  int64_t channel, depth;  // the source's channels to sum
  const T* panel;          // (cells, channels, kPanel)
  int64_t cell_size;       // of the panel
  T* const* result;        // (kTileRows)
  int64_t width;           // channels of the result, at most kPanel
  const T* bias;           // (kPanel), null: none
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

template <class T, int Rows, int Vectors>
[[gnu::always_inline]] inline void finish_tile(const SumTile<T>& t,
                                               TileSums<T, Rows, Vectors>& sums) {
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

template <class T, int Rows, int Vectors> void sum_tile(const SumTile<T>& t) {
  constexpr int L = kLanes<T>;
  TileSums<T, Rows, Vectors> sums;
  sums.each([](Vec<T> & sum, auto, auto) __attribute__((always_inline)) { sum = Vec<T>{}; });
  for (int64_t i = 0; i < t.count; ++i) {
    const T* a[Rows];
    unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
      a[r] = t.sources[i * kTileRows + r] + t.channel;
    });
    const T* b = t.panel + t.cells[i] * t.cell_size + t.channel * kPanel<T>;
    for (int64_t k = 0; k < t.depth; ++k, b += kPanel<T>) {
      Vec<T> w[Vectors];
      unrolled<Vectors>([&](auto v) __attribute__((always_inline)) { w[v] = load(b + v * L); });
      unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
        const Vec<T> x = splat(a[r][k]);
        unrolled<Vectors>([&](auto v)
                              __attribute__((always_inline)) { sums.of[r][v] += x * w[v]; });
      });
    }
  }
  finish_tile(t, sums);
}

// The same for 1 <= rows <= kTileRows.
template <class T> void sum_tile(int64_t rows, const SumTile<T>& t) {
  static constexpr auto table = []<int... r>(std::integer_sequence<int, r...>) {
    return std::array{std::array{&sum_tile<T, r + 1, 1>, &sum_tile<T, r + 1, 2>}...};
  }
  (std::make_integer_sequence<int, kTileRows>{});
  const size_t vectors = t.width > kLanes<T> ? 1 : 0;
  table[static_cast<size_t>(rows - 1)][vectors](t);
}

PASSBAND_LEVEL_END
