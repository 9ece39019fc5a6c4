// The innermost loop of weight gradients: a tile of y's channels by two vectors of x's channels
// whose sums over pixels stay in registers.
#pragma once
#include "tensor/ops/conv/sum_tile.h"

namespace passband::cpu {

// Pixels of both operands, packed. Of dy, `images` times `rows` times `columns` pixels of
// kTileRows channels each; of x the pixel that a cell takes with each, kPanel channels.
template <class T> struct GradientTile {
  const T *dy, *x;
  int64_t images, rows, columns;
  int64_t dy_image, dy_row;          // steps; from pixel to pixel: kTileRows
  int64_t x_image, x_row, x_column;  // steps
  T* sums;                           // (kTileRows, kPanel), added to
};

template <class T, int Rows, int Vectors> void gradient_tile(const GradientTile<T>& t) {
  constexpr int L = kLanes<T>;
  TileSums<T, Rows, Vectors> sums;
  sums.each([](Vec<T> & sum, auto, auto) __attribute__((always_inline)) { sum = Vec<T>{}; });
  for (int64_t image = 0; image < t.images; ++image)
    for (int64_t row = 0; row < t.rows; ++row) {
      const T* a = t.dy + image * t.dy_image + row * t.dy_row;
      const T* b = t.x + image * t.x_image + row * t.x_row;
      for (const T* const end = a + t.columns * kTileRows; a != end;
           a += kTileRows, b += t.x_column) {
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
  static constexpr auto table = []<int... r>(std::integer_sequence<int, r...>) {
    return std::array{std::array{&gradient_tile<T, r + 1, 1>, &gradient_tile<T, r + 1, 2>}...};
  }
  (std::make_integer_sequence<int, kTileRows>{});
  table[static_cast<size_t>(rows - 1)][width > kLanes<T> ? 1 : 0](t);
}

}  // namespace passband::cpu
