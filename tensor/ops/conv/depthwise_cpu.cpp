// Depthwise convolutions: one line of the result at a time, some pixels of it by one vector of
// channels at a time.
#include "tensor/ops/conv/depthwise.h"

#include <algorithm>

#include "tensor/core/tensor.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/pieces.h"
#include "tensor/cpu/product_tile.h"

LEVEL_BEGIN
namespace {

// (channels, cells) -> (cells, channels)
template <class T> Tensor by_cell(const ConvShape& s, const T* w) {
  const int64_t cells = s.cells();
  Tensor turned = Tensor::empty({cells, s.c}, dtype_of<T>());
  T* const to = turned.data<T>();
  for (int64_t c = 0; c < s.c; ++c)
    for (int64_t cell = 0; cell < cells; ++cell) to[cell * s.c + c] = w[c * cells + cell];
  return turned;
}

// --- sums over taps: y from x, dx from dy ---

template <class T> struct DepthwiseProblem {
  int64_t channels;
  const AxisTaps &rows, &columns;
  int64_t kernel_columns;
  const T *source, *weights, *bias;  // weights (cells, channels)
  T* result;
  int64_t result_rows, result_columns;
};

// Cells that some neighbouring pixels of a line all meet: offsets of the source from that of the
// first pixel's window, and weights.
template <class T> struct Window {
  std::vector<int64_t> offsets;
  std::vector<const T*> weights;
};

// `Pixels` of the result, `source_step` and `result_step` apart.
template <class T, int Pixels> void sum_window(const Window<T>& window, int64_t channels,
                                               const T* source, int64_t source_step, const T* bias,
                                               T* result, int64_t result_step) {
  const size_t cells = window.offsets.size();
  const int64_t* const offsets = window.offsets.data();
  const T* const* const weights = window.weights.data();
  const auto sum = [&](int64_t c, auto&& read, auto&& write) __attribute__((always_inline)) {
    Vec<T> sums[Pixels];
    const Vec<T> start = bias ? read(bias + c) : Vec<T>{};
    unrolled<Pixels>([&](auto p) __attribute__((always_inline)) { sums[p] = start; });
    for (size_t cell = 0; cell < cells; ++cell) {
      const Vec<T> w = read(weights[cell] + c);
      const T* const from = source + offsets[cell] + c;
      unrolled<Pixels>([&](auto p) __attribute__((always_inline)) {
        sums[p] += w * read(from + p * source_step);
      });
    }
    unrolled<Pixels>([&](auto p) __attribute__((always_inline)) {
      write(result + p * result_step + c, sums[p]);
    });
  };
  int64_t c = 0;
  for (; c + kLanes<T> <= channels; c += kLanes<T>)
    sum(
        c, [=](const T* p) { return load(p); }, [=](T* p, Vec<T> v) { store(p, v); });
  const int rest = static_cast<int>(channels - c);
  if (rest > 0)
    sum(
        c, [=](const T* p) { return load(p, rest); }, [=](T* p, Vec<T> v) { store(p, v, rest); });
}

// Line `row` of an image.
template <class T> class DepthwiseLine {
 public:
  explicit DepthwiseLine(const DepthwiseProblem<T>& problem) : p_(problem) {
    const auto all_inside = [&](int64_t j) {
      return std::all_of(p_.columns.cells.begin(), p_.columns.cells.end(),
                         [&](const AxisTaps::Cell& cell) { return p_.columns.inside(j, cell); });
    };
    while (begin_ < p_.columns.outputs && !all_inside(begin_)) ++begin_;
    end_ = begin_;
    while (end_ < p_.columns.outputs && all_inside(end_)) ++end_;
  }

  void operator()(int64_t image, int64_t row) {
    source_ = p_.source + image * p_.rows.sources * p_.columns.sources * p_.channels;
    const int64_t line = image * p_.result_rows + p_.rows.first + row * p_.rows.spacing;
    result_ = p_.result + (line * p_.result_columns + p_.columns.first) * p_.channels;
    for (int64_t j = 0; j < begin_; ++j) one(row, j);
    constexpr int kPixels = 4;
    int64_t j = begin_;
    if (j + kPixels <= end_) find(row, j);
    for (; j + kPixels <= end_; j += kPixels) sum<kPixels>(j);
    for (; j < p_.columns.outputs; ++j) one(row, j);
  }

 private:
  void one(int64_t row, int64_t column) {
    find(row, column);
    sum<1>(column);
  }

  void find(int64_t row, int64_t column) {
    window_.offsets.clear();
    window_.weights.clear();
    for (const AxisTaps::Cell& i : p_.rows.cells) {
      if (!p_.rows.inside(row, i)) continue;
      const int64_t line = (row * p_.rows.step + i.offset) * p_.columns.sources;
      for (const AxisTaps::Cell& j : p_.columns.cells) {
        if (!p_.columns.inside(column, j)) continue;
        window_.offsets.push_back((line + j.offset) * p_.channels);
        window_.weights.push_back(p_.weights +
                                  (i.kernel * p_.kernel_columns + j.kernel) * p_.channels);
      }
    }
  }

  template <int Pixels> void sum(int64_t column) const {
    const int64_t source_step = p_.columns.step * p_.channels,
                  result_step = p_.columns.spacing * p_.channels;
    sum_window<T, Pixels>(window_, p_.channels, source_ + column * source_step, source_step,
                          p_.bias, result_ + column * result_step, result_step);
  }

  const DepthwiseProblem<T>& p_;
  int64_t begin_ = 0, end_ = 0;  // pixels of a line whose windows no side cuts
  Window<T> window_;
  const T* source_ = nullptr;
  T* result_ = nullptr;
};

template <class T> void sum_lines(int64_t images, const DepthwiseProblem<T>& problem) {
  const int64_t rows = problem.rows.outputs;
  if (rows == 0 || problem.columns.outputs == 0) return;
  const int64_t lines = equal_piece(
      images * rows, std::max<int64_t>(1, grain_for(problem.channels * problem.columns.outputs)));
  for_each_index(pieces_of(images * rows, lines), [&](int64_t piece) {
    DepthwiseLine<T> line(problem);
    for (int64_t i = piece * lines; i < std::min(images * rows, (piece + 1) * lines); ++i)
      line(i / rows, i % rows);
  });
}

// --- the weight gradient ---

// sums[cell] += dy x over `pixels` of a line, for `Cells` neighbouring cells.
template <class T, int Cells> void add_products(int64_t pixels, int64_t channels, const T* dy,
                                                const T* x, int64_t x_step, int64_t cell_step,
                                                T* sums) {
  constexpr int kVectors = 2;
  const auto add = [&](int64_t c, auto vectors, auto&& read, auto&& write)
      __attribute__((always_inline)) {
    Vec<T> total[Cells][decltype(vectors)::value];
    const auto each = [&](auto&& f) __attribute__((always_inline)) {
      unrolled<Cells>([&](auto k) __attribute__((always_inline)) {
        unrolled<vectors>([&](auto v) __attribute__((always_inline)) {
          f(total[k][v], k, c + v * kLanes<T>);
        });
      });
    };
    each([](Vec<T> & sum, auto, int64_t) __attribute__((always_inline)) { sum = Vec<T>{}; });
    for (int64_t p = 0; p < pixels; ++p)
      each([&](Vec<T> & sum, auto k, int64_t at) __attribute__((always_inline)) {
        sum += read(dy + p * channels + at) * read(x + p * x_step + k * cell_step + at);
      });
    each([&](Vec<T> & sum, auto k, int64_t at) __attribute__((always_inline)) {
      T* const to = sums + k * channels + at;
      write(to, read(to) + sum);
    });
  };
  const auto whole = [=](const T* p) { return load(p); };
  const auto put = [=](T* p, Vec<T> v) { store(p, v); };
  int64_t c = 0;
  for (; c + kVectors * kLanes<T> <= channels; c += kVectors * kLanes<T>)
    add(c, std::integral_constant<int, kVectors>{}, whole, put);
  for (; c + kLanes<T> <= channels; c += kLanes<T>)
    add(c, std::integral_constant<int, 1>{}, whole, put);
  const int rest = static_cast<int>(channels - c);
  if (rest > 0)
    add(
        c, std::integral_constant<int, 1>{}, [=](const T* p) { return load(p, rest); },
        [=](T* p, Vec<T> v) { store(p, v, rest); });
}

// The sums (cells, channels) of some lines of dy.
template <class T> class DepthwiseGradient {
 public:
  DepthwiseGradient(const ConvShape& s, const T* dy, const T* x, T* sums)
      : s_(s),
        rows_(forward_taps(s.rows)),
        columns_(forward_taps(s.columns)),
        dy_(dy),
        x_(x),
        sums_(sums) {}

  void add(int64_t image, int64_t row) const {
    const T* const dy = dy_ + (image * s_.rows.out + row) * s_.columns.out * s_.c;
    for (const AxisTaps::Cell& i : rows_.cells) {
      if (!rows_.inside(row, i)) continue;
      const T* const x =
          x_ + (image * s_.rows.in + row * rows_.step + i.offset) * s_.columns.in * s_.c;
      T* const sums = sums_ + i.kernel * s_.columns.kernel * s_.c;
      int64_t j = 0;
      for (; j + 3 <= s_.columns.kernel; j += 3) add_cells<3>(dy, x, j, sums);
      for (; j < s_.columns.kernel; ++j) add_cells<1>(dy, x, j, sums);
    }
  }

 private:
  // The outputs [begin, end) that meet x in cell j.
  std::pair<int64_t, int64_t> reach(int64_t j) const {
    const AxisTaps::Cell& cell = columns_.cells[static_cast<size_t>(j)];
    int64_t begin = 0, end = columns_.outputs;
    while (begin < end && !columns_.inside(begin, cell)) ++begin;
    while (end > begin && !columns_.inside(end - 1, cell)) --end;
    return {begin, end};
  }

  template <int Cells>
  void add_run(const T* dy, const T* x, int64_t j, int64_t begin, int64_t end, T* sums) const {
    const int64_t at = begin * columns_.step + columns_.cells[static_cast<size_t>(j)].offset;
    add_products<T, Cells>(end - begin, s_.c, dy + begin * s_.c, x + at * s_.c,
                           columns_.step * s_.c, s_.columns.dilation * s_.c, sums + j * s_.c);
  }

  // Cells [j, j + Cells): together where all meet x, each by itself beside that.
  template <int Cells> void add_cells(const T* dy, const T* x, int64_t j, T* sums) const {
    int64_t first = 0, last = columns_.outputs;
    for (int64_t k = j; k < j + Cells; ++k) {
      const auto [begin, end] = reach(k);
      first = std::max(first, begin);
      last = std::min(last, end);
    }
    last = std::max(first, last);
    if (first < last) add_run<Cells>(dy, x, j, first, last, sums);
    for (int64_t k = j; k < j + Cells; ++k) {
      const auto [begin, end] = reach(k);
      if (begin < std::min(first, end)) add_run<1>(dy, x, k, begin, std::min(first, end), sums);
      if (std::max(last, begin) < end) add_run<1>(dy, x, k, std::max(last, begin), end, sums);
    }
  }

  const ConvShape& s_;
  AxisTaps rows_, columns_;
  const T *dy_, *x_;
  T* sums_;
};

}  // namespace

