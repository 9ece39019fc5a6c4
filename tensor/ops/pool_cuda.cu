// Pooling on the GPU: a thread has eight channels of one pixel, of y forward and of dx backward. A
// pixel of dx gathers from the windows that cover it, so nothing is added by two threads and every
// run gives the same bits.
//
// Bound: memory, at 3 or fewer operations per element read. A window that overlaps its neighbours
// is read again from the cache: with 3x3 windows and a stride of 2 each pixel 2.25 times, from
// memory once. Considered: backward along y, each thread adding to the pixels of its window: one
// reading of dy less, but atomic additions; and rows of windows in shared memory, which saves reads
// that hit the cache.
#include <limits>

#include "tensor/ops/norm_columns.cuh"
#include "tensor/ops/pool_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;
// Blocks that a multiprocessor is to hold of an average: told nothing, the compiler makes room for
// one more and spills registers.
constexpr int kAverageBlocks = 4;

// One axis of the image: `windows` of them over `size` pixels, `span` pixels from first to last
// cell.
struct Axis {
  int size, windows, kernel, stride, dilation, before, after, span;

  Axis(int64_t size, int64_t windows, int64_t kernel, const WindowAxis& a)
      : size(static_cast<int>(size)),
        windows(static_cast<int>(windows)),
        kernel(static_cast<int>(kernel)),
        stride(static_cast<int>(a.stride)),
        dilation(static_cast<int>(a.dilation)),
        before(static_cast<int>(a.before)),
        after(static_cast<int>(a.after)),
        span(static_cast<int>(a.span(kernel))) {}
};

// Windows of (height, width) images, (ho, wo) of them, moved over `groups` eights of channels.
struct Geometry {
  int h, w, c, ho, wo;
  Axis rows, columns;
  bool count_include_pad;
  bool packed;

  Geometry(const Shape& x, const Shape& y, const PoolOptions& o, bool packed)
      : h(static_cast<int>(x[1])),
        w(static_cast<int>(x[2])),
        c(static_cast<int>(x[3])),
        ho(static_cast<int>(y[1])),
        wo(static_cast<int>(y[2])),
        rows(x[1], y[1], o.kernel.height, o.rows()),
        columns(x[2], y[2], o.kernel.width, o.columns()),
        count_include_pad(o.count_include_pad),
        packed(packed) {}
};

struct Range {
  int begin, end, step;
};

// Pixels that window `out` covers.
__device__ __forceinline__ Range covered(int out, const Axis& a) {
  const int start = out * a.stride - a.before;
  const int outside = start < 0 ? (a.dilation - 1 - start) / a.dilation : 0;  // cells
  return {start + outside * a.dilation, min(start + a.span, a.size), a.dilation};
}

// Windows that cover pixel `in`, or, with a dilation, reach over it.
__device__ __forceinline__ Range covering(int in, const Axis& a) {
  const int last = (in + a.before) / a.stride, beyond = in + a.before - a.span;
  return {beyond < 0 ? 0 : beyond / a.stride + 1, min(last + 1, a.windows), 1};
}

// What the sum over window `out` is divided by along one axis: as PyTorch, padding counts but
// overhang does not.
__device__ __forceinline__ int divisor(int out, const Axis& a, bool count_include_pad) {
  const Range range = covered(out, a);
  if (!count_include_pad) return range.end - range.begin;
  const int start = out * a.stride - a.before;
  return min(start + a.kernel, a.size + a.after) - start;
}

// One over the divisor of window (row, column).
__device__ __forceinline__ float weight(int row, int column, const Geometry& g) {
  return 1.0f / static_cast<float>(divisor(row, g.rows, g.count_include_pad) *
                                   divisor(column, g.columns, g.count_include_pad));
}

// The eight channels of one pixel of images of (rows, columns), one per thread.
struct Spot {
  int64_t image;
  int row, column, channel, count;
  bool inside;

