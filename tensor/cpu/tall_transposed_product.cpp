// A product that sums over many rows, as weight gradients do. The result is cut into blocks, small
// ones into sums over parts of the rows as well. A task goes through its rows in chunks: what a
// chunk needs of both operands, and the sums, stay in the second level of cache.
#include "tensor/core/tensor.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/product_tile.h"
#include "tensor/cpu/sum_blocks.h"
#include "tensor/cpu/tall_product.h"

LEVEL_BEGIN
namespace {

constexpr int64_t kMostSums = 32 * 1024;     // of a block: 128 KiB
constexpr int64_t kMostColumns = 256;        // of a block
constexpr int64_t kChunkFloats = 48 * 1024;  // of both operands at a time

SumBlocks blocks_of(int64_t m, int64_t n, int64_t k) {
  SumBlocks s{.m = m, .n = n, .k = k, .rows = m, .columns = n};
  if (m * n <= kMostSums) {
    s.parts = 2 * std::clamp<int64_t>(k / 4096, 1, 8);
  } else {
    s.columns = equal_piece(n / kTileColumns, kMostColumns / kTileColumns) * kTileColumns;
    s.rows = equal_piece(m, kMostSums / s.columns);
    if (s.count() % 2 == 1) s.rows = pieces_of(m, pieces_of(m, s.rows) + 1);
  }
  s.part = pieces_of(k, s.parts);
  s.chunk = std::clamp<int64_t>(kChunkFloats / (s.rows + s.columns) / 16 * 16, 64, 256);
  return s;
}

// One task: sums (rows, columns) = a[k0 : k1, i0 : i1]^T b[k0 : k1, j0 : j1].
class Task {
 public:
  Task(const SumBlocks& s, int64_t index, float* sums, const float* a, const float* b)
      : s_(s), sums_(sums), k_(index % s.parts * s.part), end_(std::min(s.k, k_ + s.part)) {
    const int64_t block = index / s.parts;
    const int64_t i0 = block / s.across() * s.rows, j0 = block % s.across() * s.columns;
    a_ = a + i0;
    b_ = b + j0;
    rows_ = std::min(s.rows, s.m - i0);
    columns_ = std::min(s.columns, s.n - j0);
    tiles_ = pieces_of(rows_, kTileRows);
    panels_ = columns_ / kTileColumns;
  }

  void operator()() {
    std::fill_n(sums_, s_.size(), 0.0f);
    for (; k_ < end_; k_ += s_.chunk) multiply(std::min(s_.chunk, end_ - k_));
  }

 private:
  // The first row of tile i, of equal tiles.
  int64_t row_of(int64_t i) const { return rows_ * i / tiles_; }

  // One chunk; meanwhile the next one is fetched, by each tile its share of rows.
  void multiply(int64_t depth) const {
    const int64_t next = k_ + depth < end_ ? k_ + depth : k_, count = tiles_ * panels_;
    const int64_t share = pieces_of(depth, count);
    for (int64_t i = 0; i < tiles_; ++i)
      for (int64_t j = 0; j < panels_; ++j) {
        const int64_t row = next + (i * panels_ + j) * depth / count;
        multiply_tile<1>(row_of(i + 1) - row_of(i),
                         {.a = a_ + k_ * s_.m + row_of(i),
                          .a_stride = s_.m,
                          .b = b_ + k_ * s_.n + j * kTileColumns,
                          .b_stride = s_.n,
                          .depth = depth,
                          .c = sums_ + row_of(i) * s_.columns + j * kTileColumns,
                          .stride = s_.columns,
                          .residual = nullptr,
                          .bias = nullptr,
                          .add = true,
                          .stream = false,
                          .first = Ahead(a_ + row * s_.m, share * rows_ * 4, depth),
                          .second = Ahead(b_ + row * s_.n, share * columns_ * 4, depth)});
      }
  }

  const SumBlocks& s_;
  float* sums_;
  const float *a_, *b_;
  int64_t k_, end_, rows_, columns_, tiles_, panels_;
};

}  // namespace

bool tall_transposed_product_pays(int64_t m, int64_t n, int64_t k) {
  constexpr int64_t kManyRows = 4096, kMostWeights = 1 << 18;
  return k >= kManyRows && m >= 16 && n % kTileColumns == 0 && m * n <= kMostWeights;
}

void tall_transposed_product(int64_t m, int64_t n, int64_t k, float* c, const float* a,
                             const float* b) {
  const SumBlocks blocks = blocks_of(m, n, k);
  Tensor sums = Tensor::empty({blocks.count() * blocks.size()});
  parallel_for(blocks.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      Task(blocks, i, sums.data<float>() + i * blocks.size(), a, b)();
  });
  join_parts(blocks, c, sums.data<float>());
}

LEVEL_END
