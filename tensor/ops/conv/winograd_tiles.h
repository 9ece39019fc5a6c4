// The tiles of a convolution by Winograd's algorithm, and their way in and out of the 36 products.
#pragma once
#include "tensor/ops/conv/shape.h"
#include "tensor/ops/conv/winograd_transforms.h"

PASSBAND_LEVEL_BEGIN
namespace winograd {

// Floats between matrices, lest they fall on the same lines of the cache.
inline constexpr int64_t kLine = 16;

// Calls f with the type of a map's elements.
template <class F> void for_map(DType dtype, F&& f) {
  if (dtype == DType::bf16) f.template operator()<bf16>();
  else f.template operator()<float>();
}

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
template <class T, int Side> struct Pixels {
  const T* at[Side][Side];

  Pixels(const Map& map, const Place& corner, const T* x, const T* zeros) {
    for (int64_t i = 0; i < Side; ++i) {
      const int64_t row = corner.row + i;
      const bool inside = row >= 0 && row < map.h;
      const T* line = x + (corner.image * map.h + row) * map.w * map.c;
      for (int64_t j = 0, column = corner.column; j < Side; ++j, ++column)
        at[i][j] = inside && column >= 0 && column < map.w ? line + column * map.c : zeros;
    }
  }
};

// The inputs that a tile sees.
template <class T>
Pixels<T, kSide> inputs_of(const Tiling& t, int64_t tile, const T* x, const T* zeros) {
  Place corner(t, tile);
  corner.row -= t.top;
  corner.column -= t.left;
  return {t.from, corner, x, zeros};
}

// to[point * (6 row + column)] = T d T^T of channels [c, c + count) of `pixels`, zeros in the other
// lanes.
template <class Transform, class T, int Side>
[[gnu::always_inline]] inline void transform_pixels(const Pixels<T, Side>& pixels, int64_t c,
                                                    int count, float* to, int64_t point) {
  const auto put = [&](int i, int j, Vec<float> value) __attribute__((always_inline)) {
    store(to + (i * kSide + j) * point, value);
  };
  if (count == kLanes<float>)
    transform_tile<Transform>(
        [&](int i, int j)
            __attribute__((always_inline)) { return load_whole(pixels.at[i][j] + c); },
        put);
  else
    transform_tile<Transform>([&](int i, int j) { return load(pixels.at[i][j] + c, count); }, put);
}

// Fetches channels [first, first + channels) of the pixels of tiles into the second level of cache,
// some lines at each of `times` calls: what is read next, or, with `Writes`, written.
template <bool Writes, class T> class Fetch {
 public:
  Fetch(const Tiling& t, const Map& map, const T* data, int64_t first, int64_t channels)
      : t_(t), map_(map), data_(data + first), channels_(channels) {}
  void start(int64_t tile, int64_t tiles, int64_t times) {
    tile_ = tile;
    end_ = tile + tiles;
    pixel_ = line_ = 0;
    share_ = pieces_of(tiles * kOutputs * kOutputs * pieces_of(channels_, kOfLine), times);
  }
  void some() {
    for (int64_t i = 0; i < share_ && tile_ < end_; ++i) {
      if (line_ == 0) find();
      if (at_) __builtin_prefetch(at_ + line_, Writes, 2);
      line_ += kOfLine;
      if (!at_ || line_ >= channels_) advance();
    }
  }

 private:
  static constexpr int64_t kOfLine = 64 / sizeof(T);  // channels

  void find() {
    const Place place(t_, tile_);
    const int64_t row = place.row + pixel_ / kOutputs, column = place.column + pixel_ % kOutputs;
    at_ = row < map_.h && column < map_.w
              ? data_ + ((place.image * map_.h + row) * map_.w + column) * map_.c
              : nullptr;
  }
  void advance() {
    line_ = 0;
    if (++pixel_ < kOutputs * kOutputs) return;
    pixel_ = 0;
    ++tile_;
  }

  const Tiling& t_;
  const Map& map_;
  const T* data_;
  int64_t channels_, tile_ = 0, end_ = 0, pixel_ = 0, line_ = 0, share_ = 0;
  const T* at_ = nullptr;
};

}  // namespace winograd
PASSBAND_LEVEL_END
