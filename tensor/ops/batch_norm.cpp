// Batch norm with a fused residual and relu: checks, the fused first-order gradient, the composed
// one for higher orders.
#include <algorithm>
#include <cmath>
#include <functional>

#include "tensor/autograd/batch_sum.h"
#include "tensor/core/collective.h"
#include "tensor/core/device.h"
#include "tensor/ops/batch_norm_kernels.h"
#include "tensor/ops/norm.h"
#include "tensor/ops/norm_composed.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

std::vector<int> all_but_last(const Tensor& x) {
  std::vector<int> dims;
  for (int d = 0; d + 1 < x.rank(); ++d) dims.push_back(d);
  return dims;
}

// y = relu(gamma * (x - mean) * rstd + beta + residual). The gradients of dy' = dy before the relu:
// see norm_composed.h; with running statistics mean and rstd are constants and dx = gamma * rstd *
// dy'. dresidual = dy'.
struct BatchNorm {
  static constexpr auto name = "batch_norm";
  static constexpr auto saves = Save::input;
  BatchNormOptions options;
  bool recorded;  // a backward may follow
  Tensor running_mean, running_var;
  Buffer mean, rstd, relu_bits;
  double rows_of_all = 0;  // where statistics are those of several processes

  Attributes attributes() const {
    return {
        {"relu", {options.relu ? 1.0 : 0.0}}, {"mean", {}, mean.memory}, {"rstd", {}, rstd.memory}};
  }
  Tensor forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& residual) {
    if (x.numel() == 0) return Tensor::empty_like(x);
    find_statistics(x);
    if (options.relu && residual.defined() && recorded)
      DISPATCH(x.device(), batch_norm_allocate_bits, relu_bits.memory, x);
    Tensor y = Tensor::empty_like(x);
    DISPATCH(x.device(), batch_norm_forward, y, relu_bits.memory, tensors(x, gamma, beta),
             residual);
    return y;
  }

  Grads backward(const Saved& s, const Tensor& dy, Arrived& arrived) const {
    return recording() ? composed(s, dy) : fused(s, dy, arrived);
  }

  void release() { mean = rstd = relu_bits = {}; }

 private:
  BatchNormTensors tensors(const Tensor& x, const Tensor& gamma, const Tensor& beta) const {
    BatchNormTensors t{x,    mean.memory,      rstd.memory,  gamma,
                       beta, relu_bits.memory, options.relu, options.training};
    if (rows_of_all > 0) {
      t.rows_of_all = rows_of_all;
      t.add_up = [](double* sums, int64_t count) { sum_over_processes(sums, count); };
    }
    return t;
  }

  void find_statistics(const Tensor& x) {
    if (!options.training) {
      // a copy: training may move the running statistics before backward
      mean.memory = running_mean + 0.0;
      rstd.memory = rsqrt(running_var + options.eps);
      return;
    }
    mean.memory = Tensor::empty({x.size(-1)}, statistics_type(x), x.device());
    rstd.memory = Tensor::empty_like(mean.memory);
    if (of_several() || (!x.device().is_cuda() && batch_parts().cut(x.size(0))))
      return find_statistics_by_sums(x);
    DISPATCH(x.device(), batch_norm_statistics, mean.memory, rstd.memory, running_mean, running_var,
             x, options.momentum, options.eps);
    if (running_mean.defined()) running_mean.bump_version();
    if (running_var.defined()) running_var.bump_version();
  }

  bool of_several() const { return options.synchronised && process_count() > 1; }

  // Rows, and sums of x and x^2, in f64: what cancels is 2^-53 of mean^2 / variance.
  static std::vector<double> sums_of(const Tensor& x) {
    const int64_t C = x.size(-1);
    Tensor means = Tensor::empty({C}, DType::f64), squares = Tensor::empty({C}, DType::f64);
    cpu::batch_norm_moments(means, squares, x);
    const double rows = static_cast<double>(x.shape().outer(-1));
    std::vector<double> sums(static_cast<size_t>(2 * C + 1), rows);
    for (int64_t c = 0; c < C; ++c) {
      const double own = means.data<double>()[c];
      sums[c] = rows * own;
      sums[C + c] = squares.data<double>()[c] + rows * own * own;
    }
    return sums;
  }

  // Over the parts of a batch, and over all processes.
  void find_statistics_by_sums(const Tensor& x) {
    const int64_t C = x.size(-1);
    std::vector<double> sums =
        batch_parts().cut(x.size(0))
            ? sum_of_parts(
                  batch_parts().count,
                  [&](int64_t part) { return sums_of(part_of_batch(x, part)); },
                  [](std::vector<double>& sum, const std::vector<double>& more) {
                    std::ranges::transform(sum, more, sum.begin(), std::plus{});
                  })
            : sums_of(x);
    if (of_several()) {
      sum_over_processes(sums.data(), 2 * C + 1);
      rows_of_all = sums[2 * C];
    }
    Tensor means = Tensor::empty({C}, DType::f64), squares = Tensor::empty({C}, DType::f64);
    for (int64_t c = 0; c < C; ++c) {
      const double of_all = sums[c] / sums[2 * C];
      means.data<double>()[c] = of_all;
      squares.data<double>()[c] = std::max(0.0, sums[C + c] - of_all * sums[c]);
    }
    take_over(means, squares, sums[2 * C]);
  }

  void take_over(const Tensor& means, const Tensor& squares, double rows) {
    dispatch_floating(mean.memory.dtype(), "batch_norm", [&]<class T>() {
      const auto move = [&](Tensor& running, int64_t c, double value) {
        if (!running.defined()) return;
        T& r = running.data<T>()[c];
        r = static_cast<T>((1 - options.momentum) * r + options.momentum * value);
      };
      for (int64_t c = 0; c < means.numel(); ++c) {
        const double of_all = means.data<double>()[c], square = squares.data<double>()[c];
        mean.memory.data<T>()[c] = static_cast<T>(of_all);
        rstd.memory.data<T>()[c] = static_cast<T>(1 / std::sqrt(square / rows + options.eps));
        move(running_mean, c, of_all);
        move(running_var, c, square / (rows - 1));
      }
    });
    if (running_mean.defined()) running_mean.bump_version();
    if (running_var.defined()) running_var.bump_version();
  }

  Grads fused(const Saved& s, const Tensor& dy, Arrived& arrived) const {
    const Tensor &x = s.input(0), &gamma = s.input(1);
    Tensor dx = s.needs(0) ? Tensor::empty_like(x) : Tensor{};
    const bool passes_through = !options.relu;  // dresidual is dy itself
    Tensor dresidual = s.needs(3) && !passes_through ? Tensor::empty_like(x) : Tensor{};
    Tensor dgamma = Tensor::empty_like(gamma), dbeta = Tensor::empty_like(gamma);
    const Tensor added = s.needs(0) ? arrived.take(0) : Tensor{};
    DISPATCH(x.device(), batch_norm_backward, dx, dgamma, dbeta, dresidual, dy, added,
             tensors(x, gamma, s.input(2)));
    return {dx, dgamma, dbeta, s.needs(3) && passes_through ? dy : dresidual};
  }

  Grads composed(const Saved& s, const Tensor& dy) const {
    CHECK(rows_of_all == 0,
          "batch_norm: synchronised statistics have no second derivatives; take local ones");
    const DType wide = statistics_type(s.input(0));
    const Tensor x = cast(s.input(0), wide), gamma = s.input(1);
    const Tensor g = options.relu ? cast(dy, wide) * relu_slope(s) : cast(dy, wide);
    NormGradients grads;
    if (options.training) {
      grads = composed_norm_gradients(x, gamma, g, all_but_last(x), options.eps);
    } else {
      const Tensor xhat = (x - mean.memory) * rstd.memory;
      grads = {g * (gamma * rstd.memory), sum_to(g * xhat, gamma.shape()),
               sum_to(g, gamma.shape())};
    }
    const Tensor dresidual = s.needs(3) ? cast(g, s.edge(3).dtype) : Tensor{};
    return {cast(grads.dx, s.edge(0).dtype), grads.dgamma, grads.dbeta, dresidual};
  }

  // 1 where the relu passes, else 0. Constant almost everywhere, so the saved statistics may be
  // used.
  Tensor relu_slope(const Saved& s) const {
    NoGrad guard;
    const DType wide = statistics_type(s.input(0));
    Tensor y = (cast(s.input(0), wide) - mean.memory) * (s.input(1) * rstd.memory) + s.input(2);
    if (s.input(3).defined()) y = y + cast(s.input(3), wide);
    return sign(relu(y));
  }
};

