// Pooling on the CPU: the channels of a pixel are the inner loop of everything.
#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "tensor/cpu/loops.h"
#include "tensor/cpu/vector.h"
#include "tensor/ops/pool_kernels.h"

LEVEL_BEGIN
namespace {

// One axis of the image: `windows` of them over `size` pixels.
struct Axis : WindowAxis {
  int64_t size, windows, kernel;
};

struct PoolGeometry {
  int64_t n, h, w, c, ho, wo;
  Axis rows, columns;
  bool count_include_pad;

  PoolGeometry(const Shape& x, const Shape& y, const PoolOptions& o)
      : n(x[0]),
        h(x[1]),
        w(x[2]),
        c(x[3]),
        ho(y[1]),
        wo(y[2]),
        rows{o.rows(), h, ho, o.kernel.height},
        columns{o.columns(), w, wo, o.kernel.width},
        count_include_pad(o.count_include_pad) {}
};

struct Range {
  int64_t begin, end, step = 1;
};

// Pixels that window `out` covers.
Range covered(int64_t out, const Axis& a) {
  const int64_t start = out * a.stride - a.before;
  const int64_t outside = start < 0 ? (a.dilation - 1 - start) / a.dilation : 0;  // cells
  return {start + outside * a.dilation, std::min(start + a.span(a.kernel), a.size), a.dilation};
}

// Windows that cover pixel `in`, or, with a dilation, reach over it.
Range covering(int64_t in, const Axis& a) {
  const int64_t last = (in + a.before) / a.stride, beyond = in + a.before - a.span(a.kernel);
  return {beyond < 0 ? 0 : beyond / a.stride + 1, std::min(last + 1, a.windows)};
}

// What the sum over window `out` is divided by along one axis: as PyTorch, padding counts but
// overhang does not.
int64_t divisor(int64_t out, const Axis& a, bool count_include_pad) {
  const Range range = covered(out, a);
  if (!count_include_pad) return range.end - range.begin;
  const int64_t start = out * a.stride - a.before;
  return std::min(start + a.kernel, a.size + a.after) - start;
}

// What the sum over window (row, column) is divided by.
int64_t divisor(int64_t row, int64_t column, const PoolGeometry& g) {
  return divisor(row, g.rows, g.count_include_pad) *
         divisor(column, g.columns, g.count_include_pad);
}

// Calls f(image, row, column) for each pixel of n images of rows x columns, in parallel by rows.
template <class F> void for_pixels(int64_t n, int64_t rows, int64_t columns, int64_t work, F&& f) {
  parallel_for(n * rows, grain_for(columns * work), [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line)
      for (int64_t column = 0; column < columns; ++column) f(line / rows, line % rows, column);
  });
}

// Indices, one for each lane of A.
template <class A> struct Lanes {
  typedef int32_t Indices __attribute__((vector_size(kLanes<A> * sizeof(int32_t))));

  static VecMask<A> load(const int32_t* p, int count) {
    Indices lanes{};
    if (count == kLanes<A>) std::memcpy(&lanes, p, sizeof lanes);
    else std::memcpy(&lanes, p, static_cast<size_t>(count) * sizeof(int32_t));
    return __builtin_convertvector(lanes, VecMask<A>);
  }
  static void store(int32_t* p, VecMask<A> wide, int count) {
    const Indices lanes = __builtin_convertvector(wide, Indices);
    if (count == kLanes<A>) std::memcpy(p, &lanes, sizeof lanes);
    else std::memcpy(p, &lanes, static_cast<size_t>(count) * sizeof(int32_t));
  }
};

// Channels [c, c + count) of a window: the largest of its pixels, and which that is.
template <class T> void max_of_window(const PoolGeometry& g, const Range& rows,
                                      const Range& columns, const T* x, int64_t c, int count,
                                      T* best, int32_t* index) {
  using A = Accumulate<T>;
  using Whole = typename VectorTypes<A>::Whole;
  Vec<A> largest{};
  VecMask<A> where{};
  for (int64_t i = rows.begin; i < rows.end; i += rows.step)
    for (int64_t j = columns.begin; j < columns.end; j += columns.step) {
      const int64_t pixel = i * g.w + j;
      const Vec<A> value = load(x + pixel * g.c + c, count);
      const bool first = i == rows.begin && j == columns.begin;
      const VecMask<A> larger = (value > largest) | (value != value) |  // NaN wins
                                (VecMask<A>{} - static_cast<Whole>(first ? 1 : 0));
      largest = larger ? value : largest;
      where = larger ? VecMask<A>{} + static_cast<Whole>(pixel) : where;
    }
  store(best + c, largest, count);
  Lanes<A>::store(index + c, where, count);
}

