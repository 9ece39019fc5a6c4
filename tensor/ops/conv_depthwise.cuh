// Depthwise convolution: every channel has a filter of its own. f32 and bf16, sums in f32.
//
// Bound by memory: 2 cells FLOP for an element read and one written (3x3 in bf16: 4.5 FLOP a byte;
// the H200's f32 units need 14 to be busy). A warp covers 4 pixels x 64 channels, so each access is
// 128 bytes of a pixel in bf16. The cells of neighbouring pixels overlap; that they are read from
// memory once is left to the first-level cache, which holds the few rows that a block works on. The
// filters of a block's channels lie in shared memory, widened.
//
// The weight gradient sums over all pixels: each thread keeps 9 cells x 8 channels in registers
// while it walks over its pixels, so dy is read once for every 9 cells; lanes, warps and blocks are
// then added in a fixed order.
#pragma once
#include <algorithm>

#include "tensor/core/tensor.h"
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/product_operands.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/cuda/wide.cuh"
#include "tensor/ops/conv_geometry.h"

namespace passband::cuda {

struct DepthwiseAxis {
  int stride, before, dilation;
};

struct DepthwiseShape {
  int height, width;  // of x
  int rows, columns;  // of y
  int channels, kernel_columns, cells;
  DepthwiseAxis vertical, horizontal;
  Divisor cell_columns;
};

inline constexpr int kDepthwiseGroups = 8;  // of eight channels, in a block
inline constexpr int kDepthwiseChannels = kDepthwiseGroups * kWide;  // of a block
inline constexpr int kDepthwiseThreads = 256,
                     kDepthwiseLanes = kDepthwiseThreads / kDepthwiseGroups;

// Where cell (i, j) of pixel (row, column) of the result lies in the image read: x for y, dy for
// dx. -1: nowhere.
template <bool gradient>
__device__ __forceinline__ int cell_side(int at, int cell, int side, const DepthwiseAxis& a) {
  if constexpr (gradient) {
    const int reached = at + a.before - cell * a.dilation, from = reached / a.stride;
    return reached >= 0 && from < side && from * a.stride == reached ? from : -1;
  } else {
    const int from = at * a.stride - a.before + cell * a.dilation;
    return from >= 0 && from < side ? from : -1;
  }
}

// y = x * w + bias, or, the gradient, dx = dy * w. `from` and `to` are NHWC images of the sizes
// that the pass implies.
template <class T, bool gradient> __global__ void __launch_bounds__(kDepthwiseThreads)
    depthwise_kernel(const T* __restrict__ from, const T* __restrict__ weight,
                     const T* __restrict__ bias, T* __restrict__ to, DepthwiseShape s,
                     Divisor to_rows, Divisor to_columns, int pixels, int pixels_of_block,
                     bool packed) {
  DYNAMIC_SHARED(float, filters);  // (cells, channels of the block)
  const int first = blockIdx.y * kDepthwiseChannels;
  for (int i = threadIdx.x; i < s.cells * kDepthwiseChannels; i += blockDim.x) {
    const int cell = i / kDepthwiseChannels, channel = first + i % kDepthwiseChannels;
    filters[i] =
        channel < s.channels ? static_cast<float>(weight[int64_t{channel} * s.cells + cell]) : 0.0f;
  }
  __syncthreads();
  const int group = threadIdx.x % kDepthwiseGroups, channel = first + group * kWide,
            count = s.channels - channel;
  if (count <= 0) return;
  const int from_height = gradient ? s.rows : s.height, from_width = gradient ? s.columns : s.width;
  Wide start{};
  if (bias) start = load_wide(bias + channel, count, packed);
  const int end = min(pixels, static_cast<int>(blockIdx.x + 1) * pixels_of_block);
  for (int pixel = blockIdx.x * pixels_of_block + threadIdx.x / kDepthwiseGroups; pixel < end;
       pixel += kDepthwiseLanes) {
    int column = pixel;
    int row = to_columns.split(column);
    const int image = to_rows.split(row);
    Wide sum = start;
    for (int cell = 0; cell < s.cells; ++cell) {
      int j = cell;
      const int i = s.cell_columns.split(j);
      const int y = cell_side<gradient>(row, i, from_height, s.vertical),
                x = cell_side<gradient>(column, j, from_width, s.horizontal);
      if (y < 0 || x < 0) continue;
      const int64_t at = (int64_t{image} * from_height + y) * from_width + x;
      const Wide value = load_wide(from + at * s.channels + channel, count, packed);
      const float* const filter = filters + cell * kDepthwiseChannels + group * kWide;
#pragma unroll
      for (int c = 0; c < kWide; ++c) sum[c] += value[c] * filter[c];
    }
    store_wide(to + int64_t{pixel} * s.channels + channel, sum, count, packed);
  }
}

inline constexpr int kDepthwiseCells = 9;  // that a thread keeps sums of

// partial (parts, cells, channels) = sums of dy x over the pixels of a part.
template <class T> __global__ void __launch_bounds__(kDepthwiseThreads)
    depthwise_weight_kernel(const T* __restrict__ dy, const T* __restrict__ x,
                            float* __restrict__ partial, DepthwiseShape s, Divisor rows,
                            Divisor columns, int pixels, int pixels_of_block, bool packed) {
  SHARED(float, of_warp, [kDepthwiseThreads / 32][kDepthwiseChannels]);
  const int group = threadIdx.x % kDepthwiseGroups, warp = threadIdx.x / 32,
            lane = threadIdx.x % 32;
  const int first = blockIdx.y * kDepthwiseChannels, channel = first + group * kWide,
            count = s.channels - channel;
  const int first_cell = blockIdx.z * kDepthwiseCells;
  const int end = min(pixels, static_cast<int>(blockIdx.x + 1) * pixels_of_block);
  Wide sums[kDepthwiseCells] = {};
  for (int pixel = blockIdx.x * pixels_of_block + threadIdx.x / kDepthwiseGroups;
       pixel < end && count > 0; pixel += kDepthwiseLanes) {
    int column = pixel;
    int row = columns.split(column);
    const int image = rows.split(row);
    const Wide gradient = load_wide(dy + int64_t{pixel} * s.channels + channel, count, packed);
#pragma unroll
    for (int cell = 0; cell < kDepthwiseCells; ++cell) {
      int j = first_cell + cell;
      if (j >= s.cells) break;
      const int i = s.cell_columns.split(j);
      const int from_y = cell_side<false>(row, i, s.height, s.vertical),
                from_x = cell_side<false>(column, j, s.width, s.horizontal);
      if (from_y < 0 || from_x < 0) continue;
      const int64_t at = (int64_t{image} * s.height + from_y) * s.width + from_x;
      const Wide value = load_wide(x + at * s.channels + channel, count, packed);
#pragma unroll
      for (int c = 0; c < kWide; ++c) sums[cell][c] += gradient[c] * value[c];
    }
  }
#pragma unroll
  for (int cell = 0; cell < kDepthwiseCells; ++cell) {
#pragma unroll
    for (int c = 0; c < kWide; ++c) {
      // The four pixels of a warp, then the warps.
      float sum = sums[cell][c];
      sum += __shfl_xor_sync(0xffffffffu, sum, kDepthwiseGroups);
      sum += __shfl_xor_sync(0xffffffffu, sum, 2 * kDepthwiseGroups);
      if (lane < kDepthwiseGroups) of_warp[warp][group * kWide + c] = sum;
    }
    __syncthreads();
    const int mine = threadIdx.x;
    if (mine < kDepthwiseChannels && first + mine < s.channels && first_cell + cell < s.cells) {
      float sum = 0.0f;
      for (int w = 0; w < kDepthwiseThreads / 32; ++w) sum += of_warp[w][mine];
      partial[(int64_t{blockIdx.x} * s.cells + first_cell + cell) * s.channels + first + mine] =
          sum;
    }
    __syncthreads();
  }
}

// dw (channels, cells) = the sum of partial (parts, cells, channels).
template <class T> __global__ void depthwise_sum_kernel(const float* __restrict__ partial,
                                                        T* __restrict__ dw, int parts, int cells,
                                                        int channels) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, count = cells * channels;
  if (i >= count) return;
  float sum = 0.0f;
  for (int part = 0; part < parts; ++part) sum += partial[int64_t{part} * count + i];
  dw[int64_t{i % channels} * cells + i / channels] = T(sum);
}

