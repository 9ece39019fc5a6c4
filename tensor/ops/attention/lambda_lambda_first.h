// The position part of the lambda layer in the published order: each query's lambda = E v, then y =
// q lambda.
#pragma once
#include "tensor/ops/attention/lambda_image.h"

PASSBAND_LEVEL_BEGIN

template <class T, class A = Accumulate<T>> class LambdaFirst {
 public:
  explicit LambdaFirst(const LambdaShape& s, const KernelCells<A>& cells)
      : s_(s),
        cells_(cells),
        v_line_(padded<A>(s.value)),
        k_line_(padded<A>(s.depth)),
        lambda_(zeros<A>(padded<A>(s.depth) * v_line_)),
        transposed_(zeros<A>(v_line_ * k_line_)) {}

  void open(const LambdaImage<T>&) {}

  // Adds the position part to a row of results.
  void forward(LambdaImage<T>& image, int64_t query_row) {
    for (int64_t x = 0; x < s_.width; ++x) {
      find_lambda(image, query_row, x);
      block_product({image.y.data() + x * v_line_, s_.width * v_line_},
                    Strided<A>{image.q.data() + x * k_line_, s_.width * k_line_, 1},
                    {lambda_.data(), v_line_}, {.m = s_.heads, .n = v_line_, .k = s_.depth},
                    {.add = true});
    }
  }

  // From grads.dy of the row, adds to dq, dvalues and dcells. With G = sum over heads of q dy^T,
  // the gradient of lambda: dq = lambda dy,  dE = G v^T,  dv = E^T G.
  void backward(LambdaImage<T>& image, LambdaGradients<A>& grads, int64_t query_row) {
    for (int64_t x = 0; x < s_.width; ++x) {
      find_lambda(image, query_row, x);
      block_transpose(transposed_.data(), k_line_, lambda_.data(), v_line_, s_.depth, v_line_);
      block_product({grads.dq.data() + x * k_line_, s_.width * k_line_},
                    Strided<A>{grads.dy.data() + x * v_line_, s_.width * v_line_, 1},
                    {transposed_.data(), k_line_}, {.m = s_.heads, .n = k_line_, .k = s_.value},
                    {.add = true});
      // lambda_ becomes G, transposed_ its transpose.
      block_product({lambda_.data(), v_line_},
                    Strided<A>{image.q.data() + x * k_line_, 1, s_.width * k_line_},
                    {grads.dy.data() + x * v_line_, s_.width * v_line_},
                    {.m = s_.depth, .n = v_line_, .k = s_.heads});
      block_transpose(transposed_.data(), k_line_, lambda_.data(), v_line_, s_.depth, v_line_);
      spread(image, grads, query_row, x);
    }
  }

 private:
  // The contexts of query (row, x): rows [top, bottom), columns [left, left + columns).
  struct Window {
    int64_t top, bottom, left, columns;
  };
  Window window(int64_t row, int64_t x) const {
    const int64_t left = std::max<int64_t>(0, x - s_.reach_x());
    return {std::max<int64_t>(0, row - s_.reach_y()), std::min(s_.height, row + s_.reach_y() + 1),
            left, std::min(s_.width, x + s_.reach_x() + 1) - left};
  }

  void find_lambda(const LambdaImage<T>& image, int64_t row, int64_t x) {
    const Window w = window(row, x);
    for (int64_t u = 0; u < s_.intra; ++u)
      block_product(
          {lambda_.data(), v_line_},
          Strided<A>{cells_.depth_block(u, w.top - row + s_.reach_y()) + w.left - x + s_.reach_x(),
                     cells_.line, 1},
          {image.values.data() + (u * s_.positions() + w.top * s_.width + w.left) * v_line_,
           v_line_},
          {.m = s_.depth, .n = v_line_, .k = w.columns},
          {.add = u > 0, .pieces = {w.bottom - w.top, s_.depth * cells_.line, s_.width * v_line_}});
  }

  void spread(const LambdaImage<T>& image, LambdaGradients<A>& grads, int64_t row, int64_t x) {
    const Window w = window(row, x);
    const int64_t skip = (w.left - x + s_.reach_x()) * k_line_;
    for (int64_t u = 0; u < s_.intra; ++u)
      for (int64_t m = w.top; m < w.bottom; ++m) {
        const int64_t cell = m - row + s_.reach_y(),
                      at = (u * s_.positions() + m * s_.width + w.left) * v_line_;
        block_product({grads.dvalues.data() + at, v_line_},
                      Strided<A>{cells_.offset_block(u, cell) + skip, k_line_, 1},
                      {lambda_.data(), v_line_}, {.m = w.columns, .n = v_line_, .k = s_.depth},
                      {.add = true});
        block_product(
            {grads.cell_block(u, cell, cells_.rows, cells_.columns, k_line_) + skip, k_line_},
            Strided<A>{image.values.data() + at, v_line_, 1}, {transposed_.data(), k_line_},
            {.m = w.columns, .n = k_line_, .k = s_.value}, {.add = true});
      }
  }

  const LambdaShape& s_;
  const KernelCells<A>& cells_;
  int64_t v_line_, k_line_;
  Memory<A> lambda_, transposed_;  // (k, v_line), (v, k_line) of one query
};

PASSBAND_LEVEL_END
