// Products of f32 matrices on the matrix unit, which multiplies bf16 numbers only. An f32 number is
// the sum of three bf16 numbers, exactly: its 24 bits in portions of 8. Of the nine products of
// parts six are summed; those left out come to at most 2^-24 of the whole product, what rounding it
// once would cost. As the unit sums in f32, the result is as exact as one of f32 multiply-adds.
// (Henry, Tang and Heinecke, "Leveraging the bfloat16 artificial intelligence datatype for
// higher-precision computations", ARITH 2019.) The unit takes subnormal numbers for 0, so parts and
// sums below 2^-126 are lost.
#pragma once
#include "tensor/cpu/matrix_unit.h"
#include "tensor/cpu/vector.h"

PASSBAND_LEVEL_BEGIN
namespace split {

inline constexpr int kSide = 32;   // of a square of sums: 2 x 2 tiles
inline constexpr int kDepth = 32;  // of the inner dimension in a step: one tile

// kDepth numbers of each of kSide rows of a left factor, or columns of a right one: their parts,
// each in two tiles. A word holds two numbers, kDepth / 2 apart.
struct alignas(64) Step {
  uint32_t parts[3][2][256];
};

constexpr int64_t steps_of(int64_t depth) { return (depth + kDepth - 1) / kDepth; }

// Up to kSide rows of a left factor, or columns of a right one, over `depth` of the inner
// dimension. That runs along the rows of memory (pack_*_rows: entry (i, k) at from[i * stride + k])
// or across them (pack_*_columns: entry (k, i) at from[k * stride + i]).
struct Panel {
  const float* from;
  int64_t stride;
  int64_t width, depth;
};

// to, steps_of(depth) long = the parts of a panel, zeros past its ends. False if a number is
// infinite or NaN, or rounds to infinity in bf16: its parts do not add up to it.
bool pack_left_rows(Step* to, const Panel& panel);
bool pack_left_columns(Step* to, const Panel& panel);
bool pack_right_rows(Step* to, const Panel& panel);
bool pack_right_columns(Step* to, const Panel& panel);

// Rows of a matrix that will be read soon: at each of `times` calls some of them, line by line, are
// fetched into the second level of cache.
class Fetch {
 public:
  Fetch(const float* from, int64_t stride, int64_t width, int64_t rows, int64_t times)
      : row_(from),
        stride_(stride),
        width_(width),
        lines_(((width + 15) / 16 * rows + times - 1) / times) {}
  void some() {
    for (int64_t i = 0; i < lines_; ++i) {
      __builtin_prefetch(row_ + column_, 0, 2);
      column_ += 16;
      if (column_ >= width_) column_ = 0, row_ += stride_;
    }
  }

 private:
  const float* row_;
  int64_t stride_, width_, lines_, column_ = 0;
};

#ifdef PASSBAND_MATRIX_UNIT

// Tile registers 0 to 3 hold kSide x kSide sums; parts of the factors pass through 4 to 7.

inline void clear_sums() {
  matrix_unit::clear<0>(), matrix_unit::clear<1>();
  matrix_unit::clear<2>(), matrix_unit::clear<3>();
}

// Rows `stride` floats apart.
inline void load_sums(const float* from, int64_t stride) {
  matrix_unit::load<0>(from, stride * 4), matrix_unit::load<1>(from + 16, stride * 4);
  matrix_unit::load<2>(from + 16 * stride, stride * 4),
      matrix_unit::load<3>(from + 16 * stride + 16, stride * 4);
}
inline void store_sums(float* to, int64_t stride) {
  matrix_unit::store<0>(to, stride * 4), matrix_unit::store<1>(to + 16, stride * 4);
  matrix_unit::store<2>(to + 16 * stride, stride * 4),
      matrix_unit::store<3>(to + 16 * stride + 16, stride * 4);
}

// sums += a b, the smallest products first.
inline void multiply_add(const Step& a, const Step& b) {
  const auto left = [&](int part) __attribute__((always_inline)) {
    matrix_unit::load<4>(a.parts[part][0]), matrix_unit::load<5>(a.parts[part][1]);
  };
  const auto right = [&](int part) __attribute__((always_inline)) {
    matrix_unit::load<6>(b.parts[part][0]), matrix_unit::load<7>(b.parts[part][1]);
  };
  const auto add = []() __attribute__((always_inline)) {
    matrix_unit::multiply_add<0, 4, 6>(), matrix_unit::multiply_add<1, 4, 7>();
    matrix_unit::multiply_add<2, 5, 6>(), matrix_unit::multiply_add<3, 5, 7>();
  };
  left(2), right(0), add();
  left(1), add();
  right(1), add();
  left(0), add();
  right(2), add();
  right(0), add();
}

#endif

}  // namespace split
PASSBAND_LEVEL_END
