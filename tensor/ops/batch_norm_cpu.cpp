// Batch norm on the CPU: two passes over memory forward, two backward, each at memory bandwidth.
#include <cmath>
#include <type_traits>
#include <vector>

#include "tensor/ops/batch_norm_kernels.h"
#include "tensor/ops/norm_columns.h"

LEVEL_BEGIN
namespace {

// gamma * rstd of each channel.
template <class A> std::vector<A> scales(const BatchNormTensors& t) {
  const A* gamma = t.gamma.data<A>();
  const A* rstd = t.rstd.data<A>();
  std::vector<A> scale(static_cast<size_t>(t.gamma.numel()));
  for (size_t c = 0; c < scale.size(); ++c) scale[c] = gamma[c] * rstd[c];
  return scale;
}

template <class T, class A = Accumulate<T>>
NormBlock<T> block_of(const BatchNormTensors& t, const std::vector<A>& scale, const T* dy,
                      int64_t row, int64_t rows) {
  const int64_t columns = t.x.size(-1);
  const auto* bits = static_cast<const uint16_t*>(t.relu_bits.raw());
  return {.x = t.x.data<T>() + row * columns,
          .dy = dy ? dy + row * columns : nullptr,
          .mean = t.mean.data<A>(),
          .scale = scale.data(),
          .beta = t.beta.data<A>(),
          .bits = bits ? bits + row * bit_words<A>(columns) : nullptr,
          .rows = rows,
          .columns = columns};
}

// Calls f with the gate as a compile-time constant.
template <class F> void dispatch_gate(const BatchNormTensors& t, F&& f) {
  if (!t.relu) return f(std::integral_constant<Gate, Gate::open>{});
  if (t.relu_bits.defined()) return f(std::integral_constant<Gate, Gate::bits>{});
  f(std::integral_constant<Gate, Gate::sign>{});
}

// Of each channel of x, in f64: (C) each.
template <class T> void moments_of(double* means, double* squares, const Tensor& x) {
  using A = Accumulate<T>;
  const RowBlocks blocks(1, x.shape().outer(-1), x.size(-1));
  const int64_t C = blocks.columns;
  std::vector<A> moments(static_cast<size_t>(2 * C * blocks.count()));
  blocks.each([&](int64_t b, int64_t row, int64_t rows) {
    A* own = moments.data() + 2 * b * C;
    block_moments(own, own + C, x.data<T>() + row * C, rows, C);
  });
  parallel_for(C, grain_for(2 * blocks.count()), [&](int64_t begin, int64_t end) {
    join_moments(means, squares, moments.data(), blocks.rows, blocks.block, C, begin, end);
  });
}

}  // namespace

void batch_norm_moments(Tensor mean, Tensor squares, const Tensor& x) {
  dispatch_floating(x.dtype(), "batch_norm", [&]<class T>() {
    moments_of<T>(mean.data<double>(), squares.data<double>(), x);
  });
}

void batch_norm_statistics(Tensor mean, Tensor rstd, Tensor running_mean, Tensor running_var,
                           const Tensor& x, double momentum, double eps) {
  dispatch_floating(x.dtype(), "batch_norm", [&]<class T>() {
    using A = Accumulate<T>;
    const int64_t C = x.size(-1);
    std::vector<double> means(static_cast<size_t>(C)), squares(static_cast<size_t>(C));
    const double n = static_cast<double>(x.shape().outer(-1));
    moments_of<T>(means.data(), squares.data(), x);
    const auto move = [momentum](Tensor& running, int64_t c, double value) {
      if (!running.defined()) return;
      A& r = running.data<A>()[c];
      r = static_cast<A>((1 - momentum) * r + momentum * value);
    };
    for (int64_t c = 0; c < C; ++c) {
      mean.data<A>()[c] = static_cast<A>(means[c]);
      rstd.data<A>()[c] = static_cast<A>(1 / std::sqrt(squares[c] / n + eps));
      move(running_mean, c, means[c]);
      move(running_var, c, squares[c] / (n - 1));
    }
  });
}

