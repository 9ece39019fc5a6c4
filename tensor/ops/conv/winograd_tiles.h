// The tiles of a convolution by Winograd's algorithm, and their way in and out of the 36 products.
#pragma once
#include "tensor/ops/conv/shape.h"
#include "tensor/ops/conv/winograd_transforms.h"

namespace passband::cpu::winograd {

// Floats between matrices, lest they fall on the same lines of the cache.
inline constexpr int64_t kLine = 16;

// The second level of cache, in floats: half a MiB.
inline constexpr int64_t kCachedFloats = 128 * 1024;

// A map of images, NHWC.
struct Map {
  int64_t n, h, w, c;
};

// The 3x3 convolution of `from` to `to`, cut into tiles; `top` and `left` are its padding.
struct Tiling {
  Map from, to;
  int64_t top, left;

  int64_t down() const { return pieces_of(to.h, kOutputs); }
  int64_t across() const { return pieces_of(to.w, kOutputs); }
  int64_t count() const { return to.n * down() * across(); }
};

// y from x, and dx from dy.
inline Tiling forward_tiling(const ConvShape& s) {
  return {{s.n, s.rows.in, s.columns.in, s.c},
          {s.n, s.rows.out, s.columns.out, s.o},
          s.rows.before,
          s.columns.before};
}
inline Tiling gradient_tiling(const ConvShape& s) {
  return {{s.n, s.rows.out, s.columns.out, s.o},
          {s.n, s.rows.in, s.columns.in, s.c},
          kKernel - 1 - s.rows.before,
          kKernel - 1 - s.columns.before};
}

// Where a tile begins in the outputs.
struct Place {
  int64_t image, row, column;

  Place(const Tiling& t, int64_t tile)
      : image(tile / (t.down() * t.across())),
        row(tile / t.across() % t.down() * kOutputs),
        column(tile % t.across() * kOutputs) {}
};

// A square of pixels; outside of the map, `zeros`.
template <int Side> struct Pixels {
  const float* at[Side][Side];

  Pixels(const Map& map, const Place& corner, const float* x, const float* zeros) {
    for (int64_t i = 0; i < Side; ++i)
      for (int64_t j = 0; j < Side; ++j) {
        const int64_t row = corner.row + i, column = corner.column + j;
        const bool inside = row >= 0 && row < map.h && column >= 0 && column < map.w;
        at[i][j] = inside ? x + ((corner.image * map.h + row) * map.w + column) * map.c : zeros;
      }
  }
};

// The inputs that a tile sees.
inline Pixels<kSide> inputs_of(const Tiling& t, int64_t tile, const float* x, const float* zeros) {
  Place corner(t, tile);
  corner.row -= t.top;
  corner.column -= t.left;
  return {t.from, corner, x, zeros};
}

// to[point * (6 row + column)] = T d T^T of channels [c, c + count) of `pixels`.
template <class Transform, int Side>
[[gnu::always_inline]] inline void transform_pixels(const Pixels<Side>& pixels, int64_t c,
                                                    int count, float* to, int64_t point) {
  transform_tile<Transform>(
      [&](int i, int j) __attribute__((always_inline)) { return load(pixels.at[i][j] + c, count); },
      [&](int i, int j, Vec<float> value)
          __attribute__((always_inline)) { store(to + (i * kSide + j) * point, value); });
}

}  // namespace passband::cpu::winograd