// The kernels above do this convolution: one input and one output channel in each group, filters
// that fit.
inline bool is_depthwise(const ConvGeometry& g, DType dtype) {
  return g.ci == 1 && g.co == 1 && g.c > 1 && g.kh * g.kw <= 128 && dtype != DType::f64;
}

inline DepthwiseShape depthwise_shape(const ConvGeometry& g) {
  const auto narrow = [](int64_t number) { return static_cast<int>(number); };
  const auto axis = [&](const WindowAxis& a) {
    return DepthwiseAxis{narrow(a.stride), narrow(a.before), narrow(a.dilation)};
  };
  return {narrow(g.h),  narrow(g.w),         narrow(g.ho), narrow(g.wo),    narrow(g.c),
          narrow(g.kw), narrow(g.kh * g.kw), axis(g.rows), axis(g.columns), Divisor(g.kw)};
}

template <class T, bool gradient> void run_depthwise(const ConvGeometry& g, Tensor to,
                                                     const Tensor& from, const Tensor& w,
                                                     const Tensor& bias) {
  constexpr int64_t kPixelsOfBlock = 8 * kDepthwiseLanes;
  const int64_t pixels = to.numel() / g.c;
  const T* const added = bias.defined() ? bias.data<T>() : nullptr;
  const bool packed = rows_are_packed(g.c, to.data<T>(), from.data<T>(), added);
  const dim3 grid(blocks_for(pixels, kPixelsOfBlock), blocks_for(g.c, kDepthwiseChannels));
  const size_t shared = static_cast<size_t>(g.kh * g.kw * kDepthwiseChannels) * sizeof(float);
  launch({.grid = grid,
          .block = kDepthwiseThreads,
          .shared_bytes = shared,
          .stream = compute_stream()},
         depthwise_kernel<T, gradient>, from.data<T>(), w.data<T>(), added, to.data<T>(),
         depthwise_shape(g), Divisor(to.size(1)), Divisor(to.size(2)), static_cast<int>(pixels),
         static_cast<int>(kPixelsOfBlock), packed);
}

