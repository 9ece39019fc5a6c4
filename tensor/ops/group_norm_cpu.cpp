// Group norm on the CPU: the column passes of batch norm on each sample, the channels of a group
// joined in f64.
#include <cmath>

#include "tensor/ops/group_norm_kernels.h"
#include "tensor/ops/norm_columns.h"

LEVEL_BEGIN
namespace {

// Mean and rstd of each channel of each sample (those of its group), as the column passes want
// them: (N, C).
template <class A> struct ChannelStatistics {
  std::vector<A> mean, scale;

  ChannelStatistics(const Tensor& group_mean, const Tensor& group_rstd, const Tensor& gamma) {
    const int64_t N = group_mean.size(0), G = group_mean.size(1), C = gamma.numel();
    mean.resize(static_cast<size_t>(N * C));
    scale.resize(static_cast<size_t>(N * C));
    for (int64_t i = 0; i < N * C; ++i) {
      const int64_t group = i / C * G + i % C / (C / G);
      mean[i] = group_mean.data<A>()[group];
      scale[i] = group_rstd.data<A>()[group] * gamma.data<A>()[i % C];
    }
  }
};

RowBlocks blocks_of(const Tensor& x) { return {x.size(0), x.size(1) * x.size(2), x.size(3)}; }

// Mean and rstd of the groups of sample n from the moments of its channels.
template <class A> void join_groups(Tensor mean, Tensor rstd, int64_t n, const double* means,
                                    const double* squares, int64_t rows, int64_t channels,
                                    double eps) {
  const int64_t G = mean.size(1), width = channels / G;
  for (int64_t g = 0; g < G; ++g) {
    double centre = 0, sum = 0;
    for (int64_t c = g * width; c < (g + 1) * width; ++c)
      centre += means[c] / static_cast<double>(width);
    for (int64_t c = g * width; c < (g + 1) * width; ++c)
      sum += squares[c] + static_cast<double>(rows) * (means[c] - centre) * (means[c] - centre);
    mean.data<A>()[n * G + g] = static_cast<A>(centre);
    rstd.data<A>()[n * G + g] =
        static_cast<A>(1 / std::sqrt(sum / static_cast<double>(rows * width) + eps));
  }
}

// dgamma and dbeta, and the slopes and offsets (N, C) of dx = scale * dy - slope * (x - mean) -
// offset, from the sums (N, 2, C) of dy and dy * (x - mean).
template <class A> void join_products(Tensor dgamma, Tensor dbeta, std::vector<A>& slope,
                                      std::vector<A>& offset, const std::vector<double>& sums,
                                      const Tensor& rstd, const Tensor& gamma, int64_t rows) {
  const int64_t N = rstd.size(0), G = rstd.size(1), C = gamma.numel(), width = C / G;
  const double count = static_cast<double>(rows * width);
  const int64_t parts = batch_parts_of(N);
  std::vector<double> all(static_cast<size_t>(parts * 2 * C), 0.0);
  for (int64_t n = 0; n < N; ++n) {
    double* const products = all.data() + n / (N / parts) * 2 * C;
    for (int64_t g = 0; g < G; ++g) {
      const double r = rstd.data<A>()[n * G + g];
      double g_sum = 0, gx_sum = 0;  // of gamma * dy and gamma * dy * xhat
      for (int64_t c = g * width; c < (g + 1) * width; ++c) {
        const double dy = sums[2 * n * C + c], dyx = sums[(2 * n + 1) * C + c] * r;
        products[c] += dyx;
        products[C + c] += dy;
        g_sum += gamma.data<A>()[c] * dy;
        gx_sum += gamma.data<A>()[c] * dyx;
      }
      std::fill_n(slope.begin() + n * C + g * width, width, static_cast<A>(r * r * gx_sum / count));
      std::fill_n(offset.begin() + n * C + g * width, width, static_cast<A>(r * g_sum / count));
    }
  }
  const std::vector<A> joined =
      join_batch<A>(parts, 2 * C, [&](int64_t part, int64_t i) { return all[part * 2 * C + i]; });
  std::copy_n(joined.begin(), C, dgamma.data<A>());
  std::copy_n(joined.begin() + C, C, dbeta.data<A>());
}

}  // namespace