  __device__ Spot(int rows, int columns, int channels) {
    const int groups = wide_groups(channels), items = rows * columns * groups;
    const int blocks = (items + kThreads - 1) / kThreads;
    image = blockIdx.x / blocks;
    const int item = static_cast<int>(blockIdx.x % blocks * kThreads + threadIdx.x);
    const int pixel = item / groups;
    channel = item % groups * kWide;
    count = min(kWide, channels - channel);
    row = pixel / columns;
    column = pixel % columns;
    inside = item < items;
  }
  static unsigned blocks(int64_t images, int64_t rows, int64_t columns, int64_t channels) {
    const int64_t items = rows * columns * wide_groups(channels);
    CHECK(items < std::numeric_limits<int32_t>::max(), "pooling: an image of ", rows, "x", columns,
          "x", channels, " is too large for one launch");
    return static_cast<unsigned>(images * ((items + kThreads - 1) / kThreads));
  }
  // Index of the first channel of a pixel of this image.
  __device__ int64_t at(int r, int c, int rows, int columns, int channels) const {
    return ((image * rows + r) * columns + c) * channels + channel;
  }
};

struct WideIndex {
  int values[kWide];
};

__device__ __forceinline__ WideIndex load_index(const int32_t* __restrict__ from, int count,
                                                bool packed) {
  WideIndex index;
#pragma unroll
  for (int i = 0; i < kWide; i += 4) {
    if (packed) {
      const auto pack = load_pack<4>(from + i);
#pragma unroll
      for (int k = 0; k < 4; ++k) index.values[i + k] = pack[k];
    } else {
#pragma unroll
      for (int k = i; k < i + 4; ++k) index.values[k] = k < count ? from[k] : -1;
    }
  }
  return index;
}

__device__ __forceinline__ void store_index(int32_t* to, const WideIndex& index, int count,
                                            bool packed) {
#pragma unroll
  for (int i = 0; i < kWide; i += 4) {
    if (packed) {
      Pack<int32_t, 4> pack;
#pragma unroll
      for (int k = 0; k < 4; ++k) pack[k] = index.values[i + k];
      store_pack(to + i, pack);
    } else {
#pragma unroll
      for (int k = i; k < i + 4; ++k)
        if (k < count) to[k] = index.values[k];
    }
  }
}

template <class T> __global__ void __launch_bounds__(kThreads)
    max_forward_kernel(T* __restrict__ y, int32_t* __restrict__ indices, const T* __restrict__ x,
                       Geometry g) {
  const Spot s(g.ho, g.wo, g.c);
  if (!s.inside) return;
  const Range rows = covered(s.row, g.rows), columns = covered(s.column, g.columns);
  Wide best = {};
  WideIndex index = {};
  for (int i = rows.begin; i < rows.end; i += rows.step)
    for (int j = columns.begin; j < columns.end; j += columns.step) {
      const bool first = i == rows.begin && j == columns.begin;
      const Wide v = load_wide(x + s.at(i, j, g.h, g.w, g.c), s.count, g.packed);
#pragma unroll
      for (int k = 0; k < kWide; ++k) {
        const bool larger = first || v[k] > best[k] || v[k] != v[k];  // NaN wins
        best[k] = larger ? v[k] : best[k];
        index.values[k] = larger ? i * g.w + j : index.values[k];
      }
    }
  const int64_t at = s.at(s.row, s.column, g.ho, g.wo, g.c);
  store_wide(y + at, best, s.count, g.packed);
  store_index(indices + at, index, s.count, g.packed);
}

// y = x at the indices.
template <class T> __global__ void __launch_bounds__(kThreads)
    max_gather_kernel(T* __restrict__ y, const T* __restrict__ x,
                      const int32_t* __restrict__ indices, Geometry g) {
  const Spot s(g.ho, g.wo, g.c);
  if (!s.inside) return;
  const int64_t at = s.at(s.row, s.column, g.ho, g.wo, g.c);
  const WideIndex index = load_index(indices + at, s.count, g.packed);
  const T* image = x + s.image * g.h * g.w * g.c + s.channel;
  Wide v;
#pragma unroll
  for (int k = 0; k < kWide; ++k)
    v[k] = k < s.count ? static_cast<float>(image[int64_t{index.values[k]} * g.c + k]) : 0.0f;
  store_wide(y + at, v, s.count, g.packed);
}

