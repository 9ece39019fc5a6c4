// Forward and input gradient by Winograd's algorithm; see winograd.h. Of the two factors the
// smaller is transformed once and the other, block by block, on its way through the cache.
#include "tensor/ops/conv/winograd.h"

#include "tensor/cpu/caches.h"
#include "tensor/cpu/loops.h"
#include "tensor/ops/conv/winograd_tiles.h"

LEVEL_BEGIN
namespace winograd {
namespace {

constexpr int L = kLanes<float>;
constexpr int64_t kLineFloats = 16;                  // channels that fill a line of the cache
constexpr int64_t kChunk = kTileRows * kLineFloats;  // of a group of tiles

// --- the factors ---

// Transformed inputs of groups of kTileRows tiles: (group, point, chunk of channels, tile, lane).
struct Left {
  int64_t chunks;

  explicit Left(int64_t channels) : chunks(pieces_of(channels, kLineFloats)) {}
  int64_t point() const { return chunks * kChunk + kLine; }
  int64_t group() const { return kPoints * point(); }
};

// Transformed weights: (point, panel of kTileColumns channels of the result, channel, column).
struct Right {
  int64_t depth, panels;

  Right(int64_t from, int64_t to)
      : depth(pieces_of(from, kLineFloats) * kLineFloats), panels(pieces_of(to, kTileColumns)) {}
  int64_t panel() const { return depth * kTileColumns; }
  int64_t point() const { return panels * panel() + kLine; }
  int64_t size() const { return kPoints * point(); }
};

// The products of groups of tiles: (group, point, tile, channel).
struct Products {
  int64_t columns;

  int64_t point() const { return kTileRows * columns + kLine; }
  int64_t group() const { return kPoints * point(); }
};

// The weight of a convolution from `from` to `to` channels.
struct Weight {
  const float* data;
  int64_t from, to;
  bool turned;  // stored (from, 3, 3, to) and turned by 180 degrees; else (to, 3, 3, from)
};

// --- transforms ---

// Channels are filled up to whole lines with zeros.
template <class T> void transform_input(const Tiling& t, const Left& left, int64_t tile, const T* x,
                                        const T* zeros, float* v) {
  const Pixels<T, kSide> pixels = inputs_of(t, tile, x, zeros);
  for (int64_t c = 0; c < left.chunks * kLineFloats; c += L) {
    const int count = static_cast<int>(std::clamp<int64_t>(t.from.c - c, 0, L));
    transform_pixels<InputTransform>(pixels, c, count,
                                     v + c / kLineFloats * kChunk + c % kLineFloats, left.point());
  }
}

// Tiles [begin, end), where `begin` starts a group.
template <class T> void transform_inputs(const Tiling& t, const Left& left, int64_t begin,
                                         int64_t end, const T* x, const T* zeros, float* v) {
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t at = tile - begin;
    transform_input(t, left, tile, x, zeros,
                    v + at / kTileRows * left.group() + at % kTileRows * kLineFloats);
  }
}

using Cells = Vec<float>[L][kKernel * kKernel];

// cells[k][cell], lane l: from channel `from + k` to channel `to + l`.
void gather(const Weight& w, int64_t from, int64_t to, Cells& cells) {
  constexpr int64_t all = kKernel * kKernel;
  const int64_t wide = w.turned ? w.to : w.from, high = w.turned ? w.from : w.to;
  const int64_t column = w.turned ? to : from, row = w.turned ? from : to;
  const int count = static_cast<int>(std::clamp<int64_t>(wide - column, 0, L));
  for (int64_t cell = 0; cell < all; ++cell) {
    Vec<float> square[L];
    for (int k = 0; k < L; ++k)
      square[k] = row + k < high ? load(w.data + ((row + k) * all + cell) * wide + column, count)
                                 : Vec<float>{};
    if (!w.turned) transpose_square<float>(square);
    for (int k = 0; k < L; ++k) cells[k][w.turned ? all - 1 - cell : cell] = square[k];
  }
}

// Panels from channel `first` of the result on.
void transform_weight(const Weight& w, const Right& right, int64_t first, int64_t panel, float* u) {
  u += panel * right.panel();
  for (int64_t half = 0; half < kTileColumns; half += L)
    for (int64_t k = 0; k < right.depth; k += L) {
      Cells cells;
      const int64_t to = first + panel * kTileColumns + half;
      if (to < w.to) gather(w, k, to, cells);
      else std::fill_n(&cells[0][0], L * kKernel * kKernel, Vec<float>{});
      for (int64_t i = 0; i < L; ++i) {
        float* at = u + (k + i) * kTileColumns + half;
        transform_tile<WeightTransform>(
            [&](int r, int c) __attribute__((always_inline)) { return cells[i][r * kKernel + c]; },
            [&](int r, int c, Vec<float> value) __attribute__((always_inline)) {
              store(at + (r * kSide + c) * right.point(), value);
            });
      }
    }
}

template <class T> struct Output {
  T* y;
  const float* bias;  // null: none
};

// Channels [first, first + columns) of a tile; Whole: it lies inside of the map.
template <bool Whole, class T> void transform_output(const Tiling& t, const Products& products,
                                                     const Place& place, int64_t first,
                                                     const float* m, const Output<T>& out) {
  const Map& map = t.to;
  const int64_t rows = map.h - place.row, columns = map.w - place.column, point = products.point();
  T* corner = out.y + ((place.image * map.h + place.row) * map.w + place.column) * map.c;
  const auto channels = [&](int64_t c, int count) __attribute__((always_inline)) {
    const Vec<float> bias = out.bias ? load(out.bias + c, count) : Vec<float>{};
    transform_tile<OutputTransform>(
        [&](int i, int j) __attribute__((always_inline)) {
          return load_whole(m + (i * kSide + j) * point + c - first);
        },
        [&](int i, int j, Vec<float> value) __attribute__((always_inline)) {
          if (Whole || (i < rows && j < columns)) {
            store(corner + (i * map.w + j) * map.c + c, value + bias, count);
          }
        });
  };
  for_vectors<float>(first, std::min(map.c, first + products.columns), channels);
}

template <class T> void transform_output(const Tiling& t, const Products& products, int64_t tile,
                                         int64_t first, const float* m, const Output<T>& out) {
  const Place place(t, tile);
  const bool whole = place.row + kOutputs <= t.to.h && place.column + kOutputs <= t.to.w;
  if (whole) transform_output<true>(t, products, place, first, m, out);
  else transform_output<false>(t, products, place, first, m, out);
}

// --- products ---

// c (Rows, kTileColumns) = a b for chunks of a.
template <int Rows> void multiply_chunks(const float* a, const float* b, int64_t chunks, float* c,
                                         int64_t stride, Ahead ahead) {
  Vec<float> sums[Rows][2];
  unrolled<Rows>([&](auto r)
                     __attribute__((always_inline)) { sums[r][0] = sums[r][1] = Vec<float>{}; });
  for (; chunks > 0; --chunks, a += kChunk, b += kLineFloats * kTileColumns) {
    for (int i = 0; i < kLineFloats / 2; ++i, ahead.advance()) __builtin_prefetch(ahead.line, 0, 2);
    unrolled<kLineFloats>([&](auto k) __attribute__((always_inline)) {
      const Vec<float> b0 = load(b + k * kTileColumns), b1 = load(b + k * kTileColumns + L);
      unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
        const Vec<float> x = splat(a[r * kLineFloats + k]);
        sums[r][0] += x * b0;
        sums[r][1] += x * b1;
      });
    });
  }
  unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
    store(c + r * stride, sums[r][0]);
    store(c + r * stride + L, sums[r][1]);
  });
}