template <class T>
void depthwise_forward(const ConvShape& s, T* y, const T* x, const T* w, const T* bias) {
  const AxisTaps rows = forward_taps(s.rows), columns = forward_taps(s.columns);
  const Tensor weights = by_cell(s, w);
  sum_lines<T>(s.n, {.channels = s.c,
                     .rows = rows,
                     .columns = columns,
                     .kernel_columns = s.columns.kernel,
                     .source = x,
                     .weights = weights.data<T>(),
                     .bias = bias,
                     .result = y,
                     .result_rows = s.rows.out,
                     .result_columns = s.columns.out});
}

template <class T>
void depthwise_backward_input(const ConvShape& s, T* dx, const T* dy, const T* w) {
  const Tensor weights = by_cell(s, w);
  for (int64_t i = 0; i < s.rows.stride; ++i)
    for (int64_t j = 0; j < s.columns.stride; ++j) {
      const AxisTaps rows = gradient_taps(s.rows, i), columns = gradient_taps(s.columns, j);
      sum_lines<T>(s.n, {.channels = s.c,
                         .rows = rows,
                         .columns = columns,
                         .kernel_columns = s.columns.kernel,
                         .source = dy,
                         .weights = weights.data<T>(),
                         .bias = nullptr,
                         .result = dx,
                         .result_rows = s.rows.in,
                         .result_columns = s.columns.in});
    }
}

