// Shared by batch and group norm on the CPU: passes over a block of rows of (rows, columns), each
// column with its own statistics. Sums run over four rows at a time, in f32 (f64 for f64), and are
// joined in f64 by the callers.
#pragma once
#include <algorithm>
#include <array>
#include <vector>

#include "tensor/core/parallel.h"
#include "tensor/cpu/batch_join.h"
#include "tensor/cpu/vector.h"

PASSBAND_LEVEL_BEGIN

// Rows of one block: about 64 K elements. A function of the shape alone: the order of summation,
// and so every bit, is the same on any number of threads.
inline int64_t block_rows(int64_t columns) {
  const int64_t rows = 65536 / std::max<int64_t>(columns, 1);
  return std::clamp<int64_t>(rows / 4 * 4, 16, 4096);
}

// The blocks of rows of a (samples, rows, columns) tensor, walked by all threads. No block spans
// two samples.
struct RowBlocks {
  int64_t samples, rows, columns, block, per_sample;

  RowBlocks(int64_t samples, int64_t rows, int64_t columns)
      : samples(samples),
        rows(rows),
        columns(columns),
        block(block_rows(columns)),
        per_sample((rows + block - 1) / block) {}

  int64_t count() const { return samples * per_sample; }
  int64_t grain() const { return grain_for(std::min(block, rows) * columns); }

  // f(block, its first row in the tensor, its rows).
  template <class F> void each(const F& f) const {
    parallel_for(count(), grain(), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) visit(b, f);
    });
  }
  // As `each`, in the opposite order: a second pass begins where the first one ended, in cache.
  template <class F> void each_again(const F& f) const {
    parallel_for(count(), grain(), [&](int64_t begin, int64_t end) {
      for (int64_t b = end - 1; b >= begin; --b) visit(b, f);
    });
  }

  // Sums of the blocks of each sample, (count, width) -> (samples, width), joined in f64 in the
  // order of the blocks.
  template <class A> std::vector<double> joined(const std::vector<A>& sums, int64_t width) const {
    std::vector<double> total(static_cast<size_t>(samples * width), 0.0);
    parallel_for(samples * width, grain_for(per_sample), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end;) {
        const int64_t n = i / width, stop = std::min(end, (n + 1) * width);
        for (int64_t b = n * per_sample; b < (n + 1) * per_sample; ++b)
          for (int64_t k = i; k < stop; ++k) total[k] += sums[b * width + k - n * width];
        i = stop;
      }
    });
    return total;
  }

 private:
  template <class F> void visit(int64_t b, const F& f) const {
    const int64_t n = b / per_sample, row = b % per_sample * block;
    f(b, n * rows + row, std::min(block, rows - row));
  }
};

// The blocks of (rows, columns): samples are the parts of a batch where sums over it are cut
// (tensor/core/batch_parts.h), else there is one.
inline RowBlocks blocks_of_batch(int64_t rows, int64_t columns) {
  const int64_t parts = batch_parts_of(rows);
  return {parts, rows / parts, columns};
}

// Words of 16 bits that hold the signs of one row.
template <class A> int64_t bit_words(int64_t columns) {
  return (columns + kLanes<A> - 1) / kLanes<A>;
}

// sums[k * columns + c] = sum over rows of term(row, c, count)[k].
template <int K, class A, class Term>
void sum_columns(A* sums, int64_t rows, int64_t columns, const Term& term) {
  constexpr int64_t kStripe = 512;  // columns whose sums stay in the first-level cache
  const auto add = [&](int64_t c, int count, const std::array<Vec<A>, K>& terms) {
    for (int k = 0; k < K; ++k)
      store(sums + k * columns + c, load(sums + k * columns + c, count) + terms[k], count);
  };
  std::fill_n(sums, K * columns, A(0));
  for (int64_t begin = 0; begin < columns; begin += kStripe) {
    const int64_t end = std::min(columns, begin + kStripe);
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4)
      for_vectors<A>(begin, end, [&](int64_t c, int count) {
        const std::array<Vec<A>, K> a = term(r, c, count), b = term(r + 1, c, count);
        const std::array<Vec<A>, K> d = term(r + 2, c, count), e = term(r + 3, c, count);
        std::array<Vec<A>, K> four;
        for (int k = 0; k < K; ++k) four[k] = (a[k] + b[k]) + (d[k] + e[k]);
        add(c, count, four);
      });
    for (; r < rows; ++r)
      for_vectors<A>(begin, end, [&](int64_t c, int count) { add(c, count, term(r, c, count)); });
  }
}

// Mean and sum of squared deviations of each column of one block, in one look: sums of d and d^2,
// where d is the deviation from a rough mean (of the first rows), so that little cancels however
// far the mean is from zero.
template <class T, class A = Accumulate<T>>
void block_moments(A* mean, A* squares, const T* x, int64_t rows, int64_t columns) {
  std::vector<A> rough(static_cast<size_t>(columns)), sums(static_cast<size_t>(2 * columns));
  const int64_t first = std::clamp<int64_t>(rows / 32, 1, 8);
  sum_columns<1>(rough.data(), first, columns, [&](int64_t r, int64_t c, int count) {
    return std::array{load(x + r * columns + c, count)};
  });
  for (A& value : rough) value /= static_cast<A>(first);
  sum_columns<2>(sums.data(), rows, columns, [&](int64_t r, int64_t c, int count) {
    const Vec<A> d = load(x + r * columns + c, count) - load(rough.data() + c, count);
    return std::array<Vec<A>, 2>{d, d * d};
  });
  for (int64_t c = 0; c < columns; ++c) {
    const A excess = sums[c] / static_cast<A>(rows);
    mean[c] = rough[c] + excess;
    squares[c] = std::max(sums[columns + c] - excess * sums[c], A(0));
  }
}