template <class T> __global__ void __launch_bounds__(kThreads)
    max_scatter_kernel(T* __restrict__ dx, const T* __restrict__ dy,
                       const int32_t* __restrict__ indices, Geometry g) {
  const Spot s(g.h, g.w, g.c);
  if (!s.inside) return;
  const Range rows = covering(s.row, g.rows), columns = covering(s.column, g.columns);
  const int pixel = s.row * g.w + s.column;
  Wide sum = {};
  for (int i = rows.begin; i < rows.end; ++i)
    for (int j = columns.begin; j < columns.end; ++j) {
      const int64_t at = s.at(i, j, g.ho, g.wo, g.c);
      const WideIndex index = load_index(indices + at, s.count, g.packed);
      const Wide v = load_wide(dy + at, s.count, g.packed);
#pragma unroll
      for (int k = 0; k < kWide; ++k) sum[k] += index.values[k] == pixel ? v[k] : 0.0f;
    }
  store_wide(dx + s.at(s.row, s.column, g.h, g.w, g.c), sum, s.count, g.packed);
}

template <class T> __global__ void __launch_bounds__(kThreads, kAverageBlocks)
    avg_forward_kernel(T* __restrict__ y, const T* __restrict__ x, Geometry g) {
  const Spot s(g.ho, g.wo, g.c);
  if (!s.inside) return;
  const Range rows = covered(s.row, g.rows), columns = covered(s.column, g.columns);
  Wide sum = {};
  for (int i = rows.begin; i < rows.end; ++i)
    for (int j = columns.begin; j < columns.end; ++j) {
      const Wide v = load_wide(x + s.at(i, j, g.h, g.w, g.c), s.count, g.packed);
#pragma unroll
      for (int k = 0; k < kWide; ++k) sum[k] += v[k];
    }
  const float scale = weight(s.row, s.column, g);
#pragma unroll
  for (int k = 0; k < kWide; ++k) sum[k] *= scale;
  store_wide(y + s.at(s.row, s.column, g.ho, g.wo, g.c), sum, s.count, g.packed);
}

template <class T> __global__ void __launch_bounds__(kThreads, kAverageBlocks)
    avg_backward_kernel(T* __restrict__ dx, const T* __restrict__ dy, Geometry g) {
  const Spot s(g.h, g.w, g.c);
  if (!s.inside) return;
  const Range rows = covering(s.row, g.rows), columns = covering(s.column, g.columns);
  Wide sum = {};
  for (int i = rows.begin; i < rows.end; ++i)
#pragma unroll 1  // more at a time spills registers
    for (int j = columns.begin; j < columns.end; ++j) {
      const Wide v = load_wide(dy + s.at(i, j, g.ho, g.wo, g.c), s.count, g.packed);
      const float scale = weight(i, j, g);
#pragma unroll
      for (int k = 0; k < kWide; ++k) sum[k] += scale * v[k];
    }
  store_wide(dx + s.at(s.row, s.column, g.h, g.w, g.c), sum, s.count, g.packed);
}

// y (samples, columns): the mean over the rows of each sample, which are one chunk.
template <class T> __global__ void __launch_bounds__(kColumnThreads)
    global_avg_kernel(T* __restrict__ y, const T* __restrict__ x, ColumnPass pass) {
  const ColumnThread t(pass);
  Wide sum[1] = {};
#pragma unroll 4
  for (int64_t row = t.first; row < t.end; row += blockDim.y) {
    const Wide v = load_wide(x + t.at(pass, row), t.count, pass.packed);
#pragma unroll
    for (int k = 0; k < kWide; ++k) sum[0][k] += v[k];
  }
  join_rows(sum, [](Wide(&a)[1], const Wide(&b)[1]) { add_wide(a, b); });
  if (threadIdx.y > 0 || t.count <= 0) return;
  for (int k = 0; k < kWide; ++k) sum[0][k] /= static_cast<float>(pass.rows);
  store_wide(y + int64_t{t.sample} * pass.columns + t.column, sum[0], t.count, false);
}