void multiply_chunks(int64_t rows, const float* a, const float* b, int64_t chunks, float* c,
                     int64_t stride, const Ahead& ahead) {
  for_row_groups(rows, [&]<int Rows>(int64_t first) {
    multiply_chunks<Rows>(a + first * kLineFloats, b, chunks, c + first * stride, stride, ahead);
  });
}

// m = v u for `tiles` tiles and `panels` panels of u. Meanwhile the next panel is fetched, and
// `fetch` called.
template <class F> void multiply(int64_t tiles, int64_t panels, const Left& left,
                                 const Right& right, const Products& products, const float* v,
                                 const float* u, float* m, F&& fetch) {
  const int64_t groups = pieces_of(tiles, kTileRows), share = right.panel() / groups;
  for (int64_t point = 0; point < kPoints; ++point)
    for (int64_t panel = 0; panel < panels; ++panel) {
      const float* b = u + point * right.point() + panel * right.panel();
      const float* next = panel + 1 < panels    ? b + right.panel()
                          : point + 1 < kPoints ? u + (point + 1) * right.point()
                                                : u;
      for (int64_t group = 0; group < groups; ++group) {
        multiply_chunks(
            std::min<int64_t>(kTileRows, tiles - group * kTileRows),
            v + group * left.group() + point * left.point(), b, left.chunks,
            m + group * products.group() + point * products.point() + panel * kTileColumns,
            products.columns, Ahead(next + group * share, share * 4, 1, 0, right.depth));
        fetch();
      }
    }
}

// --- the convolution ---

template <class T> struct Operands {
  const T* x;
  Weight w;
  Output<T> out;
};

