// Shared by both orders of the lambda layer on the CPU: the embedding laid out for the products,
// one image widened to the computing type, and the content lambda, which does not depend on the
// position.
#pragma once
#include <cmath>
#include <vector>

#include "tensor/cpu/block_product.h"
#include "tensor/ops/attention/lambda_kernels.h"

PASSBAND_LEVEL_BEGIN

// Zeroed memory of the computing type.
template <class A> using Memory = std::vector<A>;
template <class A> Memory<A> zeros(int64_t count) {
  return Memory<A>(static_cast<size_t>(count), A(0));
}

template <class A> Memory<A> widened(const Tensor& t) {
  Memory<A> result;
  if (!t.defined()) return result;
  result.resize(static_cast<size_t>(t.numel()));
  dispatch_floating(t.dtype(), "lambda_layer", [&]<class T>() {
    std::transform(t.data<T>(), t.data<T>() + t.numel(), result.begin(),
                   [](T value) { return static_cast<A>(value); });
  });
  return result;
}

// The offsets of the embedding that can fall into the map, in the two layouts that the products
// read. An offset is (dy, dx) counted from (-reach_y, -reach_x).
template <class A> struct KernelCells {
  int64_t rows, columns;  // of offsets
  int64_t depth, lines;   // depth, and padded depth
  int64_t line;           // padded columns
  Memory<A> by_depth;     // (u, rows, depth, line)
  Memory<A> by_offset;    // (u, rows, columns, lines)

  KernelCells(const Tensor& embedding, const LambdaShape& s)
      : rows(2 * s.reach_y() + 1),
        columns(2 * s.reach_x() + 1),
        depth(s.depth),
        lines(padded<A>(s.depth)),
        line(padded<A>(columns)),
        by_depth(zeros<A>(s.intra * rows * depth * line)),
        by_offset(zeros<A>(s.intra * rows * columns * lines)) {
    const Memory<A> table = widened<A>(embedding);
    for_entries(s, [&](int64_t u, int64_t row, int64_t column, int64_t k, int64_t entry) {
      by_depth[((u * rows + row) * depth + k) * line + column] = table[entry];
      by_offset[((u * rows + row) * columns + column) * lines + k] = table[entry];
    });
  }

  const A* depth_block(int64_t u, int64_t row) const {
    return by_depth.data() + (u * rows + row) * depth * line;
  }
  const A* offset_block(int64_t u, int64_t row) const {
    return by_offset.data() + (u * rows + row) * columns * lines;
  }

  // f(u, row, column, k, index in the (table_height, table_width, k, u) embedding) for every entry
  // that can be used.
  template <class F> void for_entries(const LambdaShape& s, const F& f) const {
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < columns; ++column)
        for (int64_t k = 0; k < depth; ++k)
          for (int64_t u = 0; u < s.intra; ++u) {
            const int64_t y = row + s.radius_y - s.reach_y(), x = column + s.radius_x - s.reach_x();
            f(u, row, column, k, ((y * s.table_width() + x) * depth + k) * s.intra + u);
          }
  }
};

