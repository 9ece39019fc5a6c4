// Batch norm on the GPU: statistics and result forward, sums and result backward, relu and residual
// inside. What bounds these kernels, and why the passes walk as they do: norm_columns.cuh.
#include "tensor/ops/batch_norm_kernels.h"
#include "tensor/ops/norm_columns.cuh"

namespace passband::cuda {
namespace {

struct RunningStatistics {
  float *mean = nullptr, *var = nullptr;  // null: not kept
  double momentum = 0;
};

__global__ void __launch_bounds__(kJoinThreads)
    join_statistics_kernel(float* mean, float* rstd, RunningStatistics running,
                           const float* __restrict__ moments, double eps, ColumnPass pass) {
  const int column = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
  const bool active = column < pass.columns;
  double centre, squares;
  join_chunk_moments(centre, squares, moments, 0, column, active, pass);
  if (threadIdx.y > 0 || !active) return;
  const double n = static_cast<double>(pass.rows), keep = 1 - running.momentum;
  mean[column] = static_cast<float>(centre);
  rstd[column] = static_cast<float>(1 / sqrt(squares / n + eps));
  if (running.mean)
    running.mean[column] =
        static_cast<float>(keep * running.mean[column] + running.momentum * centre);
  if (running.var)
    running.var[column] =
        static_cast<float>(keep * running.var[column] + running.momentum * (squares / (n - 1)));
}

// dgamma, dbeta, and the slopes and offsets of dx (zero when the statistics were constants).
__global__ void __launch_bounds__(kJoinThreads)
    join_gradients_kernel(float* dgamma, float* dbeta, float* slopes,
                          const float* __restrict__ sums, NormStatistics s, bool training,
                          ColumnPass pass) {
  const int column = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
  double products[2];
  join_chunk_products(products, sums, sums + pass.columns, int64_t{2} * pass.columns, pass.chunks,
                      column, pass.columns);
  if (threadIdx.y > 0 || column >= pass.columns) return;
  const double rstd = s.rstd[column], scale = s.gamma[column] * rstd;
  const double n = static_cast<double>(pass.rows), product = products[1] * rstd;
  dbeta[column] = static_cast<float>(products[0]);
  dgamma[column] = static_cast<float>(product);
  slopes[column] = training ? static_cast<float>(scale * rstd * product / n) : 0.0f;
  slopes[pass.columns + column] = training ? static_cast<float>(scale * products[0] / n) : 0.0f;
}

NormStatistics statistics_of(const BatchNormTensors& t) {
  return {.mean = t.mean.data<float>(),
          .rstd = t.rstd.data<float>(),
          .gamma = t.gamma.data<float>(),
          .beta = t.beta.data<float>(),
          .groups = 0,  // one sample
          .width = 1};
}

Tensor scratch(const ColumnPass& pass, const Tensor& x) {
  return Tensor::empty({pass.chunks, 2, pass.columns}, DType::f32, x.device());
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
  Tensor sums = scratch(pass, dy);
  Tensor slopes = Tensor::empty({2, C}, DType::f32, dy.device());
  dispatch_packed(pass, [&]<bool packed>() {
    launch({.grid = pass.grid(), .block = pass.block(), .stream = stream},
           norm_products_kernel<gate, packed, T>, sums.data<float>(), g, x, bits, statistics_of(t),
           pass);
  });
  launch({.grid = join_blocks(pass.columns), .block = join_block(), .stream = stream},
         join_gradients_kernel, dgamma.data<float>(), dbeta.data<float>(), slopes.data<float>(),
         sums.data<float>(), statistics_of(t), t.training, pass);
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
    Tensor moments = scratch(pass, x);
    const StreamHandle stream = compute_stream();
    dispatch_packed(pass, [&]<bool packed>() {
      launch({.grid = pass.grid(), .block = pass.block(), .stream = stream},
             column_moments_kernel<T, packed>, moments.data<float>(), x.data<T>(), pass);
    });
    const RunningStatistics running{running_mean.data_or_null<float>(),
                                    running_var.data_or_null<float>(), momentum};
    launch({.grid = join_blocks(pass.columns), .block = join_block(), .stream = stream},
           join_statistics_kernel, mean.data<float>(), rstd.data<float>(), running,
           moments.data<float>(), eps, pass);
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
