// Weights in panels: (groups, panels, cells, channels of the source, kPanel channels of the
// result), zeros beside the last channel. Narrow groups are merged, so that a vector is not mostly
// empty: what one group's source would give to another's result are zeros as well. Of bf16, two
// channels of the source are one entry.
#pragma once
#include "tensor/core/parallel.h"
#include "tensor/core/tensor.h"
#include "tensor/cpu/product_panels.h"
#include "tensor/ops/conv/shape.h"
#include "tensor/ops/conv/sum_tile.h"

PASSBAND_LEVEL_BEGIN

// Which weights: those of `rows` x `columns`, as they sum over x's channels (forward) or y's.
template <class T> struct PanelSource {
  const T* w;  // (o, kernels, ci)
  const ConvShape& shape;
  bool forward;
  int64_t merged;  // groups that are one here
  const AxisTaps &rows, &columns;

  int64_t depth() const { return merged * (forward ? shape.ci() : shape.co()); }
  int64_t width() const { return merged * (forward ? shape.co() : shape.ci()); }
  int64_t panels() const { return pieces_of(width(), kPanel<T>); }
  int64_t cells() const { return static_cast<int64_t>(rows.cells.size() * columns.cells.size()); }
  int64_t cell_size() const { return steps_of<Factor<T>>(depth()) * kPanel<T>; }
  int64_t panel_size() const { return cells() * cell_size(); }
  int64_t groups() const { return shape.groups / merged; }
};

// Channel k of a column of a panel.
template <class T> void put_entry(T* column, int64_t k, T value) { column[k * kPanel<T>] = value; }
inline void put_entry(Pair* column, int64_t k, bf16 value) {
  Pair& pair = column[k / 2 * kPanel<bf16>];
  (k % 2 == 0 ? pair.first : pair.second) = value;
}

// One cell of one panel: channels [first, first + width) of the result of merged group `group`.
template <class T>
void pack_cell(const PanelSource<T>& s, int64_t group, int64_t first, int64_t cell, Factor<T>* to) {
  const int64_t ci = s.shape.ci(), co = s.shape.co(), per_row = s.columns.cells.size();
  const int64_t kernel =
      s.rows.cells[static_cast<size_t>(cell / per_row)].kernel * s.shape.columns.kernel +
      s.columns.cells[static_cast<size_t>(cell % per_row)].kernel;
  const T* const w = s.w + kernel * ci;
  const int64_t pitch = s.shape.cells() * ci;  // from one channel of y to the next
  const int64_t end = std::min(s.width(), first + kPanel<T>);
  if (s.merged == 1) {
    const T* const from = w + group * co * pitch + (s.forward ? first * pitch : first);
    if (s.forward) pack_panel_transposed(to, from, pitch, ci, end - first);
    else pack_panels(to, from, pitch, co, end - first);
    return;
  }
  std::fill_n(to, s.cell_size(), Factor<T>{});
  for (int64_t j = first; j < end; ++j) {
    const int64_t out = s.forward ? co : ci, in = s.forward ? ci : co, part = j / out;
    const int64_t member = group * s.merged + part;
    const T* const from =
        s.forward ? w + (member * co + j % out) * pitch : w + member * co * pitch + j % out;
    Factor<T>* const column = to + j - first;
    const int64_t step = s.forward ? 1 : pitch;
    for (int64_t i = 0; i < in; ++i) put_entry(column, part * in + i, from[i * step]);
  }
}

template <class T> Tensor pack_panels(const PanelSource<T>& s) {
  static_assert(sizeof(Factor<T>) == sizeof(Accumulate<T>));
  const int64_t count = s.groups() * s.panels() * s.cells();
  Tensor packed = Tensor::empty({count * s.cell_size()}, dtype_of<Accumulate<T>>());
  auto* const to = static_cast<Factor<T>*>(packed.raw());
  parallel_for(count, grain_for(s.cell_size()), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      pack_cell(s, i / (s.panels() * s.cells()), i / s.cells() % s.panels() * kPanel<T>,
                i % s.cells(), to + i * s.cell_size());
  });
  return packed;
}

PASSBAND_LEVEL_END
