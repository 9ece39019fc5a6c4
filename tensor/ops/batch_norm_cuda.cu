// Batch norm on the GPU: statistics and result forward, sums and result backward, a launch each,
// relu and residual inside. What bounds these kernels, and why the passes walk as they do:
// norm_columns.cuh, batch_norm_join.cuh.
#include "tensor/ops/batch_norm_join.cuh"
#include "tensor/ops/batch_norm_kernels.h"

namespace passband::cuda {
namespace {

struct RunningStatistics {
  float *mean = nullptr, *var = nullptr;  // null: not kept
  double momentum = 0;
};

// What makes mean and rstd of the moments of all chunks.
struct JoinStatistics {
  float *mean, *rstd;
  RunningStatistics running;
  double eps;
  ColumnGroups groups;

  __device__ void operator()(float* moments, const ColumnPass& pass) const {
    join_columns<JoinMoments>(moments, groups, pass, [&](int column, const double(&joined)[2]) {
      const double centre = joined[0], squares = joined[1];
      const double n = static_cast<double>(pass.rows), keep = 1 - running.momentum;
      mean[column] = static_cast<float>(centre);
      rstd[column] = static_cast<float>(1 / sqrt(squares / n + eps));
      if (running.mean)
        running.mean[column] =
            static_cast<float>(keep * running.mean[column] + running.momentum * centre);
      if (running.var)
        running.var[column] =
            static_cast<float>(keep * running.var[column] + running.momentum * (squares / (n - 1)));
    });
  }
};

// dgamma, dbeta, and the slopes and offsets of dx (zero when the statistics were constants).
struct JoinGradients {
  float *dgamma, *dbeta, *slopes;
  NormStatistics statistics;
  bool training;
  ColumnGroups groups;

  __device__ void operator()(float* sums, const ColumnPass& pass) const {
    join_columns<JoinProducts>(sums, groups, pass, [&](int column, const double(&joined)[2]) {
      const double rstd = statistics.rstd[column], scale = statistics.gamma[column] * rstd;
      const double n = static_cast<double>(pass.rows), product = joined[1] * rstd;
      dbeta[column] = static_cast<float>(joined[0]);
      dgamma[column] = static_cast<float>(product);
      slopes[column] = training ? static_cast<float>(scale * rstd * product / n) : 0.0f;
      slopes[pass.columns + column] = training ? static_cast<float>(scale * joined[0] / n) : 0.0f;
    });
  }
};

NormStatistics statistics_of(const BatchNormTensors& t) {
  return {.mean = t.mean.data<float>(),
          .rstd = t.rstd.data<float>(),
          .gamma = t.gamma.data<float>(),
          .beta = t.beta.data<float>(),
          .groups = 0,  // one sample
          .width = 1};
}

template <Gate gate, class T> void backward(Tensor dx, Tensor dgamma, Tensor dbeta,
                                            Tensor dresidual, const Tensor& dy, const Tensor& added,
                                            const BatchNormTensors& t) {
  T *const dx_data = dx.data_or_null<T>(), *const dresidual_data = dresidual.data_or_null<T>();
  const T *const x = t.x.data<T>(), *const g = dy.data<T>(), *const more = added.data_or_null<T>();
  const uint8_t* bits = t.relu_bits.data_or_null<uint8_t>();
  const int64_t C = dy.size(-1);
  const ColumnPass pass(1, dy.shape().outer(-1), C,
                        rows_are_packed(C, x, g, more, dx_data, dresidual_data));
  const StreamHandle stream = compute_stream();
  const ColumnGroups groups(pass);
  Tensor sums = groups.scratch(pass, dy), slopes = Tensor::empty({2, C}, DType::f32, dy.device());
  const JoinGradients join{dgamma.data<float>(), dbeta.data<float>(), slopes.data<float>(),
                           statistics_of(t),     t.training,          groups};
  dispatch_packed(pass, [&]<bool packed>() {
    launch({.grid = pass.grid(), .block = pass.block(), .stream = stream},
           norm_products_kernel<gate, packed, T, JoinGradients>, sums.data<float>(), g, x, bits,
           statistics_of(t), pass, join);
  });
  if (!dx.defined() && !dresidual.defined()) return;
  dispatch_packed(pass, [&]<bool packed>() {
    launch({.grid = pass.grid(), .block = pass.block(), .stream = stream},
           norm_gradient_kernel<gate, packed, T>, dx_data, dresidual_data, more, g, x, bits,
           slopes.data<float>(), statistics_of(t), pass);
  });
}

}  // namespace

void batch_norm_statistics(Tensor mean, Tensor rstd, Tensor running_mean, Tensor running_var,
                           const Tensor& x, double momentum, double eps) {
  dispatch_f32_bf16(x.dtype(), "batch_norm", [&]<class T>() {
    const int64_t C = x.size(-1);
    const ColumnPass pass(1, x.shape().outer(-1), C, rows_are_packed(C, x.data<T>()));
    const ColumnGroups groups(pass);
    Tensor moments = groups.scratch(pass, x);
    const RunningStatistics running{running_mean.data_or_null<float>(),
                                    running_var.data_or_null<float>(), momentum};
    const JoinStatistics join{mean.data<float>(), rstd.data<float>(), running, eps, groups};
    dispatch_packed(pass, [&]<bool packed>() {
      launch({.grid = pass.grid(), .block = pass.block(), .stream = compute_stream()},
             column_moments_kernel<T, packed, JoinStatistics>, moments.data<float>(), x.data<T>(),
             pass, join);
    });
  });
}

void batch_norm_allocate_bits(Tensor& relu_bits, const Tensor& x) {
  const int64_t words = x.shape().outer(-1) * wide_groups(x.size(-1));
  relu_bits = Tensor::empty({words}, DType::u8, x.device());
}

void batch_norm_forward(Tensor y, Tensor relu_bits, const BatchNormTensors& t,
                        const Tensor& residual) {
  dispatch_f32_bf16(y.dtype(), "batch_norm", [&]<class T>() {
    const int64_t C = y.size(-1);
    const T* added = residual.data_or_null<T>();
    const ColumnPass pass(1, y.shape().outer(-1), C,
                          rows_are_packed(C, y.data<T>(), t.x.data<T>(), added));
    dispatch_packed(pass, [&]<bool packed>() {
      launch({.grid = pass.grid(), .block = pass.block(), .stream = compute_stream()},
             normalise_kernel<T, packed>, y.data<T>(), relu_bits.data_or_null<uint8_t>(),
             t.x.data<T>(), added, statistics_of(t), t.relu, pass);
    });
  });
}

void batch_norm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dresidual, const Tensor& dy,
                         const Tensor& added, const BatchNormTensors& t) {
  dispatch_f32_bf16(dy.dtype(), "batch_norm", [&]<class T>() {
    if (!t.relu) return backward<Gate::open, T>(dx, dgamma, dbeta, dresidual, dy, added, t);
    if (t.relu_bits.defined())
      return backward<Gate::bits, T>(dx, dgamma, dbeta, dresidual, dy, added, t);
    backward<Gate::sign, T>(dx, dgamma, dbeta, dresidual, dy, added, t);
  });
}

}  // namespace passband::cuda