// One image, for the forward pass. Rows of values and lambdas are whole vectors.
template <class T, class A = Accumulate<T>> struct LambdaImage {
  const LambdaShape& s;
  const KernelCells<A>& cells;
  int64_t n, v_line, k_line;
  int64_t image = 0;
  Memory<A> values;   // (u, n, v_line)
  Memory<A> softmax;  // (n, u * k): keys, normalised over the positions
  Memory<A> content;  // (k, v_line): sum over positions of softmax * values, plus the bias of the
                      // embedding
  Memory<A> bias;     // (k) or empty
  Memory<A> q, y;     // of one row of queries, head-major: (h, width, k_line), (h, width, v_line)

  LambdaImage(const LambdaShape& s, const KernelCells<A>& cells, const Tensor& embedding_bias)
      : s(s),
        cells(cells),
        n(s.positions()),
        v_line(padded<A>(s.value)),
        k_line(padded<A>(s.depth)),
        values(zeros<A>(s.intra * n * v_line)),
        softmax(zeros<A>(n * s.intra * s.depth)),
        content(zeros<A>(s.depth * v_line)),
        bias(widened<A>(embedding_bias)),
        q(zeros<A>(s.heads * s.width * k_line)),
        y(zeros<A>(s.heads * s.width * v_line)) {}

  void open(const LambdaTensors& x, int64_t index) {
    image = index;
    for (int64_t u = 0; u < s.intra; ++u)
      copy_rows(values.data() + u * n * v_line, v_line,
                x.values.data<T>() + image * n * s.intra * s.value + u * s.value, s.intra * s.value,
                n, s.value);
    find_softmax(x.keys.data<T>() + image * n * s.intra * s.depth);
    for (int64_t u = 0; u < s.intra; ++u)
      block_product({content.data(), v_line},
                    Strided<A>{softmax.data() + u * s.depth, 1, s.intra * s.depth},
                    {values.data() + u * n * v_line, v_line}, {.m = s.depth, .n = v_line, .k = n},
                    {.add = u > 0});
    for (size_t k = 0; k < bias.size(); ++k)
      for (int64_t v = 0; v < s.value; ++v) content[k * v_line + v] += bias[k];
  }

  // Queries of row `row` of the map, and the like: element (row, x, head, c) of `from` to ((head *
  // width + x) * ld + c).
  void pack(Memory<A>& to, int64_t ld, const Tensor& from, int64_t row, int64_t length) const {
    const T* data = from.data<T>() + (image * n + row * s.width) * s.heads * length;
    for (int64_t h = 0; h < s.heads; ++h)
      copy_rows(to.data() + h * s.width * ld, ld, data + h * length, s.heads * length, s.width,
                length);
  }
  void unpack(Tensor& to, const Memory<A>& from, int64_t ld, int64_t row, int64_t length) const {
    T* data = to.data<T>() + (image * n + row * s.width) * s.heads * length;
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t x = 0; x < s.width; ++x)
        for_vectors<A>(0, length, [&](int64_t c, int count) {
          store(data + (x * s.heads + h) * length + c,
                load(from.data() + (h * s.width + x) * ld + c), count);
        });
  }

  static void copy_rows(A* to, int64_t ld_to, const T* from, int64_t ld_from, int64_t rows,
                        int64_t length) {
    for (int64_t r = 0; r < rows; ++r)
      for_vectors<A>(0, length, [&](int64_t c, int count) {
        store(to + r * ld_to + c, load(from + r * ld_from + c, count));
      });
  }

 private:
  // Softmax of each column of keys (n, u * k).
  void find_softmax(const T* keys) {
    const int64_t columns = s.intra * s.depth;
    for_vectors<A>(0, columns, [&](int64_t c, int count) {
      Vec<A> top = load(keys + c, count), sum{};
      for (int64_t m = 1; m < n; ++m) {
        const Vec<A> x = load(keys + m * columns + c, count);
        top = x > top ? x : top;
      }
      for (int64_t m = 0; m < n; ++m) {
        const Vec<A> p = exp<A>(load(keys + m * columns + c, count) - top);
        store(softmax.data() + m * columns + c, p, count);
        sum += p;
      }
      for (int64_t m = 0; m < n; ++m) {
        A* p = softmax.data() + m * columns + c;
        store(p, load(p, count) / sum, count);
      }
    });
  }
};

// The gradients of one image, in the computing type, and the sums over the images of a chunk.
template <class A> struct LambdaGradients {
  Memory<A> dvalues;          // (u, n, v_line)
  Memory<A> dcontent;         // (k, v_line)
  Memory<A> dy, dq;           // of one row of queries: (h, width, v_line), (h, width, k_line)
  Memory<A> content_t;        // (v, k_line): the content lambda transposed
  Memory<A> dcells;           // (u, rows, columns, k_line): sum over the images
  std::vector<double> dbias;  // (k): sum over the images

  template <class Image> explicit LambdaGradients(const Image& i)
      : dvalues(zeros<A>(i.s.intra * i.n * i.v_line)),
        dcontent(zeros<A>(i.s.depth * i.v_line)),
        dy(zeros<A>(i.s.heads * i.s.width * i.v_line)),
        dq(zeros<A>(i.s.heads * i.s.width * i.k_line)),
        content_t(zeros<A>(i.v_line * i.k_line)),
        dcells(zeros<A>(i.s.intra * i.cells.rows * i.cells.columns * i.k_line)),
        dbias(static_cast<size_t>(i.s.depth), 0.0) {}

  A* cell_block(int64_t u, int64_t row, int64_t rows, int64_t columns, int64_t k_line) {
    return dcells.data() + (u * rows + row) * columns * k_line;
  }
};

PASSBAND_LEVEL_END