// Joins the moments of blocks (Chan, Golub, LeVeque 1983) of `rows` rows in all, in f64: mean and
// sum of squared deviations of columns [begin, end). `block` rows in each block, fewer in the last;
// a block's moments are 2 * columns wide.
template <class A> void join_moments(double* mean, double* squares, const A* moments, int64_t rows,
                                     int64_t block, int64_t columns, int64_t begin, int64_t end) {
  const int64_t blocks = (rows + block - 1) / block;
  const auto weight = [&](int64_t b) {
    return static_cast<double>(std::min(block, rows - b * block));
  };
  for (int64_t c = begin; c < end; ++c) mean[c] = squares[c] = 0;
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t c = begin; c < end; ++c) mean[c] += weight(b) * moments[2 * b * columns + c];
  for (int64_t c = begin; c < end; ++c) mean[c] /= static_cast<double>(rows);
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t c = begin; c < end; ++c) {
      const double d = moments[2 * b * columns + c] - mean[c];
      squares[c] += moments[(2 * b + 1) * columns + c] + weight(b) * d * d;
    }
}

// How the gradient that enters a relu is found again in backward.
enum class Gate {
  open,  // there was no relu
  sign,  // from the sign of gamma * xhat + beta, computed again
  bits,  // from the signs that the forward pass kept
};

// y = (x - mean) * scale + beta, per column; relu and its backward must see the same bits, so there
// is one formula.
template <class A> inline Vec<A> normalised(Vec<A> x, const A* mean, const A* scale, const A* beta,
                                            int64_t c, int count) {
  return (x - load(mean + c, count)) * load(scale + c, count) + load(beta + c, count);
}

// A block of rows as the norms see it. `scale` is gamma * rstd. Undefined parts are null.
template <class T, class A = Accumulate<T>> struct NormBlock {
  const T* x = nullptr;
  const T* dy = nullptr;
  const A* mean = nullptr;
  const A* scale = nullptr;
  const A* beta = nullptr;
  const uint16_t* bits = nullptr;  // of a forward pass, for its gradient
  uint16_t* kept_bits = nullptr;   // to write
  bool stream = false;             // the result bypasses the caches
  int64_t rows = 0;
  int64_t columns = 0;

  // dy before the relu.
  template <Gate gate> Vec<A> gradient(int64_t r, int64_t c, int count) const {
    const Vec<A> g = load(dy + r * columns + c, count);
    if constexpr (gate == Gate::open) return g;
    if constexpr (gate == Gate::bits)
      return keep_bits<A>(g, bits[r * bit_words<A>(columns) + c / kLanes<A>]);
    const Vec<A> y = normalised<A>(load(x + r * columns + c, count), mean, scale, beta, c, count);
    return y > Vec<A>{} ? g : Vec<A>{};
  }
};

// y = norm(x) [+ residual], then relu when asked, keeping the signs in `kept_bits` when given. NaN
// passes through.
template <bool relu, class T, class A = Accumulate<T>>
void normalise_block(T* y, const NormBlock<T>& b, const T* residual) {
  for (int64_t r = 0; r < b.rows; ++r)
    for_vectors<A>(0, b.columns, [&](int64_t c, int count) {
      const int64_t at = r * b.columns + c;
      Vec<A> v = normalised<A>(load(b.x + at, count), b.mean, b.scale, b.beta, c, count);
      if (residual) v += load(residual + at, count);
      if (relu && b.kept_bits)
        b.kept_bits[r * bit_words<A>(b.columns) + c / kLanes<A>] = positive_bits<A>(v);
      if (relu) v = v < Vec<A>{} ? Vec<A>{} : v;
      if (b.stream) stream(y + at, v);
      else store(y + at, v, count);
    });
}

// sums[c] = sum dy', sums[columns + c] = sum dy' * (x - mean).
template <Gate gate, class T, class A = Accumulate<T>>
void block_products(A* sums, const NormBlock<T>& b) {
  sum_columns<2>(sums, b.rows, b.columns, [&](int64_t r, int64_t c, int count) {
    const Vec<A> g = b.template gradient<gate>(r, c, count);
    return std::array<Vec<A>, 2>{
        g, g * (load(b.x + r * b.columns + c, count) - load(b.mean + c, count))};
  });
}

// dx = scale * dy' - slope * (x - mean) - offset per column, plus what is `added`, and the
// residual's gradient dy'. Any of the three may be null.
template <Gate gate, class T, class A = Accumulate<T>>
void gradient_block(T* dx, T* dresidual, const T* added, const NormBlock<T>& b, const A* slope,
                    const A* offset) {
  for (int64_t r = 0; r < b.rows; ++r)
    for_vectors<A>(0, b.columns, [&](int64_t c, int count) {
      const int64_t at = r * b.columns + c;
      const Vec<A> g = b.template gradient<gate>(r, c, count);
      if (dresidual) store(dresidual + at, g, count);
      if (!dx) return;
      const Vec<A> d = load(b.x + at, count) - load(b.mean + c, count);
      Vec<A> sum =
          load(b.scale + c, count) * g - (load(slope + c, count) * d + load(offset + c, count));
      if (added) sum += load(added + at, count);
      store(dx + at, sum, count);
    });
}

PASSBAND_LEVEL_END
