// The forward pass and the input gradient of direct convolutions, as sums over taps.
#include "tensor/ops/conv/depthwise.h"
#include "tensor/ops/conv/direct.h"
#include "tensor/ops/conv/panels.h"
#include "tensor/ops/conv/tap_sums.h"

LEVEL_BEGIN
namespace {

// (merged groups, panels, kPanel), zeros at the end of each group.
template <class T> Tensor pack_bias(const PanelSource<T>& s, const Accumulate<T>* bias) {
  using A = Accumulate<T>;
  if (!bias) return {};
  const int64_t padded = s.panels() * kPanel<T>;
  Tensor packed = Tensor::zeros({s.groups() * padded}, dtype_of<A>());
  for (int64_t group = 0; group < s.groups(); ++group)
    std::copy_n(bias + group * s.width(), s.width(), packed.data<A>() + group * padded);
  return packed;
}

// All groups; source and result begin with the first.
template <class T>
void sum_taps(const PanelSource<T>& s, const TapProblem<T>& first, const Accumulate<T>* bias) {
  const Tensor panels = pack_panels(s), offsets = pack_bias(s, bias);
  for (int64_t group = 0; group < s.groups(); ++group) {
    TapProblem<T> problem = first;
    problem.source += group * s.depth();
    problem.result += group * s.width();
    problem.panels =
        static_cast<const Factor<T>*>(panels.raw()) + group * s.panels() * s.panel_size();
    if (bias) problem.bias = offsets.data<Accumulate<T>>() + group * s.panels() * kPanel<T>;
    const TapSums<T> sums(problem);
    for_each_index(sums.tasks(), [&](int64_t task) { sums(task); });
  }
}

// Some pixels of x meet no cell.
bool leaves_gaps(const ConvAxis& axis) {
  for (int64_t residue = 0; residue < axis.stride; ++residue)
    if (gradient_taps(axis, residue).cells.empty()) return true;
  return false;
}

}  // namespace

template <class T> void direct_forward(const ConvShape& s, Accumulate<T>* y, const T* x, const T* w,
                                       const Accumulate<T>* bias) {
  if constexpr (kPerStep<Factor<T>> == 1)
    if (s.depthwise()) return depthwise_forward(s, y, x, w, bias);
  const AxisTaps rows = forward_taps(s.rows), columns = forward_taps(s.columns);
  const PanelSource<T> weights{w, s, true, s.merged_groups(kLanes<T>), rows, columns};
  sum_taps(weights,
           {.images = s.n,
            .rows = rows,
            .columns = columns,
            .source = x,
            .source_channels = s.c,
            .depth = weights.depth(),
            .result = y,
            .result_rows = s.rows.out,
            .result_columns = s.columns.out,
            .result_channels = s.o,
            .width = weights.width()},
           bias);
}

template <class T>
void direct_backward_input(const ConvShape& s, Accumulate<T>* dx, const T* dy, const T* w) {
  using A = Accumulate<T>;
  if constexpr (kPerStep<Factor<T>> == 1)
    if (s.depthwise()) return depthwise_backward_input(s, dx, dy, w);
  if (leaves_gaps(s.rows) || leaves_gaps(s.columns))
    parallel_for(s.n * s.rows.in * s.columns.in * s.c, kGrain,
                 [=](int64_t begin, int64_t end) { std::fill(dx + begin, dx + end, A(0)); });
  for (int64_t i = 0; i < s.rows.stride; ++i)
    for (int64_t j = 0; j < s.columns.stride; ++j) {
      const AxisTaps rows = gradient_taps(s.rows, i), columns = gradient_taps(s.columns, j);
      const PanelSource<T> weights{w, s, false, s.merged_groups(kLanes<T>), rows, columns};
      if (weights.cells() == 0) continue;
      sum_taps(weights,
               {.images = s.n,
                .rows = rows,
                .columns = columns,
                .source = dy,
                .source_channels = s.o,
                .depth = weights.depth(),
                .result = dx,
                .result_rows = s.rows.in,
                .result_columns = s.columns.in,
                .result_channels = s.c,
                .width = weights.width()},
               static_cast<const A*>(nullptr));
    }
}

template void direct_forward(const ConvShape&, float*, const float*, const float*, const float*);
template void direct_forward(const ConvShape&, double*, const double*, const double*,
                             const double*);
template void direct_backward_input(const ConvShape&, float*, const float*, const float*);
template void direct_backward_input(const ConvShape&, double*, const double*, const double*);
#if PASSBAND_VECTOR_BYTES == 64
template void direct_forward(const ConvShape&, float*, const bf16*, const bf16*, const float*);
template void direct_backward_input(const ConvShape&, float*, const bf16*, const bf16*);
#endif

bool direct_takes_pairs(const ConvShape& s) {
  const int64_t merged = s.merged_groups(kLanes<float>);
  const auto suits = [merged](int64_t channels) {
    return channels * merged >= 16 && channels * merged % 2 == 0;
  };
  return has_bf16_pairs() && !s.depthwise() && suits(s.ci()) && suits(s.co());
}

LEVEL_END