void batch_norm_allocate_bits(Tensor& relu_bits, const Tensor& x) {
  const int64_t C = x.size(-1),
                words = x.dtype() == DType::f64 ? bit_words<double>(C) : bit_words<float>(C);
  relu_bits = Tensor::empty({2 * x.shape().outer(-1) * words}, DType::u8);
}

void batch_norm_forward(Tensor y, Tensor relu_bits, const BatchNormTensors& t,
                        const Tensor& residual) {
  dispatch_floating(y.dtype(), "batch_norm", [&]<class T>() {
    const auto scale = scales<Accumulate<T>>(t);
    const T* added = residual.data_or_null<T>();
    const RowBlocks blocks(1, y.shape().outer(-1), y.size(-1));
    const bool streams = may_stream(y.data<T>(), blocks.rows, blocks.columns);
    auto* bits = static_cast<uint16_t*>(relu_bits.raw());
    blocks.each_again([&](int64_t, int64_t row, int64_t rows) {
      NormBlock<T> block = block_of<T>(t, scale, nullptr, row, rows);
      block.stream = streams;
      if (bits) block.kept_bits = bits + row * bit_words<Accumulate<T>>(blocks.columns);
      const int64_t at = row * blocks.columns;
      if (t.relu) normalise_block<true>(y.data<T>() + at, block, added ? added + at : nullptr);
      else normalise_block<false>(y.data<T>() + at, block, added ? added + at : nullptr);
      if (streams) end_streaming();
    });
  });
}

void batch_norm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dresidual, const Tensor& dy,
                         const Tensor& added, const BatchNormTensors& t) {
  dispatch_floating(dy.dtype(), "batch_norm", [&]<class T>() {
    using A = Accumulate<T>;
    const auto scale = scales<A>(t);
    const RowBlocks blocks = blocks_of_batch(dy.shape().outer(-1), dy.size(-1));
    const int64_t C = blocks.columns, parts = blocks.samples;
    std::vector<A> sums(static_cast<size_t>(2 * C * blocks.count()));
    dispatch_gate(t, [&](auto gate) {
      blocks.each([&](int64_t b, int64_t row, int64_t rows) {
        block_products<gate.value>(sums.data() + 2 * b * C,
                                   block_of<T>(t, scale, dy.data<T>(), row, rows));
      });
    });
    const A* rstd = t.rstd.data<A>();
    const std::vector<double> totals = blocks.joined(sums, 2 * C);
    const auto total = [&](int64_t part, int64_t i) { return totals[part * 2 * C + i]; };
    std::vector<double> all = join_batch<double>(parts, 2 * C, total);
    if (t.add_up) t.add_up(all.data(), 2 * C);
    const std::vector<A> own = join_batch<A>(parts, 2 * C, [&](int64_t part, int64_t i) {
      return i < C ? total(part, i) : total(part, i) * rstd[i - C];  // sum dy', sum dy' * xhat
    });
    std::copy_n(own.begin(), C, dbeta.data<A>());
    std::copy_n(own.begin() + C, C, dgamma.data<A>());
    std::vector<A> slope(static_cast<size_t>(C), A(0)), offset(static_cast<size_t>(C), A(0));
    const double n = t.add_up ? t.rows_of_all : static_cast<double>(parts * blocks.rows);
    for (int64_t c = 0; c < C && t.training; ++c) {
      const double product = all[C + c] * rstd[c];
      slope[c] = static_cast<A>(scale[c] * rstd[c] * product / n);
      offset[c] = static_cast<A>(scale[c] * all[c] / n);
    }
    if (!dx.defined() && !dresidual.defined()) return;
    const T* more = added.data_or_null<T>();
    dispatch_gate(t, [&](auto gate) {
      blocks.each_again([&](int64_t, int64_t row, int64_t rows) {
        T* dx_rows = dx.defined() ? dx.data<T>() + row * C : nullptr;
        T* dresidual_rows = dresidual.defined() ? dresidual.data<T>() + row * C : nullptr;
        gradient_block<gate.value>(dx_rows, dresidual_rows, more ? more + row * C : nullptr,
                                   block_of<T>(t, scale, dy.data<T>(), row, rows), slope.data(),
                                   offset.data());
      });
    });
  });
}

LEVEL_END
