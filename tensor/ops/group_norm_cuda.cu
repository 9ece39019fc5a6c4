// Group norm on the GPU: the column passes of batch norm on each sample (norm_columns.cuh says what
// bounds them), the channels of a group joined in f64.
#include "tensor/ops/group_norm_kernels.h"
#include "tensor/ops/norm_columns.cuh"

namespace passband::cuda {
namespace {

constexpr int kGroupThreads = 128;

// Mean and rstd of group blockIdx.x of (samples * groups) from the moments of its channels' chunks.
__global__ void __launch_bounds__(kGroupThreads)
    join_statistics_kernel(float* mean, float* rstd, const float* __restrict__ moments, int groups,
                           double eps, ColumnPass pass) {
  const int width = pass.columns / groups, sample = static_cast<int>(blockIdx.x) / groups;
  const float* own = moments + int64_t{sample} * pass.chunks * 2 * pass.columns +
                     static_cast<int>(blockIdx.x) % groups * width;
  // Deviations from the first channel's mean: little cancels in the sum of their squares.
  const double base = own[0];
  double sums[3] = {};
  for (int i = threadIdx.x; i < pass.chunks * width; i += kGroupThreads) {
    const int c = i / width, column = i % width;
    const double count = static_cast<double>(min(pass.rows, (c + 1) * pass.chunk) - c * pass.chunk);
    const double d = own[int64_t{2} * c * pass.columns + column] - base;
    sums[0] += count * d;
    sums[1] += count * d * d;
    sums[2] += own[(int64_t{2} * c + 1) * pass.columns + column];
  }
  for (double& sum : sums) sum = block_sum(sum);
  if (threadIdx.x > 0) return;
  const double n = static_cast<double>(pass.rows * width), excess = sums[0] / n;
  mean[blockIdx.x] = static_cast<float>(base + excess);
  rstd[blockIdx.x] =
      static_cast<float>(1 / sqrt((sums[2] + sums[1] - n * excess * excess) / n + eps));
}

// joined (samples, 2, columns): sums over the chunks of a sample; blocks of (32 columns, slices).
__global__ void __launch_bounds__(kJoinThreads)
    join_products_kernel(double* joined, const float* __restrict__ sums, ColumnPass pass) {
  const int column = static_cast<int>(blockIdx.y * 32 + threadIdx.x);
  const int64_t sample = blockIdx.x;
  double products[2];
  const float* own = sums + sample * pass.chunks * 2 * pass.columns;
  join_chunk_products(products, own, own + pass.columns, int64_t{2} * pass.columns, pass.chunks,
                      column, pass.columns);
  if (threadIdx.y > 0 || column >= pass.columns) return;
  for (int k = 0; k < 2; ++k) joined[(2 * sample + k) * pass.columns + column] = products[k];
}

// Slopes and offsets (samples, 2, columns) of dx for group blockIdx.x.
__global__ void __launch_bounds__(kGroupThreads)
    find_slopes_kernel(float* slopes, const double* __restrict__ joined, NormStatistics s,
                       ColumnPass pass) {
  const int sample = static_cast<int>(blockIdx.x) / s.groups;
  const int first = static_cast<int>(blockIdx.x) % s.groups * s.width;
  const double* own = joined + int64_t{sample} * 2 * pass.columns;
  const double rstd = s.rstd[blockIdx.x];
  double sums[2] = {};  // of gamma dy and gamma dy xhat
  for (int c = first + threadIdx.x; c < first + s.width; c += kGroupThreads) {
    sums[0] += s.gamma[c] * own[c];
    sums[1] += s.gamma[c] * own[pass.columns + c] * rstd;
  }
  for (double& sum : sums) sum = block_sum(sum);
  const double n = static_cast<double>(pass.rows * s.width);
  float* to = slopes + int64_t{sample} * 2 * pass.columns;
  for (int c = first + threadIdx.x; c < first + s.width; c += kGroupThreads) {
    to[c] = static_cast<float>(rstd * rstd * sums[1] / n);
    to[pass.columns + c] = static_cast<float>(rstd * sums[0] / n);
  }
}

// dgamma and dbeta: sums over the samples.
__global__ void __launch_bounds__(kJoinThreads)
    join_parameters_kernel(float* dgamma, float* dbeta, const double* __restrict__ joined,
                           NormStatistics s, ColumnPass pass) {
  const int column = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
  double sums[2] = {};
  for (int n = threadIdx.y; column < pass.columns && n < pass.samples; n += kJoinSlices) {
    const double* own = joined + int64_t{n} * 2 * pass.columns;
    sums[0] += own[column];
    sums[1] += own[pass.columns + column] * s.rstd[n * s.groups + column / s.width];
  }
  join_slices(sums);
  if (threadIdx.y > 0 || column >= pass.columns) return;
  dbeta[column] = static_cast<float>(sums[0]);
  dgamma[column] = static_cast<float>(sums[1]);
}

NormStatistics statistics_of(const Tensor& mean, const Tensor& rstd, const Tensor& gamma,
                             const float* beta) {
  const int groups = static_cast<int>(mean.size(1));
  return {.mean = mean.data<float>(),
          .rstd = rstd.data<float>(),
          .gamma = gamma.data<float>(),
          .beta = beta,
          .groups = groups,
          .width = static_cast<int>(gamma.numel()) / groups};
}

}  // namespace

void group_norm_forward(Tensor y, Tensor mean, Tensor rstd, const Tensor& x, const Tensor& gamma,
                        const Tensor& beta, double eps) {
  if (x.numel() == 0) return;
  dispatch_f32_bf16(x.dtype(), "group_norm", [&]<class T>() {
    const int64_t N = x.size(0), C = x.size(3);
    const ColumnPass pass(N, x.size(1) * x.size(2), C,
                          rows_are_packed(C, x.data<T>(), y.data<T>()));
    Tensor moments = Tensor::empty({N * pass.chunks, 2, C}, DType::f32, x.device());
    const StreamHandle stream = compute_stream();
    dispatch_packed(pass, [&]<bool packed>() {
      launch({.grid = pass.grid(), .block = pass.block(), .stream = stream},
             column_moments_kernel<T, packed, JoinedLater>, moments.data<float>(), x.data<T>(),
             pass, JoinedLater{});
    });
    launch({.grid = static_cast<unsigned>(mean.numel()), .block = kGroupThreads, .stream = stream},
           join_statistics_kernel, mean.data<float>(), rstd.data<float>(), moments.data<float>(),
           static_cast<int>(mean.size(1)), eps, pass);
    dispatch_packed(pass, [&]<bool packed>() {
      launch({.grid = pass.grid(), .block = pass.block(), .stream = stream},
             normalise_kernel<T, packed>, y.data<T>(), nullptr, x.data<T>(), nullptr,
             statistics_of(mean, rstd, gamma, beta.data<float>()), false, pass);
    });
  });
}

void group_norm_backward(NormGradients results, const Tensor& dy, const NormSaved& tensors) {
  const Tensor &x = tensors.x, &mean = tensors.mean, &rstd = tensors.rstd, &gamma = tensors.gamma;
  Tensor &dx = results.dx, &dgamma = results.dgamma, &dbeta = results.dbeta;
  dispatch_f32_bf16(x.dtype(), "group_norm", [&]<class T>() {
    const int64_t N = x.size(0), C = x.size(3);
    T* const dx_data = dx.defined() ? dx.data<T>() : nullptr;
    const ColumnPass pass(N, x.size(1) * x.size(2), C,
                          rows_are_packed(C, x.data<T>(), dy.data<T>(), dx_data));
    const NormStatistics s = statistics_of(mean, rstd, gamma, nullptr);
    Tensor sums = Tensor::empty({N * pass.chunks, 2, C}, DType::f32, x.device());
    Tensor joined = Tensor::empty({N, 2, C}, DType::f64, x.device());
    const StreamHandle stream = compute_stream();
    dispatch_packed(pass, [&]<bool packed>() {
      launch({.grid = pass.grid(), .block = pass.block(), .stream = stream},
             norm_products_kernel<Gate::open, packed, T, JoinedLater>, sums.data<float>(),
             dy.data<T>(), x.data<T>(), nullptr, s, pass, JoinedLater{});
    });
    launch({.grid = dim3(static_cast<unsigned>(N), join_blocks(pass.columns)),
            .block = join_block(),
            .stream = stream},
           join_products_kernel, joined.data<double>(), sums.data<float>(), pass);
    launch({.grid = join_blocks(pass.columns), .block = join_block(), .stream = stream},
           join_parameters_kernel, dgamma.data<float>(), dbeta.data<float>(), joined.data<double>(),
           s, pass);
    if (!dx_data) return;
    Tensor slopes = Tensor::empty({N, 2, C}, DType::f32, x.device());
    launch({.grid = static_cast<unsigned>(mean.numel()), .block = kGroupThreads, .stream = stream},
           find_slopes_kernel, slopes.data<float>(), joined.data<double>(), s, pass);
    dispatch_packed(pass, [&]<bool packed>() {
      launch({.grid = pass.grid(), .block = pass.block(), .stream = stream},
             norm_gradient_kernel<Gate::open, packed, T>, dx_data, nullptr, nullptr, dy.data<T>(),
             x.data<T>(), nullptr, slopes.data<float>(), s, pass);
    });
  });
}

}  // namespace passband::cuda
