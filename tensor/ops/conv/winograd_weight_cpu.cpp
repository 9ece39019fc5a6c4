// Weight gradient by Winograd's algorithm, see winograd.h: a task is a block of the gradient,
// summed over some of the tiles. Their transforms pass through the cache chunk by chunk; the sums
// stay.
#include "tensor/cpu/loops.h"
#include "tensor/ops/conv/winograd.h"
#include "tensor/ops/conv/winograd_tiles.h"

LEVEL_BEGIN
namespace winograd {
namespace {

constexpr int L = kLanes<float>;

// How the gradient (o, 3, 3, c) is cut into tasks; a function of the shape alone, so every bit is
// the same on any number of threads.
struct Blocks {
  static constexpr int64_t kMostChannels = 64;                    // of both sides of a block
  static constexpr int64_t kTasks = 32;                           // wanted
  static constexpr int64_t kLeastTiles = 128, kMostTiles = 1024;  // that a sum takes
  static constexpr int64_t kChunk = 48;                           // tiles at a time

  CutLength rows, columns;  // channels of dy and of x
  CutLength tiles;

  explicit Blocks(const Tiling& t)
      : rows{t.to.c, rounded_up(equal_piece(t.to.c, kMostChannels), L)},
        columns{t.from.c, rounded_up(equal_piece(t.from.c, kMostChannels), kTileColumns)},
        tiles{t.count(), t.count()} {
    const int64_t wanted = std::max(pieces_of(kTasks, rows.count() * columns.count()),
                                    pieces_of(t.count(), kMostTiles));
    tiles.piece = std::max(std::min(kLeastTiles, t.count()), pieces_of(t.count(), wanted));
  }
  static int64_t rounded_up(int64_t n, int64_t unit) { return pieces_of(n, unit) * unit; }
  int64_t count() const { return rows.count() * columns.count() * tiles.count(); }

