// A product that sums over many rows, as weight gradients do. The result is cut into blocks, small ones
// into sums over parts of the rows as well. A task goes through its rows in chunks: what a chunk needs
// of both operands, and the sums, stay in the second level of cache.
#include "tensor/core/tensor.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/product_tile.h"
#include "tensor/cpu/tall_product.h"

namespace passband::cpu {
namespace {

constexpr int64_t kMostSums = 128 * 1024;    // of a block: 512 KiB
constexpr int64_t kMostColumns = 512;        // of a block
constexpr int64_t kChunkFloats = 96 * 1024;  // of both operands at a time

// Which sums a task makes. A function of the shape alone, so every bit is the same on any number of
// threads.
struct Blocks {
  int64_t m, n, k;
  int64_t rows, columns;    // of a block
  int64_t parts = 1, part;  // of k, and the rows of one
  int64_t chunk;            // rows of k at a time

  Blocks(int64_t m, int64_t n, int64_t k) : m(m), n(n), k(k), rows(m), columns(n) {
    if (m * n <= kMostSums) {
      parts = 2 * std::clamp<int64_t>(k / 4096, 1, 8);
    } else {
      columns = equal_piece(n / kTileColumns, kMostColumns / kTileColumns) * kTileColumns;
      rows = equal_piece(m, kMostSums / columns);
      if (count() % 2 == 1) rows = pieces_of(m, pieces_of(m, rows) + 1);
    }
    part = pieces_of(k, parts);
    chunk = std::clamp<int64_t>(kChunkFloats / (rows + columns) / 16 * 16, 64, 256);
  }
  int64_t across() const { return pieces_of(n, columns); }
  int64_t size() const { return rows * columns; }
  int64_t count() const { return pieces_of(m, rows) * across() * parts; }
};

// One task: sums (rows, columns) = a[k0 : k1, i0 : i1]^T b[k0 : k1, j0 : j1].
class Task {
 public:
  Task(const Blocks& s, int64_t index, float* sums, const float* a, const float* b)
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

  const Blocks& s_;
  float* sums_;
  const float *a_, *b_;
  int64_t k_, end_, rows_, columns_, tiles_, panels_;
};

// c = the sums of the parts, block by block.
void join(const Blocks& s, float* c, const float* sums) {
  parallel_for(s.m, grain_for(s.n * s.parts), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j0 = 0; j0 < s.n; j0 += s.columns) {
        const int64_t block = i / s.rows * s.across() + j0 / s.columns;
        const float* from = sums + block * s.parts * s.size() + i % s.rows * s.columns;
        for_vectors<float>(0, std::min(s.columns, s.n - j0), [&](int64_t j, int count) {
          Vec<float> total = load(from + j, count);
          for (int64_t p = 1; p < s.parts; ++p) total += load(from + p * s.size() + j, count);
          store(c + i * s.n + j0 + j, total, count);
        });
      }
  });
}

}  // namespace

void tall_transposed_product(int64_t m, int64_t n, int64_t k, float* c, const float* a,
                             const float* b) {
  const Blocks blocks(m, n, k);
  const Tensor sums = Tensor::empty({blocks.count() * blocks.size()});
  parallel_for(blocks.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      Task(blocks, i, sums.data<float>() + i * blocks.size(), a, b)();
  });
  join(blocks, c, sums.data<float>());
}

}  // namespace passband::cpu