template <class T> class Convolution {
 public:
  Convolution(const Tiling& tiling, const Operands<T>& operands)
      : t_(tiling),
        o_(operands),
        left_(t_.from.c),
        zeros_(Tensor::zeros({t_.from.c}, dtype_of<T>())) {}

  void run() const {
    if (t_.to.c <= t_.count()) by_tiles();
    else by_channels();
  }

 private:
  static constexpr int64_t kPanels = 64 / kTileColumns;  // multiplied at a time

  // All of the weight is transformed; a task is a block of tiles.
  void by_tiles() const {
    const Right right(t_.from.c, t_.to.c);
    Tensor u = Tensor::empty({right.size()});
    parallel_for(right.panels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel)
        transform_weight(o_.w, right, 0, panel, u.data<float>());
    });
    const int64_t panels = std::min(kPanels, right.panels);
    const Products products{panels * kTileColumns};
    const int64_t fitting =
        std::max<int64_t>(2, second_level_cache() / 4 / (left_.group() + products.group()));
    const int64_t groups = equal_piece(pieces_of(t_.count(), kTileRows), fitting);
    const CutLength blocks{t_.count(), groups * kTileRows};
    parallel_for(blocks.count(), 1, [&](int64_t begin, int64_t end) {
      Tensor v = Tensor::empty({groups * left_.group()}),
             m = Tensor::empty({groups * products.group()});
      Fetch<false, T> x(t_, t_.from, o_.x, 0, t_.from.c);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = blocks.begin(i), count = blocks.size(i);
        const int64_t times = kPoints * panels * pieces_of(count, kTileRows);
        x.start(first + count, i + 1 < end ? blocks.size(i + 1) : 0,
                times * pieces_of(right.panels, panels));
        transform_inputs(t_, left_, first, first + count, o_.x, zeros_.data<T>(), v.data<float>());
        for (int64_t panel = 0; panel < right.panels; panel += panels) {
          Fetch<true, T> y(t_, t_.to, o_.out.y, panel * kTileColumns,
                           std::min(products.columns, t_.to.c - panel * kTileColumns));
          y.start(first, count, times);
          multiply(count, std::min(panels, right.panels - panel), left_, right, products,
                   v.data<float>(), u.data<float>() + panel * right.panel(), m.data<float>(), [&] {
                     x.some();
                     y.some();
                   });
          finish(products, first, count, panel * kTileColumns, m.data<float>());
        }
      }
    });
  }

  // All of the input is transformed; a task is a panel of channels of the result.
  void by_channels() const {
    const int64_t groups = pieces_of(t_.count(), kTileRows);
    Tensor v = Tensor::empty({groups * left_.group()});
    parallel_for(groups, 1, [&](int64_t begin, int64_t end) {
      transform_inputs(t_, left_, begin * kTileRows, std::min(t_.count(), end * kTileRows), o_.x,
                       zeros_.data<T>(), v.data<float>() + begin * left_.group());
    });
    const Right right(t_.from.c, kTileColumns);
    const Products products{kTileColumns};
    parallel_for(pieces_of(t_.to.c, kTileColumns), 1, [&](int64_t begin, int64_t end) {
      Tensor u = Tensor::empty({right.size()}), m = Tensor::empty({groups * products.group()});
      for (int64_t panel = begin; panel < end; ++panel) {
        transform_weight(o_.w, right, panel * kTileColumns, 0, u.data<float>());
        multiply(t_.count(), 1, left_, right, products, v.data<float>(), u.data<float>(),
                 m.data<float>(), [] {});
        finish(products, 0, t_.count(), panel * kTileColumns, m.data<float>());
      }
    });
  }

  void finish(const Products& products, int64_t first, int64_t count, int64_t channel,
              const float* m) const {
    for (int64_t i = 0; i < count; ++i)
      transform_output(t_, products, first + i, channel,
                       m + i / kTileRows * products.group() + i % kTileRows * products.columns,
                       o_.out);
  }

  const Tiling t_;
  const Operands<T> o_;
  const Left left_;
  const Tensor zeros_;
};

}  // namespace
}  // namespace winograd

bool winograd_suits(const ConvShape& s) {
  const auto suits = [](const ConvAxis& axis) {
    return axis.kernel == winograd::kKernel && axis.stride == 1 && axis.dilation == 1;
  };
  return suits(s.rows) && suits(s.columns) && s.groups == 1;
}

// Three of four multiplications are saved where tiles are full of outputs. With few channels the
// transforms cost as much as the products, with few tiles that of the weight.
bool winograd_pays(const ConvShape& s) {
  if (!winograd_suits(s) || s.c < 16 || s.o < 16) return false;
  const int64_t tiles = winograd::forward_tiling(s).count();
  return tiles >= 16 && 5 * s.pixels() >= 2 * 16 * tiles;
}

void winograd_forward(const ConvShape& s, Tensor y, const Tensor& x, const Tensor& w,
                      const Tensor& bias) {
  using namespace winograd;
  for_map(y.dtype(), [&]<class T>() {
    Convolution<T>(forward_tiling(s), {.x = x.data<T>(),
                                       .w = {w.data<float>(), s.c, s.o, false},
                                       .out = {y.data<T>(), bias.data_or_null<float>()}})
        .run();
  });
}

void winograd_backward_input(const ConvShape& s, Tensor dx, const Tensor& dy, const Tensor& w) {
  using namespace winograd;
  for_map(dx.dtype(), [&]<class T>() {
    Convolution<T>(
        gradient_tiling(s),
        {.x = dy.data<T>(), .w = {w.data<float>(), s.o, s.c, true}, .out = {dx.data<T>(), nullptr}})
        .run();
  });
}

LEVEL_END