template <class T>
void run_depthwise_weight(const ConvGeometry& g, Tensor dw, const Tensor& dy, const Tensor& x) {
  constexpr int64_t kWantedBlocks = 528, kLeastPixels = 8 * kDepthwiseLanes;  // of a block
  const int64_t cells = g.kh * g.kw, slabs = ceil_divide(g.c, kDepthwiseChannels);
  const int64_t groups = ceil_divide(cells, kDepthwiseCells);
  const int64_t parts =
      std::max<int64_t>(std::min(kWantedBlocks / (slabs * groups), g.pixels() / kLeastPixels), 1);
  const int64_t pixels_of_block = ceil_divide(g.pixels(), parts);
  Tensor partial = Tensor::empty({parts, cells, g.c}, DType::f32, dw.device());
  const bool packed = rows_are_packed(g.c, dy.data<T>(), x.data<T>());
  const dim3 grid(static_cast<unsigned>(parts), static_cast<unsigned>(slabs),
                  static_cast<unsigned>(groups));
  launch({.grid = grid, .block = kDepthwiseThreads, .stream = compute_stream()},
         depthwise_weight_kernel<T>, dy.data<T>(), x.data<T>(), partial.data<float>(),
         depthwise_shape(g), Divisor(g.ho), Divisor(g.wo), static_cast<int>(g.pixels()),
         static_cast<int>(pixels_of_block), packed);
  launch({.grid = blocks_for(cells * g.c, 256), .block = 256, .stream = compute_stream()},
         depthwise_sum_kernel<T>, partial.data<float>(), dw.data<T>(), static_cast<int>(parts),
         static_cast<int>(cells), static_cast<int>(g.c));
}

}  // namespace passband::cuda