template <class T>
void depthwise_backward_weight(const ConvShape& s, T* dw, const T* dy, const T* x) {
  constexpr int64_t kMostParts = 16;
  const int64_t lines = s.n * s.rows.out, size = s.cells() * s.c;
  const int64_t part = pieces_of(
      lines, std::clamp<int64_t>(s.pixels() / (4 * s.cells()), 1, std::min(lines, kMostParts)));
  const int64_t parts = pieces_of(lines, part);
  Tensor sums = Tensor::zeros({parts, size}, dtype_of<T>());
  for_each_index(parts, [&](int64_t i) {
    const DepthwiseGradient<T> gradient(s, dy, x, sums.data<T>() + i * size);
    for (int64_t line = i * part; line < std::min(lines, (i + 1) * part); ++line)
      gradient.add(line / s.rows.out, line % s.rows.out);
  });
  for (int64_t c = 0; c < s.c; ++c)
    for (int64_t cell = 0; cell < s.cells(); ++cell) {
      T total = 0;
      for (int64_t i = 0; i < parts; ++i) total += sums.data<T>()[i * size + cell * s.c + c];
      dw[c * s.cells() + cell] = total;
    }
}

template void depthwise_forward(const ConvShape&, float*, const float*, const float*, const float*);
template void depthwise_forward(const ConvShape&, double*, const double*, const double*,
                                const double*);
template void depthwise_backward_input(const ConvShape&, float*, const float*, const float*);
template void depthwise_backward_input(const ConvShape&, double*, const double*, const double*);
template void depthwise_backward_weight(const ConvShape&, float*, const float*, const float*);
template void depthwise_backward_weight(const ConvShape&, double*, const double*, const double*);

LEVEL_END