void group_norm_forward(Tensor y, Tensor mean, Tensor rstd, const Tensor& x, const Tensor& gamma,
                        const Tensor& beta, double eps) {
  dispatch_floating(x.dtype(), "group_norm", [&]<class T>() {
    using A = Accumulate<T>;
    const RowBlocks blocks = blocks_of(x);
    const int64_t C = blocks.columns;
    std::vector<A> moments(static_cast<size_t>(2 * C * blocks.count()));
    blocks.each([&](int64_t b, int64_t row, int64_t rows) {
      A* own = moments.data() + 2 * b * C;
      block_moments(own, own + C, x.data<T>() + row * C, rows, C);
    });
    parallel_for(
        blocks.samples, grain_for(2 * C * blocks.per_sample), [&](int64_t begin, int64_t end) {
          std::vector<double> means(static_cast<size_t>(C)), squares(static_cast<size_t>(C));
          for (int64_t n = begin; n < end; ++n) {
            const A* own = moments.data() + n * blocks.per_sample * 2 * C;
            join_moments(means.data(), squares.data(), own, blocks.rows, blocks.block, C, 0, C);
            join_groups<A>(mean, rstd, n, means.data(), squares.data(), blocks.rows, C, eps);
          }
        });
    const ChannelStatistics<A> s(mean, rstd, gamma);
    blocks.each_again([&](int64_t b, int64_t row, int64_t rows) {
      const int64_t own = b / blocks.per_sample * C;
      const NormBlock<T> block{.x = x.data<T>() + row * C,
                               .mean = s.mean.data() + own,
                               .scale = s.scale.data() + own,
                               .beta = beta.data<A>(),
                               .rows = rows,
                               .columns = C};
      normalise_block<false, T>(y.data<T>() + row * C, block, nullptr);
    });
  });
}

void group_norm_backward(NormGradients results, const Tensor& dy, const NormSaved& tensors) {
  const Tensor &x = tensors.x, &mean = tensors.mean, &rstd = tensors.rstd, &gamma = tensors.gamma;
  Tensor &dx = results.dx, &dgamma = results.dgamma, &dbeta = results.dbeta;
  dispatch_floating(x.dtype(), "group_norm", [&]<class T>() {
    using A = Accumulate<T>;
    const RowBlocks blocks = blocks_of(x);
    const int64_t C = blocks.columns;
    const ChannelStatistics<A> s(mean, rstd, gamma);
    const auto block_of = [&](int64_t b, int64_t row, int64_t rows) {
      const int64_t own = b / blocks.per_sample * C;
      return NormBlock<T>{.x = x.data<T>() + row * C,
                          .dy = dy.data<T>() + row * C,
                          .mean = s.mean.data() + own,
                          .scale = s.scale.data() + own,
                          .rows = rows,
                          .columns = C};
    };
    std::vector<A> sums(static_cast<size_t>(2 * C * blocks.count()));
    blocks.each([&](int64_t b, int64_t row, int64_t rows) {
      block_products<Gate::open, T>(sums.data() + 2 * b * C, block_of(b, row, rows));
    });
    std::vector<A> slope(s.mean.size()), offset(s.mean.size());
    join_products(dgamma, dbeta, slope, offset, blocks.joined(sums, 2 * C), rstd, gamma,
                  blocks.rows);
    if (!dx.defined()) return;
    blocks.each_again([&](int64_t b, int64_t row, int64_t rows) {
      const int64_t own = b / blocks.per_sample * C;
      gradient_block<Gate::open, T>(dx.data<T>() + row * C, nullptr, nullptr,
                                    block_of(b, row, rows), slope.data() + own,
                                    offset.data() + own);
    });
  });
}

LEVEL_END