// A thread for every eight channels of every pixel of `shape`.
Launch pixel_launch(const Shape& shape) {
  return {.grid = Spot::blocks(shape[0], shape[1], shape[2], shape[3]),
          .block = kThreads,
          .stream = compute_stream()};
}

}  // namespace

void max_pool_forward(Tensor y, Tensor indices, const Tensor& x, const PoolOptions& options) {
  if (y.numel() == 0) return;
  dispatch_f32_bf16(x.dtype(), "max_pool2d", [&]<class T>() {
    int32_t* const index = indices.data<int32_t>();
    const bool packed = rows_are_packed(x.size(3), x.data<T>(), y.data<T>(), index);
    launch(pixel_launch(y.shape()), max_forward_kernel<T>, y.data<T>(), index, x.data<T>(),
           Geometry(x.shape(), y.shape(), options, packed));
  });
}

void max_pool_gather(Tensor y, const Tensor& x, const Tensor& indices) {
  if (y.numel() == 0) return;
  dispatch_f32_bf16(x.dtype(), "max_pool2d", [&]<class T>() {
    const int32_t* const index = indices.data<int32_t>();
    const bool packed = rows_are_packed(x.size(3), y.data<T>(), index);
    launch(pixel_launch(y.shape()), max_gather_kernel<T>, y.data<T>(), x.data<T>(), index,
           Geometry(x.shape(), y.shape(), {}, packed));
  });
}

void max_pool_scatter(Tensor dx, const Tensor& dy, const Tensor& indices,
                      const PoolOptions& options) {
  if (dx.numel() == 0) return;
  dispatch_f32_bf16(dy.dtype(), "max_pool2d", [&]<class T>() {
    const int32_t* const index = indices.data<int32_t>();
    const bool packed = rows_are_packed(dx.size(3), dx.data<T>(), dy.data<T>(), index);
    launch(pixel_launch(dx.shape()), max_scatter_kernel<T>, dx.data<T>(), dy.data<T>(), index,
           Geometry(dx.shape(), dy.shape(), options, packed));
  });
}

void avg_pool_forward(Tensor y, const Tensor& x, const PoolOptions& options) {
  if (y.numel() == 0) return;
  dispatch_f32_bf16(x.dtype(), "avg_pool2d", [&]<class T>() {
    const bool packed = rows_are_packed(x.size(3), x.data<T>(), y.data<T>());
    launch(pixel_launch(y.shape()), avg_forward_kernel<T>, y.data<T>(), x.data<T>(),
           Geometry(x.shape(), y.shape(), options, packed));
  });
}

void avg_pool_backward(Tensor dx, const Tensor& dy, const PoolOptions& options) {
  if (dx.numel() == 0) return;
  dispatch_f32_bf16(dy.dtype(), "avg_pool2d", [&]<class T>() {
    const bool packed = rows_are_packed(dx.size(3), dx.data<T>(), dy.data<T>());
    launch(pixel_launch(dx.shape()), avg_backward_kernel<T>, dx.data<T>(), dy.data<T>(),
           Geometry(dx.shape(), dy.shape(), options, packed));
  });
}

void global_avg_pool_forward(Tensor y, const Tensor& x) {
  if (y.numel() == 0) return;
  dispatch_f32_bf16(x.dtype(), "global_avg_pool", [&]<class T>() {
    const int64_t C = x.size(3);
    ColumnPass pass(x.size(0), x.size(1) * x.size(2), C, rows_are_packed(C, x.data<T>()));
    pass.chunks = 1;
    pass.chunk = pass.rows;
    launch({.grid = pass.grid(), .block = pass.block(), .stream = compute_stream()},
           global_avg_kernel<T>, y.data<T>(), x.data<T>(), pass);
  });
}

}  // namespace passband::cuda