void check_running(const char* which, const Tensor& running, const Tensor& x, bool training) {
  if (training && !running.defined()) return;
  check_norm_parameter("batch_norm", which, running, x);
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor running_mean,
                  Tensor running_var, const BatchNormOptions& options, const Tensor& residual) {
  CHECK(x.rank() >= 2 && is_floating(x.dtype()),
        "batch_norm: x must be floating point of rank 2 or more (..., C), it is ", x);
  check_norm_parameter("batch_norm", "gamma", gamma, x);
  check_norm_parameter("batch_norm", "beta", beta, x);
  check_running("running_mean", running_mean, x, options.training);
  check_running("running_var", running_var, x, options.training);
  CHECK(!options.synchronised || !x.device().is_cuda(),
        "batch_norm: statistics of several processes are found on the processor, x is ", x);
  CHECK(!options.training || x.shape().outer(-1) > 1,
        "batch_norm: training needs more than one value per channel, x is ", x,
        "; use a larger batch or evaluation mode");
  CHECK(!residual.defined() || (residual.shape() == x.shape() && residual.dtype() == x.dtype()),
        "batch_norm: the residual must be like x: x is ", x, ", the residual is ", residual);
  const bool recorded =
      recording() && (x.tracked() || gamma.tracked() || beta.tracked() || residual.tracked());
  return apply(BatchNorm{options, recorded, running_mean, running_var}, x, gamma, beta, residual);
}

}  // namespace passband