  // One chunk of dy: (point, tile, row), of x: (point, panel of columns, tile, column); the sums:
  // (point, row, column).
  int64_t left_point() const { return kChunk * rows.piece + kLine; }
  int64_t right_point() const { return kChunk * columns.piece + kLine; }
  int64_t sums_point() const { return rows.piece * columns.piece + kLine; }
};

template <class T> struct Operands { const T *dy, *x; };

template <class T> class Worker {
 public:
  Worker(const Tiling& t, const Blocks& b, const Operands<T>& operands, const T* zeros)
      : t_(t),
        b_(b),
        o_(operands),
        zeros_(zeros),
        left_(Tensor::empty({kPoints * b.left_point()})),
        right_(Tensor::empty({kPoints * b.right_point()})),
        sums_(Tensor::empty({kPoints * b.sums_point()})) {}

  // Block (row, column) of the part's gradient dw, summed over its tiles.
  void operator()(int64_t row, int64_t column, int64_t part, float* dw) {
    row_ = b_.rows.begin(row);
    rows_ = b_.rows.size(row);
    column_ = b_.columns.begin(column);
    columns_ = b_.columns.size(column);
    const int64_t begin = b_.tiles.begin(part), end = begin + b_.tiles.size(part);
    for (int64_t tile = begin; tile < end; tile += b_.kChunk) {
      const int64_t count = std::min(b_.kChunk, end - tile);
      for (int64_t i = 0; i < count; ++i) transform(tile + i, i);
      next_ = tile + count;
      multiply(count, tile > begin, std::min(b_.kChunk, end - tile - count));
    }
    finish(dw);
  }

 private:
  // Tile number `at` of a chunk.
  void transform(int64_t tile, int64_t at) {
    const Pixels<T, kOutputs> outputs(t_.to, Place(t_, tile), o_.dy + row_, zeros_);
    float* left = left_.data<float>() + at * b_.rows.piece;
    for_vectors<float>(
        0, rows_, [&](int64_t c, int count) __attribute__((always_inline)) {
          transform_pixels<OutputGradientTransform>(outputs, c, count, left + c, b_.left_point());
        });
    const Pixels<T, kSide> inputs = inputs_of(t_, tile, o_.x + column_, zeros_);
    float* right = right_.data<float>() + at * kTileColumns;
    for_vectors<float>(
        0, columns_, [&](int64_t c, int count) __attribute__((always_inline)) {
          transform_pixels<InputTransform>(
              inputs, c, count,
              right + c / kTileColumns * kTileColumns * b_.kChunk + c % kTileColumns,
              b_.right_point());
        });
  }

  // sums (+)= left^T right for all points. Meanwhile the pixels of the next `ahead` tiles are
  // fetched.
  void multiply(int64_t depth, bool add, int64_t ahead) {
    const int64_t tiles = pieces_of(rows_, kTileRows),
                  times = kPoints * tiles * pieces_of(columns_, kTileColumns);
    Fetch<false, T> dy(t_, t_.to, o_.dy, row_, rows_), x(t_, t_.from, o_.x, column_, columns_);
    dy.start(next_, ahead, times);
    x.start(next_, ahead, times);
    for (int64_t point = 0; point < kPoints; ++point)
      for (int64_t i = 0; i < tiles; ++i) {
        const int64_t first = rows_ * i / tiles, last = rows_ * (i + 1) / tiles;
        const float* a = left_.data<float>() + point * b_.left_point() + first;
        float* c = sums_.data<float>() + point * b_.sums_point() + first * b_.columns.piece;
        const int64_t strip = (last - first) * kTileColumns;  // of the next rows' sums
        for (int64_t j = 0; j < columns_; j += kTileColumns) {
          const float* b = right_.data<float>() + point * b_.right_point() + j * b_.kChunk;
          multiply_equal_tile<1>(
              last - first,
              {.a = a,
               .a_stride = b_.rows.piece,
               .b = b,
               .b_stride = kTileColumns,
               .depth = depth,
               .c = c + j,
               .stride = b_.columns.piece,
               .add = add,
               .first = Ahead(c + (last - first) * b_.columns.piece + j / kTileColumns * strip,
                              strip * 4, 1, 0, depth)});
          dy.some();
          x.some();
        }
      }
  }

  void finish(float* dw) {
    const int64_t point = b_.sums_point();
    for (int64_t row = 0; row < rows_; ++row) {
      const float* sums = sums_.data<float>() + row * b_.columns.piece;
      float* to = dw + (row_ + row) * kKernel * kKernel * t_.from.c + column_;
      for_vectors<float>(
          0, columns_, [&](int64_t c, int count) __attribute__((always_inline)) {
            transform_tile<WeightGradientTransform>(
                [&](int i, int j) __attribute__((always_inline)) {
                  return load(sums + (i * kSide + j) * point + c);
                },
                [&](int i, int j, Vec<float> value) __attribute__((always_inline)) {
                  store(to + (i * kKernel + j) * t_.from.c + c, value, count);
                });
          });
    }
  }

  const Tiling& t_;
  const Blocks& b_;
  const Operands<T> o_;
  const T* zeros_;
  Tensor left_, right_, sums_;
  int64_t next_ = 0;                                       // tile
  int64_t row_ = 0, rows_ = 0, column_ = 0, columns_ = 0;  // of the block
};

// dw = the sum of its parts, in their order.
void join(int64_t parts, int64_t size, const float* from, float* dw) {
  parallel_for(size, grain_for(parts), [=](int64_t begin, int64_t end) {
    for_vectors<float>(begin, end, [=](int64_t i, int count) {
      Vec<float> sum = load(from + i, count);
      for (int64_t part = 1; part < parts; ++part) sum += load(from + part * size + i, count);
      store(dw + i, sum, count);
    });
  });
}

}  // namespace
}  // namespace winograd

void winograd_backward_weight(const ConvShape& s, Tensor dw, const Tensor& dy, const Tensor& x) {
  using namespace winograd;
  const Tiling tiling = forward_tiling(s);
  const Blocks blocks(tiling);
  const int64_t parts = blocks.tiles.count(), across = blocks.columns.count(),
                size = s.o * kKernel * kKernel * s.c;
  Tensor apart = parts > 1 ? Tensor::empty({parts * size}) : Tensor{};
  float* sums = parts > 1 ? apart.data<float>() : dw.data<float>();
  for_map(dy.dtype(), [&]<class T>() {
    const Tensor zeros = Tensor::zeros({std::max(s.c, s.o)}, dtype_of<T>());
    parallel_for(blocks.count(), 1, [&](int64_t begin, int64_t end) {
      Worker<T> worker(tiling, blocks, {dy.data<T>(), x.data<T>()}, zeros.data<T>());
      for (int64_t i = begin; i < end; ++i) {
        const int64_t part = i % parts, block = i / parts;
        worker(block / across, block % across, part, sums + part * size);
      }
    });
  });
  if (parts > 1) join(parts, size, sums, dw.data<float>());
}

LEVEL_END
