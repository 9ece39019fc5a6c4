// A product that sums over many rows, as weight gradients do. The result is cut into blocks, small
// ones into sums over parts of the rows as well. A task goes through its rows in chunks: what a
// chunk needs of both operands, and the sums, stay in the second level of cache. f32 rows are read
// where they lie, rows of bf16 two by two in pairs.
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
constexpr int64_t kTasks = 8;                // wanted, where a part has this many steps
constexpr int64_t kLeastPart = 768;

SumBlocks blocks_of(int64_t m, int64_t n, int64_t k) {
  SumBlocks s{.m = m, .n = n, .k = k, .rows = m, .columns = n};
  if (m * n <= kMostSums) {
    s.parts = 2 * std::clamp<int64_t>(k / 4096, 1, 8);
  } else {
    s.columns = equal_piece(n / kTileColumns, kMostColumns / kTileColumns) * kTileColumns;
    s.rows = equal_piece(m, kMostSums / s.columns);
    if (s.count() % 2 == 1) s.rows = pieces_of(m, pieces_of(m, s.rows) + 1);
  }
  s.parts = std::max(s.parts, std::min(k / kLeastPart, kTasks / s.count()));
  s.part = pieces_of(k, s.parts);
  s.chunk = std::clamp<int64_t>(kChunkFloats / (s.rows + s.columns) / 16 * 16, 64, 256);
  return s;
}

// A line as the register tile reads it: wide, or for pairs together with the next one, if there is.
template <class F, class T>
void pack_line(F* to, const T* line, [[maybe_unused]] const T* next, int64_t count) {
  if constexpr (kPerStep<F> == 2) pair_lines(to, line, next, count);
  else
    for_vectors<F>(0, count,
                   [&](int64_t i, int lanes) { store(to + i, load(line + i, lanes), lanes); });
}

// One task: sums (rows, columns) = a[k0 : k1, i0 : i1]^T b[k0 : k1, j0 : j1]. F: of what the
// factors consist, T: of what the matrices do; depths count F's.
template <class F, class T> class Task {
 public:
  // `packed`: room for a chunk of both operands where they are packed.
  Task(const SumBlocks& s, int64_t rows_of_k, int64_t index, float* sums, const T* a, const T* b,
       F* packed)
      : s_(s),
        rows_of_k_(rows_of_k),
        sums_(sums),
        packed_(packed),
        k_(index % s.parts * s.part),
        end_(std::min(s.k, k_ + s.part)) {
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
  struct Lines {
    const F* data;
    int64_t stride;
  };

  // The first row of tile i, of equal tiles.
  int64_t row_of(int64_t i) const { return rows_ * i / tiles_; }

  // `depth` lines of an operand, from row k_ on.
  Lines lines_of(const T* from, int64_t stride, int64_t width, int64_t depth, F* packed) const {
    if constexpr (std::is_same_v<F, T>) return {from + k_ * stride, stride};
    for (int64_t s = 0; s < depth; ++s) {
      const int64_t row = (k_ + s) * kPerStep<F>;
      const T* first = from + row * stride;
      pack_line(packed + s * width, first, row + 1 < rows_of_k_ ? first + stride : nullptr, width);
    }
    return {packed, width};
  }

  // One chunk; meanwhile the next one is fetched, by each tile its share of rows.
  void multiply(int64_t depth) const {
    const Lines a = lines_of(a_, s_.m, rows_, depth, packed_);
    const Lines b = lines_of(b_, s_.n, columns_, depth, packed_ + s_.chunk * s_.rows);
    const int64_t next = k_ + depth < end_ ? k_ + depth : k_, count = tiles_ * panels_;
    constexpr auto kSize = static_cast<int64_t>(sizeof(T));
    const int64_t share = pieces_of(depth * kPerStep<F>, count);
    for (int64_t i = 0; i < tiles_; ++i)
      for (int64_t j = 0; j < panels_; ++j) {
        const int64_t row = next * kPerStep<F> + (i * panels_ + j) * depth * kPerStep<F> / count;
        multiply_equal_tile<1>(
            row_of(i + 1) - row_of(i),
            TileOf<F, float>{
                .a = a.data + row_of(i),
                .a_stride = a.stride,
                .b = b.data + j * kTileColumns,
                .b_stride = b.stride,
                .depth = depth,
                .c = sums_ + row_of(i) * s_.columns + j * kTileColumns,
                .stride = s_.columns,
                .add = true,
                .first = Ahead(a_ + row * s_.m, rows_ * kSize, share, s_.m * kSize, depth),
                .second = Ahead(b_ + row * s_.n, columns_ * kSize, share, s_.n * kSize, depth)});
      }
  }

  const SumBlocks& s_;
  int64_t rows_of_k_;
  float* sums_;
  F* packed_;
  const T *a_, *b_;
  int64_t k_, end_, rows_, columns_, tiles_, panels_;
};

template <class F, class T>
void multiply(int64_t m, int64_t n, int64_t k, T* c, const T* a, const T* b) {
  const SumBlocks blocks = blocks_of(m, n, steps_of<F>(k));
  Tensor sums = Tensor::empty({blocks.count() * blocks.size()});
  parallel_for(blocks.count(), 1, [&](int64_t begin, int64_t end) {
    Tensor packed;
    if constexpr (!std::is_same_v<F, T>)
      packed = Tensor::empty({blocks.chunk * (blocks.rows + blocks.columns)});
    for (int64_t i = begin; i < end; ++i)
      Task<F, T>(blocks, k, i, sums.data<float>() + i * blocks.size(), a, b,
                 static_cast<F*>(packed.raw()))();
  });
  join_parts(blocks, c, sums.data<float>());
}

}  // namespace

bool tall_transposed_product_pays(int64_t m, int64_t n, int64_t k) {
  constexpr int64_t kManyRows = 1024, kMostWeights = 1 << 21;
  return k >= kManyRows && m >= 16 && n % kTileColumns == 0 && m * n <= kMostWeights;
}

void tall_transposed_product(int64_t m, int64_t n, int64_t k, float* c, const float* a,
                             const float* b) {
  multiply<float>(m, n, k, c, a, b);
}

void tall_transposed_product_bf16(int64_t m, int64_t n, int64_t k, bf16* c, const bf16* a,
                                  const bf16* b) {
  if constexpr (kBf16Pairs)
    if (has_bf16_pairs()) return multiply<Pair>(m, n, k, c, a, b);
  multiply<float>(m, n, k, c, a, b);
}

LEVEL_END
