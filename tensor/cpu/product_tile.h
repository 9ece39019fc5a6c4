// The innermost loop of matrix products: a tile of up to kTileRows x kTileColumns sums that stay in
// registers, as Goto and van de Geijn (2008) block a product.
#pragma once
#include <array>
#include <utility>

#include "tensor/cpu/pieces.h"
#include "tensor/cpu/vector.h"

PASSBAND_LEVEL_BEGIN

// 28 of 32, or 12 of 16, registers are sums.
inline constexpr int kTileRows = kVectorBytes == 64 ? 14 : kVectorBytes == 32 ? 6 : 4;
template <class A> inline constexpr int kPanelColumns = 2 * kLanes<A>;

inline constexpr int kTileLanes = kLanes<float>;
inline constexpr int kTileColumns = kPanelColumns<float>;

// Memory that will be read soon: every other step of a tile fetches one line into the second level
// of cache and moves on by `step` bytes.
struct Ahead {
  const char* line = nullptr;
  int64_t step = 0;

  Ahead() = default;
  // `bytes` from `data` on, over `steps` steps.
  Ahead(const void* data, int64_t bytes, int64_t steps)
      : line(static_cast<const char*>(data)), step((2 * bytes + steps - 1) / steps) {}
  void skip(int64_t steps) { line += steps / 2 * step; }
};

template <class A> struct TileOf {
  const A* a;  // entry (row, k) at a[row * RowStride + k * a_stride]
  int64_t a_stride;
  const A* b;  // entry (k, column) at b[k * b_stride + column]
  int64_t b_stride;
  int64_t depth;
  A* c;
  int64_t stride;               // of c and the residual
  const A* residual = nullptr;  // null: none
  const A* bias = nullptr;      // null: none
  bool add = false;             // to what c holds
  bool stream = false;          // c bypasses the caches; it is aligned to vectors
  Ahead first = {}, second = {};
};
using Tile = TileOf<float>;

// f(0), ..., f(count - 1), each with its own constant: GCC 12 keeps arrays in registers only where
// every index is one before it optimises.
template <int count, class F> [[gnu::always_inline]] inline void unrolled(F&& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, count>{});
}

// c = a b [+ c] [+ bias] [+ residual] for `Rows` rows.
template <int Rows, int RowStride, class A> void multiply_rows(const TileOf<A>& t) {
  constexpr int L = kLanes<A>;
  Vec<A> sums[Rows][2];
  const auto each_sum = [&](auto&& f) __attribute__((always_inline)) {
    unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
      f(sums[r][0], r * t.stride);
      f(sums[r][1], r * t.stride + L);
    });
  };
  each_sum([](Vec<A> & sum, int64_t) __attribute__((always_inline)) { sum = Vec<A>{}; });
  const A *a = t.a, *b = t.b;
  const auto step = [&]() __attribute__((always_inline)) {
    const Vec<A> b0 = in_register<A>(load(b)), b1 = in_register<A>(load(b + L));
    unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
      const Vec<A> x = splat(a[r * RowStride]);
      sums[r][0] += x * b0;
      sums[r][1] += x * b1;
    });
    a += t.a_stride;
    b += t.b_stride;
  };
  Ahead first = t.first, second = t.second;
  int64_t k = 0;
  for (; k + 2 <= t.depth; k += 2) {
    __builtin_prefetch(first.line, 0, 2);
    step();
    __builtin_prefetch(second.line, 0, 2);
    step();
    first.skip(2);
    second.skip(2);
  }
  if (k < t.depth) step();
  const auto add = [&](const A* p) __attribute__((always_inline)) {
    each_sum([p](Vec<A> & sum, int64_t at) __attribute__((always_inline)) { sum += load(p + at); });
  };
  if (t.add) add(t.c);
  if (t.residual) add(t.residual);
  if (t.bias) {
    const Vec<A> bias[2] = {load(t.bias), load(t.bias + L)};
    unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
      sums[r][0] += bias[0];
      sums[r][1] += bias[1];
    });
  }
  if (t.stream)
    return each_sum([&](Vec<A> & sum, int64_t at)
                        __attribute__((always_inline)) { stream(t.c + at, sum); });
  each_sum([&](Vec<A> & sum, int64_t at) __attribute__((always_inline)) { store(t.c + at, sum); });
}

// The same for 1 <= rows <= kTileRows.
template <int RowStride, class A = float> void multiply_tile(int64_t rows, const TileOf<A>& t) {
  static constexpr auto table = []<int... r>(std::integer_sequence<int, r...>) {
    return std::array{&multiply_rows<r + 1, RowStride, A>...};
  }
  (std::make_integer_sequence<int, kTileRows>{});
  table[static_cast<size_t>(rows - 1)](t);
}

PASSBAND_LEVEL_END
