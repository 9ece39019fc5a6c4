// The innermost loop of matrix products: a tile of up to kTileRows x kTileColumns sums that stay in
// registers, as Goto and van de Geijn (2008) block a product.
#pragma once
#include <array>
#include <utility>

#include "tensor/cpu/bf16_pairs.h"
#include "tensor/cpu/pieces.h"

PASSBAND_LEVEL_BEGIN

// 28 of 32, or 12 of 16, registers are sums.
inline constexpr int kTileRows = kVectorBytes == 64 ? 14 : kVectorBytes == 32 ? 6 : 4;
template <class A> inline constexpr int kPanelColumns = 2 * kLanes<A>;

// Steps of F's that `depth` numbers of the inner dimension are.
template <class F> constexpr int64_t steps_of(int64_t depth) {
  return pieces_of(depth, kPerStep<F>);
}

inline constexpr int kTileLanes = kLanes<float>;
inline constexpr int kTileColumns = kPanelColumns<float>;

// Rows of memory that will be read soon: every other step of a tile fetches one line into the
// second level of cache and moves on.
struct Ahead {
  const char *line = nullptr, *end = nullptr;  // of the row
  int64_t step = 0, stride = 0, jump = 0;      // jump: from the end of a row to the next one

  Ahead() = default;
  // `rows` of `width` bytes from `data` on, `stride` bytes apart, over `steps` steps. What is no
  // more than a line a step is fetched line by line.
  Ahead(const void* data, int64_t width, int64_t rows, int64_t stride, int64_t steps)
      : line(static_cast<const char*>(data)),
        end(line + width),
        step(std::max<int64_t>(64, (2 * width * rows + steps - 1) / steps)),
        stride(stride),
        jump(stride - width) {}
  void advance() {
    line += step;
    if (line < end) return;
    line += jump;
    end += stride;
  }
};

// F: of what the factors consist, f32, f64 or pairs of bf16; T: of what the result does.
template <class F, class T = F> struct TileOf {
  const F* a;  // entry (row, k) at a[row * RowStride + k * a_stride]
  int64_t a_stride;
  const F* b;  // entry (k, column) at b[k * b_stride + column]
  int64_t b_stride;
  int64_t depth;
  T* c;
  int64_t stride;               // of c and the residual
  const T* residual = nullptr;  // null: none
  const T* bias = nullptr;      // null: none
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

// sum + x b, the same x for all lanes of b.
template <class A>
[[gnu::always_inline]] inline Vec<A> multiply_add(Vec<A> sum, const A& x, Vec<A> b) {
  return sum + splat(x) * b;
}

// Two vectors of sums, where they belong.
template <class T, class V>
[[gnu::always_inline]] inline void put(T* to, bool past_caches, V low, V high) {
  const auto put_one = [&](auto* p, V sums) __attribute__((always_inline)) {
    if (past_caches) stream(p, sums);
    else store(p, sums);
  };
  if constexpr (std::is_same_v<T, bf16>) {
    put_one(reinterpret_cast<float*>(to), narrowed(low, high));
  } else {
    put_one(to, low);
    put_one(to + kLanes<T>, high);
  }
}

// c = a b [+ c] [+ bias] [+ residual] for `Rows` rows.
template <int Rows, int RowStride, class F, class T> void multiply_rows(const TileOf<F, T>& t) {
  using A = Accumulate<T>;
  constexpr int L = kLanes<A>;
  Vec<A> sums[Rows][2];
  const auto each_row = [&](auto&& f) __attribute__((always_inline)) {
    unrolled<Rows>([&](auto r)
                       __attribute__((always_inline)) { f(sums[r][0], sums[r][1], r * t.stride); });
  };
  each_row([](Vec<A> & low, Vec<A> & high, int64_t)
               __attribute__((always_inline)) { low = high = Vec<A>{}; });
  const F *a = t.a, *b = t.b;
  const auto step = [&]() __attribute__((always_inline)) {
    const Vec<A> b0 = in_register<A>(load(b)), b1 = in_register<A>(load(b + L));
    unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
      sums[r][0] = multiply_add(sums[r][0], a[r * RowStride], b0);
      sums[r][1] = multiply_add(sums[r][1], a[r * RowStride], b1);
    });
    a += t.a_stride;
    b += t.b_stride;
  };
  Ahead first = t.first, second = t.second;
  for (Ahead* ahead : {&first, &second})
    if (!ahead->line) ahead->line = reinterpret_cast<const char*>(b);  // no address is slower
  int64_t k = 0;
  for (; k + 2 <= t.depth; k += 2) {
    __builtin_prefetch(first.line, 0, 2);
    step();
    __builtin_prefetch(second.line, 0, 2);
    step();
    first.advance();
    second.advance();
  }
  if (k < t.depth) step();
  const auto add = [&](const T* p) __attribute__((always_inline)) {
    each_row([p](Vec<A> & low, Vec<A> & high, int64_t at) __attribute__((always_inline)) {
      low += load(p + at);
      high += load(p + at + L);
    });
  };
  if (t.add) add(t.c);
  if (t.residual) add(t.residual);
  if (t.bias) {
    const Vec<A> bias[2] = {load(t.bias), load(t.bias + L)};
    each_row([&](Vec<A> & low, Vec<A> & high, int64_t) __attribute__((always_inline)) {
      low += bias[0];
      high += bias[1];
    });
  }
  const auto put_all = [&](bool past_caches) __attribute__((always_inline)) {
    each_row([&](Vec<A> & low, Vec<A> & high, int64_t at)
                 __attribute__((always_inline)) { put(t.c + at, past_caches, low, high); });
  };
  if (t.stream) put_all(true);
  else put_all(false);
}

// Calls f<Rows>(first) for groups of rows, one after another: kTileRows where there are as many,
// then powers of two. Few sizes are compiled so, and small ones are rare.
template <int Rows = kTileRows, class F>
[[gnu::always_inline]] inline void for_row_groups(int64_t rows, F&& f, int64_t first = 0) {
  if (rows - first >= Rows) {
    f.template operator()<Rows>(first);
    first += Rows;
  }
  constexpr int kPower = kTileRows > 8 ? 8 : kTileRows > 4 ? 4 : 2;
  if constexpr (Rows > 1) for_row_groups<(Rows == kTileRows ? kPower : Rows / 2)>(rows, f, first);
}

// The same for 1 <= rows <= kTileRows, each number of rows by code of its own: for tiles that are
// cut equal.
template <int RowStride, class F = float, class T = F>
void multiply_equal_tile(int64_t rows, const TileOf<F, T>& t) {
  static constexpr auto table = []<int... r>(std::integer_sequence<int, r...>) {
    return std::array{&multiply_rows<r + 1, RowStride, F, T>...};
  }
  (std::make_integer_sequence<int, kTileRows>{});
  table[static_cast<size_t>(rows - 1)](t);
}

// The same for 1 <= rows <= kTileRows, kTileRows most often.
template <int RowStride, class F = float, class T = F>
void multiply_tile(int64_t rows, const TileOf<F, T>& t) {
  if (rows == kTileRows) return multiply_rows<kTileRows, RowStride>(t);
  for_row_groups(rows, [&]<int Rows>(int64_t first) {
    TileOf<F, T> group = t;
    group.a += first * RowStride;
    group.c += first * t.stride;
    if (t.residual) group.residual += first * t.stride;
    multiply_rows<Rows, RowStride>(group);
  });
}

PASSBAND_LEVEL_END