template <class T> void max_forward(const PoolGeometry& g, const T* x, T* y, int32_t* indices) {
  for_pixels(g.n, g.ho, g.wo, g.c * g.rows.kernel, [&](int64_t n, int64_t row, int64_t column) {
    const Range rows = covered(row, g.rows), columns = covered(column, g.columns);
    const int64_t at = ((n * g.ho + row) * g.wo + column) * g.c;
    for_vectors<Accumulate<T>>(0, g.c, [&](int64_t c, int count) {
      max_of_window(g, rows, columns, x + n * g.h * g.w * g.c, c, count, y + at, indices + at);
    });
  });
}

// A window that covers a pixel: where its channels begin, and what it divides by.
template <class A> struct Window {
  int64_t at;
  A scale;
};

// dx = the sum over the windows that cover a pixel; share(window, pixel, c, count) is that of
// channels [c, c + count).
template <class T, class F> void sum_windows(const PoolGeometry& g, T* dx, F&& share) {
  using A = Accumulate<T>;
  parallel_for(g.n * g.h, grain_for(g.w * g.c), [&](int64_t begin, int64_t end) {
    std::vector<Window<A>> windows;
    for (int64_t line = begin; line < end; ++line) {
      const Range rows = covering(line % g.h, g.rows);
      for (int64_t j = 0; j < g.w; ++j) {
        const Range columns = covering(j, g.columns);
        windows.clear();
        for (int64_t row = rows.begin; row < rows.end; ++row)
          for (int64_t column = columns.begin; column < columns.end; ++column)
            windows.push_back({((line / g.h * g.ho + row) * g.wo + column) * g.c,
                               A(1) / static_cast<A>(divisor(row, column, g))});
        for_vectors<A>(0, g.c, [&](int64_t c, int count) {
          Vec<A> sum{};
          for (const Window<A>& window : windows)
            sum += share(window, line % g.h * g.w + j, c, count);
          store(dx + (line * g.w + j) * g.c + c, sum, count);
        });
      }
    }
  });
}

template <class T>
void max_scatter(const PoolGeometry& g, const T* dy, const int32_t* indices, T* dx) {
  using A = Accumulate<T>;
  sum_windows(g, dx, [&](const Window<A>& window, int64_t pixel, int64_t c, int count) {
    const VecMask<A> here = Lanes<A>::load(indices + window.at + c, count) ==
                            VecMask<A>{} + static_cast<typename VectorTypes<A>::Whole>(pixel);
    return here ? load(dy + window.at + c, count) : Vec<A>{};
  });
}

template <class T> void avg_backward(const PoolGeometry& g, const T* dy, T* dx) {
  using A = Accumulate<T>;
  sum_windows(g, dx, [&](const Window<A>& window, int64_t, int64_t c, int count) {
    return window.scale * load(dy + window.at + c, count);
  });
}

template <class T> void avg_forward(const PoolGeometry& g, const T* x, T* y) {
  using A = Accumulate<T>;
  parallel_for(g.n * g.ho, grain_for(g.wo * g.c * g.rows.kernel), [&](int64_t begin, int64_t end) {
    std::vector<A> sums(static_cast<size_t>(g.c));
    for (int64_t line = begin; line < end; ++line) {
      const int64_t row = line % g.ho;
      const Range rows = covered(row, g.rows);
      for (int64_t column = 0; column < g.wo; ++column) {
        const Range columns = covered(column, g.columns);
        const A scale = A(1) / static_cast<A>(divisor(row, column, g));
        std::ranges::fill(sums, A(0));
        for (int64_t i = rows.begin; i < rows.end; i += rows.step)
          for (int64_t j = columns.begin; j < columns.end; j += columns.step) {
            const T* in = x + ((line / g.ho * g.h + i) * g.w + j) * g.c;
#pragma omp simd
            for (int64_t c = 0; c < g.c; ++c) sums[static_cast<size_t>(c)] += widen(in[c]);
          }
        T* out = y + (line * g.wo + column) * g.c;
        for_vectors<A>(0, g.c, [&](int64_t c, int count) {
          store(out + c, scale * load(sums.data() + c, count), count);
        });
      }
    }
  });
}

