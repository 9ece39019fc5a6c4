// The innermost loop of weight gradients: a tile of y's channels by two vectors of x's channels
// whose sums over pixels stay in registers.
#pragma once
#include "tensor/ops/conv/sum_tile.h"

PASSBAND_LEVEL_BEGIN

// Pixels of both operands, packed: three loops over pixels of dy, of kTileRows channels each, and
// the pixel of x that a cell takes with each, of kPanel channels.
template <class T> struct GradientTile {
  const T *dy, *x;
  int64_t counts[3];                // of the outer, the middle and the inner loop
  int64_t dy_steps[2], x_steps[3];  // of dy's inner loop: kTileRows
  T* sums;                          // (kTileRows, kPanel), added to
};

template <class T, int Rows, int Vectors> void gradient_tile(const GradientTile<T>& t) {
  constexpr int L = kLanes<T>;
  TileSums<T, Rows, Vectors> sums;
  sums.each([](Vec<T> & sum, auto, auto) __attribute__((always_inline)) { sum = Vec<T>{}; });
  for (int64_t i = 0; i < t.counts[0]; ++i)
    for (int64_t j = 0; j < t.counts[1]; ++j) {
      const T* a = t.dy + i * t.dy_steps[0] + j * t.dy_steps[1];
      const T* b = t.x + i * t.x_steps[0] + j * t.x_steps[1];
      for (const T* const end = a + t.counts[2] * kTileRows; a != end;
           a += kTileRows, b += t.x_steps[2]) {
        Vec<T> x[Vectors];
        unrolled<Vectors>([&](auto v) __attribute__((always_inline)) { x[v] = load(b + v * L); });
        unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
          const Vec<T> y = splat(a[r]);
          unrolled<Vectors>([&](auto v)
                                __attribute__((always_inline)) { sums.of[r][v] += y * x[v]; });
        });
      }
    }
  sums.each([&](Vec<T> & sum, auto r, auto v) __attribute__((always_inline)) {
    T* const to = t.sums + r * kPanel<T> + v * L;
    store(to, load(to) + sum);
  });
}

// The same for 1 <= rows <= kTileRows of y's channels and `width` of x's.
template <class T> void gradient_tile(int64_t rows, int64_t width, const GradientTile<T>& t) {
  if (rows == kTileRows && width > kLanes<T>) return gradient_tile<T, kTileRows, 2>(t);
  for_row_groups(rows, [&]<int Rows>(int64_t first) {
    GradientTile<T> group = t;
    group.dy += first;
    group.sums += first * kPanel<T>;
    if (width > kLanes<T>) gradient_tile<T, Rows, 2>(group);
    else gradient_tile<T, Rows, 1>(group);
  });
}

PASSBAND_LEVEL_END
