// The numbers of a convolution as the CPU's own kernels take them, and which inputs each output
// sums.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace passband::cpu {

// Windows along one axis: cell k of output i lies at input  i * stride - before + k * dilation.
struct ConvAxis {
  int64_t in, out, kernel, stride, dilation, before;
};

// x (n, rows.in, columns.in, c), y (n, rows.out, columns.out, o), w (o, kernels, c / groups).
struct ConvShape {
  int64_t n, c, o, groups;
  ConvAxis rows, columns;

  int64_t ci() const { return c / groups; }
  int64_t co() const { return o / groups; }
  int64_t cells() const { return rows.kernel * columns.kernel; }
  int64_t pixels() const { return n * rows.out * columns.out; }
  bool depthwise() const { return groups > 1 && c == groups && o == groups; }
  // Narrow groups are taken together, so that a vector of `lanes` channels is not mostly empty: how
  // many.
  int64_t merged_groups(int64_t lanes) const {
    int64_t merged = lanes / (ci() > co() ? ci() : co());
    while (merged > 1 && groups % merged != 0) --merged;
    return merged > 1 ? merged : 1;
  }
};

// What an output sums along one axis: of each cell, the source at  i * step + offset  where that
// lies in [0, sources).
struct AxisTaps {
  struct Cell {
    int64_t kernel, offset;
  };
  int64_t sources, outputs, step;
  int64_t first, spacing;  // output i lies at  first + i * spacing
  std::vector<Cell> cells;

  bool inside(int64_t i, const Cell& cell) const {
    const int64_t at = i * step + cell.offset;
    return at >= 0 && at < sources;
  }
  // The cells are neighbours, in order.
  bool dense() const {
    for (size_t k = 1; k < cells.size(); ++k)
      if (cells[k].offset != cells[k - 1].offset + 1) return false;
    return true;
  }
};

// y from x.
inline AxisTaps forward_taps(const ConvAxis& axis) {
  AxisTaps taps{axis.in, axis.out, axis.stride, 0, 1, {}};
  for (int64_t k = 0; k < axis.kernel; ++k)
    taps.cells.push_back({k, k * axis.dilation - axis.before});
  return taps;
}

// dx from dy, for the pixels whose index leaves `residue` when divided by the stride: of them each
// cell meets all or none.
inline AxisTaps gradient_taps(const ConvAxis& axis, int64_t residue) {
  const int64_t outputs = (axis.in - residue + axis.stride - 1) / axis.stride;
  AxisTaps taps{axis.out, outputs > 0 ? outputs : 0, 1, residue, axis.stride, {}};
  for (int64_t k = axis.kernel - 1; k >= 0; --k) {
    const int64_t at = residue + axis.before - k * axis.dilation;
    if (at % axis.stride == 0) taps.cells.push_back({k, at / axis.stride});
  }
  return taps;
}

}  // namespace passband::cpu
