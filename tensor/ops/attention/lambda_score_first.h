// The position part of the lambda layer in the order S = q E, y = S v, one row of queries at a
// time.
//
// Scores live in relative coordinates: for query column x and context column m the score is at
// offset m - x of a segment of zeros that is long enough for every offset. Read with a row stride
// one short, the segment *is* the matrix (queries, contexts), so both products run over dense
// memory, nothing is shifted, and cells outside the map cost nothing beyond a row's padding.
#pragma once
#include "tensor/ops/attention/lambda_image.h"

PASSBAND_LEVEL_BEGIN

template <class T, class A = Accumulate<T>> class ScoreFirst {
 public:
  explicit ScoreFirst(const LambdaShape& s, const KernelCells<A>& cells)
      : s_(s),
        cells_(cells),
        center_(s.width - 1),
        left_(center_ - s.reach_x()),
        segment_(std::max(left_ + cells.line, center_ + padded<A>(s.width))),
        row_(kRows * segment_),
        queries_(s.heads * s.width),
        v_line_(padded<A>(s.value)),
        k_line_(padded<A>(s.depth)),
        scores_(zeros<A>(queries_ * row_ + kLanes<A>)) {}

  // Adds the position part to a row of results: image.y += sum over contexts of (q E) v.
  void forward(LambdaImage<T>& image, int64_t query_row) {
    each_piece(query_row, [&](int64_t u, int64_t first, int64_t count) {
      find_scores(image, u, query_row, first, count);
      for (int64_t h = 0; h < s_.heads; ++h)
        block_product({image.y.data() + h * s_.width * v_line_, v_line_}, by_query(scores_, h),
                      {values(image.values, u, first), v_line_},
                      {.m = s_.width, .n = v_line_, .k = s_.width},
                      {.add = true, .pieces = {count, segment_, s_.width * v_line_}});
    });
  }

  // Before the first backward of an image: transposes its values for dS.
  void open(const LambdaImage<T>& image) {
    const int64_t line = padded<A>(s_.width);
    if (dscores_.empty()) {
      dscores_ = zeros<A>(queries_ * row_ + kLanes<A>);
      values_t_ = zeros<A>(s_.intra * s_.value * s_.height * line);
    }
    for (int64_t u = 0; u < s_.intra; ++u)
      for (int64_t m = 0; m < s_.positions(); ++m)
        for (int64_t v = 0; v < s_.value; ++v)
          values_t_[((u * s_.value + v) * s_.height + m / s_.width) * line + m % s_.width] =
              image.values[(u * s_.positions() + m) * v_line_ + v];
  }

  // From grads.dy of the row, adds to dq, dvalues and dcells. With dS = dy v^T:
  // dq = dS E,  dE = dS^T q summed over queries,  dv = S^T dy.
  void backward(LambdaImage<T>& image, LambdaGradients<A>& grads, int64_t query_row) {
    each_piece(query_row, [&](int64_t u, int64_t first, int64_t count) {
      find_scores(image, u, query_row, first, count);
      find_dscores(grads, u, first, count);
      const int64_t cell = first - query_row + s_.reach_y();
      // Pieces: the heads, whose rows of scores and of dy follow one another.
      for (int64_t r = 0; r < count; ++r)
        block_product({values(grads.dvalues, u, first + r), v_line_},
                      Strided<A>{scores_.data() + r * segment_ + center_, 1, row_ - 1},
                      {grads.dy.data(), v_line_}, {.m = s_.width, .n = v_line_, .k = s_.width},
                      {.add = true, .pieces = {s_.heads, s_.width * row_, s_.width * v_line_}});
      block_product({grads.dq.data(), k_line_}, Strided<A>{dscores_.data() + left_, row_, 1},
                    {cells_.offset_block(u, cell), k_line_},
                    {.m = queries_, .n = k_line_, .k = cells_.columns},
                    {.add = true, .pieces = {count, segment_, cells_.columns * k_line_}});
      for (int64_t r = 0; r < count; ++r)
        block_product(
            {grads.cell_block(u, cell + r, cells_.rows, cells_.columns, k_line_), k_line_},
            Strided<A>{dscores_.data() + r * segment_ + left_, 1, row_}, {image.q.data(), k_line_},
            {.m = cells_.columns, .n = k_line_, .k = queries_}, {.add = true});
    });
  }

 private:
  // rows of contexts at a time: the scores stay in the second-level cache
  static constexpr int64_t kRows = 4;

  // Calls f(u, first context row, rows) for pieces of the contexts that a row of queries reaches.
  template <class F> void each_piece(int64_t query_row, const F& f) const {
    const int64_t begin = std::max<int64_t>(0, query_row - s_.reach_y());
    const int64_t end = std::min(s_.height, query_row + s_.reach_y() + 1);
    for (int64_t u = 0; u < s_.intra; ++u)
      for (int64_t first = begin; first < end; first += kRows)
        f(u, first, std::min(kRows, end - first));
  }

  A* values(Memory<A>& memory, int64_t u, int64_t row) const {
    return memory.data() + (u * s_.positions() + row * s_.width) * v_line_;
  }

  // The scores of one head as (queries, contexts).
  Strided<A> by_query(const Memory<A>& scores, int64_t head) const {
    return {scores.data() + head * s_.width * row_ + center_, row_ - 1, 1};
  }

  void find_scores(const LambdaImage<T>& image, int64_t u, int64_t query_row, int64_t first,
                   int64_t count) {
    for (int64_t r = 0; r < count; ++r)
      block_product({scores_.data() + r * segment_ + left_, row_},
                    Strided<A>{image.q.data(), k_line_, 1},
                    {cells_.depth_block(u, first + r - query_row + s_.reach_y()), cells_.line},
                    {.m = queries_, .n = cells_.line, .k = s_.depth});
  }

  void find_dscores(const LambdaGradients<A>& grads, int64_t u, int64_t first, int64_t count) {
    const int64_t line = padded<A>(s_.width);
    for (int64_t h = 0; h < s_.heads; ++h)
      for (int64_t r = 0; r < count; ++r)
        block_product(
            {dscores_.data() + h * s_.width * row_ + r * segment_ + center_, row_ - 1},
            Strided<A>{grads.dy.data() + h * s_.width * v_line_, v_line_, 1},
            {values_t_.data() + (u * s_.value * s_.height + first + r) * line, s_.height * line},
            {.m = s_.width, .n = line, .k = s_.value});
  }

  const LambdaShape& s_;
  const KernelCells<A>& cells_;
  int64_t center_;   // of a segment: offset 0
  int64_t left_;     // of a segment: the first cell
  int64_t segment_;  // length of a segment
  int64_t row_;      // kRows segments: the scores of one query
  int64_t queries_, v_line_, k_line_;
  Memory<A> scores_, dscores_;  // (heads, width, kRows, segment)
  Memory<A> values_t_;          // (u, v, height, padded width)
};

PASSBAND_LEVEL_END