// Sums of rows of pixels first, then of rows: long f32 sums lose less.
template <class T>
void global_forward(int64_t n, int64_t h, int64_t w, int64_t channels, const T* x, T* y) {
  using A = Accumulate<T>;
  parallel_for(n, grain_for(h * w * channels), [&](int64_t begin, int64_t end) {
    std::vector<A> total(static_cast<size_t>(channels)), line(total);
    for (int64_t image = begin; image < end; ++image) {
      std::ranges::fill(total, A(0));
      for (int64_t i = 0; i < h; ++i) {
        std::ranges::fill(line, A(0));
        for (int64_t j = 0; j < w; ++j) {
          const T* in = x + ((image * h + i) * w + j) * channels;
#pragma omp simd
          for (int64_t c = 0; c < channels; ++c) line[static_cast<size_t>(c)] += widen(in[c]);
        }
        for (size_t c = 0; c < total.size(); ++c) total[c] += line[c];
      }
      for (size_t c = 0; c < total.size(); ++c)
        y[image * channels + static_cast<int64_t>(c)] =
            static_cast<T>(total[c] / static_cast<A>(h * w));
    }
  });
}

}  // namespace

void max_pool_forward(Tensor y, Tensor indices, const Tensor& x, const PoolOptions& options) {
  CHECK(x.size(1) * x.size(2) <= std::numeric_limits<int32_t>::max(), "max_pool2d: ", x,
        " has too many pixels");
  dispatch_floating(x.dtype(), "max_pool2d", [&]<class T>() {
    max_forward(PoolGeometry(x.shape(), y.shape(), options), x.data<T>(), y.data<T>(),
                indices.data<int32_t>());
  });
}

void max_pool_gather(Tensor y, const Tensor& x, const Tensor& indices) {
  const int64_t channels = x.size(3), pixels = x.size(1) * x.size(2),
                outputs = y.size(1) * y.size(2);
  dispatch_floating(x.dtype(), "max_pool2d", [&]<class T>() {
    const T* in = x.data<T>();
    T* out = y.data<T>();
    const int32_t* index = indices.data<int32_t>();
    parallel_for(y.size(0) * outputs, grain_for(channels), [=](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        for (int64_t c = 0; c < channels; ++c)
          out[p * channels + c] =
              in[(p / outputs * pixels + index[p * channels + c]) * channels + c];
    });
  });
}

void max_pool_scatter(Tensor dx, const Tensor& dy, const Tensor& indices,
                      const PoolOptions& options) {
  dispatch_floating(dy.dtype(), "max_pool2d", [&]<class T>() {
    max_scatter(PoolGeometry(dx.shape(), dy.shape(), options), dy.data<T>(),
                indices.data<int32_t>(), dx.data<T>());
  });
}

void avg_pool_forward(Tensor y, const Tensor& x, const PoolOptions& options) {
  dispatch_floating(x.dtype(), "avg_pool2d", [&]<class T>() {
    avg_forward(PoolGeometry(x.shape(), y.shape(), options), x.data<T>(), y.data<T>());
  });
}

void avg_pool_backward(Tensor dx, const Tensor& dy, const PoolOptions& options) {
  dispatch_floating(dy.dtype(), "avg_pool2d", [&]<class T>() {
    avg_backward(PoolGeometry(dx.shape(), dy.shape(), options), dy.data<T>(), dx.data<T>());
  });
}

void global_avg_pool_forward(Tensor y, const Tensor& x) {
  dispatch_floating(x.dtype(), "global_avg_pool", [&]<class T>() {
    global_forward(x.size(0), x.size(1), x.size(2), x.size(3), x.data<T>(), y.data<T>());
  });
}

LEVEL_END
