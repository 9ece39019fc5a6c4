// The operands of a matrix product that need not be stored as matrices: plain matrices, the patches
// under a convolution's kernel, a convolution's weight read by input channel. All are read by lines
// of contiguous elements:
//
//     const auto line = operand.line(i);              // what depends on i alone
//     const auto place = operand.place(j);            // what depends on j alone
//     const T* element = operand.find(line, place);   // nullptr outside: padding, or past the end
//
// Lines and elements are counted by 32-bit numbers, memory by 64-bit ones.
#pragma once
#include "tensor/cuda/indexing.cuh"

namespace passband::cuda {

inline int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Line i, element j: data[i * stride + j].
template <class T> struct Matrix {
  using Element = T;
  using Line = const T*;
  using Place = int;

  const T* data = nullptr;
  int64_t stride = 0;
  int lines = 0, width = 0;

  __device__ Line line(int i) const { return i < lines ? data + i * stride : nullptr; }
  __device__ Place place(int j) const { return j; }
  __device__ const T* find(Line line, Place j) const {
    return line && j < width ? line + j : nullptr;
  }
};

// The patches of an image: line i is a pixel (image, row, column) of a grid over the image, its
// elements are the cells (cell row, cell column, channel) around it, at  row * stride + origin +
// cell * step, with numbers for rows (y) and for columns (x). A step may be negative.
template <class T> struct Patches {
  using Element = T;
  struct Line {
    int64_t offset;  // elements from data to channel 0 of the first cell, which may be outside
    int y, x;
  };
  struct Place {
    int offset;  // elements from channel 0 of the first cell
    int y, x;
  };
  static constexpr int kOutside = -(1 << 30);

  const T* data = nullptr;        // the first channel of the group
  int64_t pixel_stride = 0;       // elements from pixel to pixel
  int height = 0, row_width = 0;  // of the image
  int lines = 0, width = 0;       // grid pixels in all; elements of a patch
  int stride_y = 1, stride_x = 1, step_y = 1, step_x = 1, origin_y = 0, origin_x = 0;
  Divisor grid_rows, grid_columns, channels, cell_columns;

  __device__ Line line(int i) const {
    if (i >= lines) return {0, kOutside, 0};
    int column = i;
    int row = grid_columns.split(column);
    const int image = grid_rows.split(row), y = row * stride_y + origin_y,
              x = column * stride_x + origin_x;
    return {((int64_t{image} * height + y) * row_width + x) * pixel_stride, y, x};
  }
  __device__ Place place(int j) const {
    if (j >= width) return {0, kOutside, 0};
    int channel = j;
    int column = channels.split(channel);
    const int y = cell_columns.split(column) * step_y, x = column * step_x;
    return {(y * row_width + x) * static_cast<int>(pixel_stride) + channel, y, x};
  }
  __device__ const T* find(const Line& line, const Place& place) const {
    const int y = line.y + place.y, x = line.x + place.x;
    const bool inside = static_cast<unsigned>(y) < static_cast<unsigned>(height) &&
                        static_cast<unsigned>(x) < static_cast<unsigned>(row_width);
    return inside ? data + (line.offset + place.offset) : nullptr;
  }
};

// A weight (O, kh, kw, I) read by lines (cell row, cell column, o) of input channels; only the
// cells first + n * step.
template <class T> struct WeightCells {
  using Element = T;
  using Line = const T*;
  using Place = int;

  const T* data = nullptr;                    // the first cell
  int64_t filter_stride = 0;                  // elements from output channel to output channel
  int64_t row_stride = 0, column_stride = 0;  // from cell to cell
  int lines = 0, width = 0;
  Divisor outputs, cell_columns;

  __device__ Line line(int i) const {
    if (i >= lines) return nullptr;
    int output = i;
    int column = outputs.split(output);
    const int row = cell_columns.split(column);
    return data + output * filter_stride + row * row_stride + column * column_stride;
  }
  __device__ Place place(int j) const { return j; }
  __device__ const T* find(Line line, Place j) const {
    return line && j < width ? line + j : nullptr;
  }
};

// Which index of the product (m, n, k) runs along a line: k, or that of the operand's own side.
enum class Major : bool { k, side };

// An operand as a kernel takes it.
template <class Source, Major order> struct Operand : Source {
  static constexpr Major major = order;
  int64_t batch_stride = 0;  // elements from product to product of a batch
  bool aligned = false;      // every line is made of whole, aligned runs of 16 bytes

  __device__ void select(int batch) { this->data += batch * batch_stride; }
};

}  // namespace passband::cuda
