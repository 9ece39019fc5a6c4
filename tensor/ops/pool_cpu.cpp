// Pooling on the CPU: the channels of a pixel are the inner loop of everything.
#include <algorithm>
#include <limits>
#include <vector>

#include "tensor/cpu/loops.h"
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

template <class T> void max_forward(const PoolGeometry& g, const T* x, T* y, int32_t* indices) {
  for_pixels(g.n, g.ho, g.wo, g.c * g.rows.kernel, [&](int64_t n, int64_t row, int64_t column) {
    const Range rows = covered(row, g.rows), columns = covered(column, g.columns);
    T* best = y + ((n * g.ho + row) * g.wo + column) * g.c;
    int32_t* index = indices + ((n * g.ho + row) * g.wo + column) * g.c;
    for (int64_t i = rows.begin; i < rows.end; i += rows.step)
      for (int64_t j = columns.begin; j < columns.end; j += columns.step) {
        const auto pixel = static_cast<int32_t>(i * g.w + j);
        const T* in = x + ((n * g.h * g.w) + pixel) * g.c;
        if (i == rows.begin && j == columns.begin) {
          std::copy_n(in, g.c, best);
          std::fill_n(index, g.c, pixel);
          continue;
        }
#pragma omp simd
        for (int64_t c = 0; c < g.c; ++c) {
          const auto value = widen(in[c]);
          const bool larger = value > widen(best[c]) || value != value;  // NaN wins
          best[c] = larger ? in[c] : best[c];
          index[c] = larger ? pixel : index[c];
        }
      }
  });
}

// dx = the sum over the windows that cover a pixel; `add_window` adds one window's share to the
// sums of all channels.
template <class T, class F> void sum_windows(const PoolGeometry& g, T* dx, F&& add_window) {
  parallel_for(g.n * g.h, grain_for(g.w * g.c), [&](int64_t begin, int64_t end) {
    std::vector<Accumulate<T>> sums(static_cast<size_t>(g.c));
    for (int64_t line = begin; line < end; ++line) {
      const Range rows = covering(line % g.h, g.rows);
      for (int64_t j = 0; j < g.w; ++j) {
        const Range columns = covering(j, g.columns);
        std::ranges::fill(sums, Accumulate<T>(0));
        for (int64_t row = rows.begin; row < rows.end; ++row)
          for (int64_t column = columns.begin; column < columns.end; ++column)
            add_window(line / g.h, row, column, line % g.h * g.w + j, sums.data());
        std::copy_n(sums.data(), g.c, dx + (line * g.w + j) * g.c);
      }
    }
  });
}

template <class T>
void max_scatter(const PoolGeometry& g, const T* dy, const int32_t* indices, T* dx) {
  sum_windows(g, dx,
              [&](int64_t n, int64_t row, int64_t column, int64_t pixel, Accumulate<T>* sums) {
                const int64_t at = ((n * g.ho + row) * g.wo + column) * g.c;
#pragma omp simd
                for (int64_t c = 0; c < g.c; ++c)
                  sums[c] += indices[at + c] == pixel ? widen(dy[at + c]) : Accumulate<T>(0);
              });
}

template <class T> void avg_backward(const PoolGeometry& g, const T* dy, T* dx) {
  using A = Accumulate<T>;
  sum_windows(g, dx, [&](int64_t n, int64_t row, int64_t column, int64_t, A* sums) {
    const A scale = A(1) / static_cast<A>(divisor(row, column, g));
    const T* in = dy + ((n * g.ho + row) * g.wo + column) * g.c;
#pragma omp simd
    for (int64_t c = 0; c < g.c; ++c) sums[c] += scale * widen(in[c]);
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
        for (int64_t c = 0; c < g.c; ++c)
          out[c] = static_cast<T>(scale * sums[static_cast<size_t>(c)]);
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
