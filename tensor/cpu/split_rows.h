// The product of a matrix of many rows on the matrix unit, with what is to become of each sum; see
// split_product.h.
#pragma once
#include <atomic>
#include <memory>

#include "tensor/core/tensor.h"
#include "tensor/cpu/caches.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/product_tile.h"
#include "tensor/cpu/split_product.h"

PASSBAND_LEVEL_BEGIN
namespace split {

// a (m, k) times b (k, n).
struct RowsProduct {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_b = false;     // b is stored (n, k)
  const float* read = nullptr;  // (m, n): what finish will read at the place of the sums, or null
};

#ifdef PASSBAND_MATRIX_UNIT

// A part of b, [first, last) of its panels and of the inner dimension's steps, whose parts stay in
// the second level of cache while rows of a pass.
struct Block {
  int64_t first_panel, last_panel, first_step, last_step;

  int64_t panels() const { return last_panel - first_panel; }
  int64_t steps() const { return last_step - first_step; }
};

// One thread's share of a block: some rows of a. While the unit multiplies, the vector registers
// finish the square of sums before and cut the next rows of a into parts.
template <class Finish> class RowsWorker {
 public:
  // right: all parts of b, step after step of panel after panel. partial: sums of earlier steps,
  // square after square; null where all steps are in this block.
  RowsWorker(const RowsProduct& p, const Block& block, const float* a, const Step* right,
             float* partial, const Finish& finish)
      : p_(p),
        block_(block),
        a_(a),
        right_(right),
        partial_(partial),
        finish_(finish),
        left_(std::make_unique_for_overwrite<Step[]>(static_cast<size_t>(2 * block.steps()))) {}

  // Rows [kSide begin, kSide end). False if a number of theirs has no parts.
  bool operator()(int64_t begin, int64_t end) {
    const int64_t times = block_.panels() * block_.steps();
    const int64_t width = std::min(p_.k, block_.last_step * kDepth) - first_k();
    for (int64_t s = 0; s < block_.steps(); ++s) cut(begin, s);
    for (int64_t i = begin; i < end && whole_; ++i) {
      const int64_t far = std::min(i + 2, end - 1);
      Fetch rows(a_ + far * kSide * p_.k + first_k(), p_.k, width, rows_of(far), times);
      Spread cutting(i + 1 < end ? block_.steps() : 0, times);
      for (int64_t j = block_.first_panel; j < block_.last_panel; ++j)
        multiply({i, j}, rows, cutting);
    }
    for (int64_t r = 0; r < kSide; ++r) finish_row(r);
    return whole_;
  }

 private:
  struct Square {
    int64_t row, column = -1;  // in units of kSide
  };
  // `count` things to do, spread evenly over `times` calls.
  struct Spread {
    int64_t count, times, credit = 0, next = 0;

    Spread(int64_t count, int64_t times) : count(count), times(times) {}
    template <class F> void some(const F& f) {
      for (credit += count; credit >= times; credit -= times) f(next++);
    }
  };

  int64_t first_k() const { return block_.first_step * kDepth; }
  bool last() const { return block_.last_step == steps_of(p_.k); }
  int64_t rows_of(int64_t i) const { return std::min<int64_t>(kSide, p_.m - i * kSide); }
  Step* left_of(int64_t i) const { return left_.get() + (i & 1) * block_.steps(); }

  void cut(int64_t i, int64_t s) {
    const int64_t k = first_k() + s * kDepth;
    const Panel panel{a_ + i * kSide * p_.k + k, p_.k, rows_of(i),
                      std::min<int64_t>(kDepth, p_.k - k)};
    whole_ &= pack_left_rows(left_of(i) + s, panel);
  }

  void multiply(Square square, Fetch& rows, Spread& cutting) {
    const int64_t steps = block_.steps(), at = square.row * kSide * p_.n + square.column * kSide;
    const Step *left = left_of(square.row),
               *right = right_ + square.column * steps_of(p_.k) + block_.first_step;
    const int64_t place = square.row * pieces_of(p_.n, kSide) + square.column;
    float* partial = partial_ ? partial_ + place * kSide * kSide : nullptr;
    const bool reads = p_.read && last();
    Fetch read(reads ? p_.read + at : nullptr, p_.n, kSide, reads ? rows_of(square.row) : 0, steps);
    Spread finishing(kSide, steps);
    if (block_.first_step == 0) clear_sums();
    else load_sums(partial, kSide);
    for (int64_t k = 0; k < steps; ++k) {
      multiply_add(left[k], right[k]);
      rows.some();
      read.some();
      cutting.some([&](int64_t s) { cut(square.row + 1, s); });
      finishing.some([&](int64_t r) { finish_row(r); });
    }
    if (!last()) return store_sums(partial, kSide);
    turn_ ^= 1;
    store_sums(sums_[turn_], kSide);
    done_ = square;
  }

  // Row r of the last square, if there was one.
  void finish_row(int64_t r) {
    const auto [i, j] = done_;
    if (j >= 0 && r < rows_of(i))
      finish_(i * kSide + r, j * kSide, sums_[turn_] + r * kSide,
              std::min<int64_t>(kSide, p_.n - j * kSide));
  }

  const RowsProduct& p_;
  const Block& block_;
  const float* a_;
  const Step* right_;
  float* partial_;
  const Finish& finish_;
  std::unique_ptr<Step[]> left_;  // of two times kSide rows
  alignas(kVectorBytes) float sums_[2][kSide * kSide];
  int turn_ = 0;
  Square done_{0, -1};
  bool whole_ = true;
  matrix_unit::Tiles registers_;
};

// The parts of b, panel after panel; undefined if a number has none.
Tensor cut_panels(const RowsProduct& p, const float* b);

// Calls finish(row, column, sums, count) for all of the product: `count` sums, at most kSide, from
// (row, column) on. False, with calls missing, if there is no unit or a number of a or b has no
// parts. The order of every sum is fixed.
template <class Finish>
bool multiply_rows(const RowsProduct& p, const float* a, const float* b, const Finish& finish) {
  if (!matrix_unit::available()) return false;
  // of b: half of the second level of cache
  const int64_t cached_steps = second_level_cache() / 2 / static_cast<int64_t>(sizeof(Step));
  constexpr int64_t kMostSteps = 1024 / kDepth;  // so that rows of a serve several panels once cut
  const Tensor parts = cut_panels(p, b);
  if (!parts.defined()) return false;
  const int64_t panels = pieces_of(p.n, kSide), squares = pieces_of(p.m, kSide),
                steps = steps_of(p.k);
  const int64_t deep = equal_piece(steps, kMostSteps),
                wide = equal_piece(panels, std::max<int64_t>(1, cached_steps / deep));
  Tensor partial = deep < steps ? Tensor::empty({squares * panels * kSide * kSide}) : Tensor{};
  std::atomic<bool> whole = true;
  for (int64_t panel = 0; panel < panels; panel += wide)
    for (int64_t step = 0; step < steps && whole; step += deep) {
      const Block block{panel, std::min(panels, panel + wide), step, std::min(steps, step + deep)};
      parallel_for(squares, grain_for(kSide * p.n), [&](int64_t begin, int64_t end) {
        RowsWorker worker(p, block, a, static_cast<const Step*>(parts.raw()),
                          partial.defined() ? partial.data<float>() : nullptr, finish);
        if (!worker(begin, end)) whole = false;
        end_streaming();
      });
    }
  return whole;
}

#else

template <class Finish>
bool multiply_rows(const RowsProduct&, const float*, const float*, const Finish&) {
  return false;
}

#endif

}  // namespace split
PASSBAND_LEVEL_END
