// A product that sums over many rows, as weight gradients do, on the matrix unit; see
// split_product.h. A task goes through its rows in chunks: the parts of a chunk of both operands
// stay in the second level of cache.
#include <atomic>
#include <memory>

#include "tensor/core/tensor.h"
#include "tensor/cpu/product_tile.h"
#include "tensor/cpu/split_product.h"
#include "tensor/cpu/sum_blocks.h"
#include "tensor/cpu/tall_product.h"

LEVEL_BEGIN

#ifdef PASSBAND_MATRIX_UNIT

namespace {

using namespace split;

constexpr int64_t kMostSums = 192 * 1024;     // of a block: 768 KiB
constexpr int64_t kChunkNumbers = 80 * 1024;  // of both operands at a time, 6 bytes each
constexpr int64_t kMostRows = 2048;           // that one sum takes
constexpr int64_t kTasks = 16;

int64_t rounded_up(int64_t n, int64_t unit) { return pieces_of(n, unit) * unit; }

SumBlocks blocks_of(int64_t m, int64_t n, int64_t k) {
  SumBlocks s{
      .m = m, .n = n, .k = k, .rows = rounded_up(m, kSide), .columns = rounded_up(n, kSide)};
  while (s.size() > kMostSums) {
    int64_t& longer = s.rows > s.columns ? s.rows : s.columns;
    longer = rounded_up(longer / 2, kSide);
  }
  s.parts =
      std::max<int64_t>(pieces_of(k, kMostRows), std::min<int64_t>(kTasks / s.count(), k / 512));
  s.part = rounded_up(pieces_of(k, s.parts), kDepth);
  s.parts = pieces_of(k, s.part);
  s.chunk = std::clamp<int64_t>(kChunkNumbers / (s.rows + s.columns) / kDepth * kDepth, 2 * kDepth,
                                8 * kDepth);
  return s;
}

// One thread's tasks: sums (rows, columns) = a[k0 : k1, i0 : i1]^T b[k0 : k1, j0 : j1].
class Worker {
 public:
  Worker(const SumBlocks& s, const float* a, const float* b)
      : s_(s),
        a_(a),
        b_(b),
        steps_(steps_of(s.chunk)),
        left_(space(s.rows)),
        right_(space(s.columns)) {}

  // False if a number has no parts.
  bool operator()(int64_t index, float* sums) {
    const int64_t block = index / s_.parts, begin = index % s_.parts * s_.part,
                  end = std::min(s_.k, begin + s_.part);
    const int64_t i0 = block / s_.across() * s_.rows, j0 = block % s_.across() * s_.columns;
    const int64_t rows = std::min(s_.rows, s_.m - i0), columns = std::min(s_.columns, s_.n - j0);
    for (int64_t k = begin; k < end; k += s_.chunk) {
      const Panel a{a_ + k * s_.m + i0, s_.m, rows, std::min(s_.chunk, end - k)};
      const Panel b{b_ + k * s_.n + j0, s_.n, columns, a.depth};
      if (!cut(pack_left_columns, left_.get(), a) || !cut(pack_right_columns, right_.get(), b))
        return false;
      const bool more = k + a.depth < end;
      multiply(sums, k == begin, a, b, more ? a.depth : 0);
    }
    return true;
  }

 private:
  std::unique_ptr<Step[]> space(int64_t width) const {
    return std::make_unique_for_overwrite<Step[]>(static_cast<size_t>(width / kSide * steps_));
  }

  bool cut(bool (*pack_panel)(Step*, const Panel&), Step* to, const Panel& all) const {
    bool whole = true;
    for (int64_t i = 0; i < all.width; i += kSide, to += steps_)
      whole &= pack_panel(
          to, {all.from + i, all.stride, std::min<int64_t>(kSide, all.width - i), all.depth});
    return whole;
  }

  // Adds a chunk, or begins with it; meanwhile the next rows `ahead` of it are fetched.
  void multiply(float* sums, bool begins, const Panel& a, const Panel& b, int64_t ahead) {
    const int64_t steps = steps_of(a.depth),
                  times = pieces_of(a.width, kSide) * pieces_of(b.width, kSide) * steps;
    Fetch next_a(a.from + ahead * a.stride, a.stride, a.width, ahead, times);
    Fetch next_b(b.from + ahead * b.stride, b.stride, b.width, ahead, times);
    for (int64_t i = 0; i < a.width; i += kSide)
      for (int64_t j = 0; j < b.width; j += kSide) {
        const Step *left = &left_[i / kSide * steps_], *right = &right_[j / kSide * steps_];
        float* square = sums + i * s_.columns + j;
        if (begins) clear_sums();
        else load_sums(square, s_.columns);
        for (int64_t k = 0; k < steps; ++k) {
          multiply_add(left[k], right[k]);
          next_a.some();
          next_b.some();
        }
        store_sums(square, s_.columns);
      }
  }

  const SumBlocks& s_;
  const float *a_, *b_;
  int64_t steps_;  // of a chunk
  std::unique_ptr<Step[]> left_, right_;
  matrix_unit::Tiles registers_;
};

}  // namespace

bool split_transposed_product_pays(int64_t m, int64_t n, int64_t k) {
  return matrix_unit::available() && k >= 1024 && m >= 96 && n >= 96 && m * n >= 1 << 16;
}

bool split_transposed_product(int64_t m, int64_t n, int64_t k, float* c, const float* a,
                              const float* b) {
  if (!matrix_unit::available()) return false;
  const SumBlocks blocks = blocks_of(m, n, k);
  Tensor sums = Tensor::empty({blocks.count() * blocks.size()});
  std::atomic<bool> whole = true;
  parallel_for(blocks.count(), 1, [&](int64_t begin, int64_t end) {
    Worker worker(blocks, a, b);
    for (int64_t i = begin; i < end && whole; ++i)
      if (!worker(i, sums.data<float>() + i * blocks.size())) whole = false;
  });
  if (whole) join_parts(blocks, c, sums.data<float>());
  return whole;
}

#else

bool split_transposed_product_pays(int64_t, int64_t, int64_t) { return false; }
bool split_transposed_product(int64_t, int64_t, int64_t, float*, const float*, const float*) {
  return false;
}

#endif

LEVEL_END
