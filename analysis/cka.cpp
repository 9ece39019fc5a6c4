#include "analysis/cka.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

double mean_square(const Tensor& x) {
  return sum(square(x)).item() / static_cast<double>(x.numel());
}

// k_ij -= m_i + m_j
void subtract_additive(double* k, int64_t n, const std::vector<double>& m) {
#pragma omp parallel for
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      k[i * n + j] -= m[static_cast<size_t>(i)] + m[static_cast<size_t>(j)];
}

// Zeroes the diagonal and removes additive row and column terms, so that rows sum to zero without
// it.
void u_centre(double* k, int64_t n) {
  const double count = static_cast<double>(n);
  std::vector<double> mean(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    k[i * n + i] = 0;
    mean[static_cast<size_t>(i)] = std::accumulate(k + i * n, k + (i + 1) * n, 0.0) / (count - 2);
  }
  const double total = std::accumulate(mean.begin(), mean.end(), 0.0) / (2 * (count - 1));
  for (double& value : mean) value -= total;
  subtract_additive(k, n, mean);
  for (int64_t i = 0; i < n; ++i) k[i * n + i] = 0;
}

// H K H with H = I - 11^T / n.
void double_centre(double* k, int64_t n) {
  const double count = static_cast<double>(n);
  std::vector<double> mean(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i)
    mean[static_cast<size_t>(i)] = std::accumulate(k + i * n, k + (i + 1) * n, 0.0) / count;
  const double total = std::accumulate(mean.begin(), mean.end(), 0.0) / (2 * count);
  for (double& value : mean) value -= total;
  subtract_additive(k, n, mean);
}

double median(std::vector<double> values) {
  const size_t half = values.size() / 2;
  std::ranges::nth_element(values, values.begin() + static_cast<int64_t>(half));
  if (values.size() % 2 == 1) return values[half];
  const double below =
      *std::max_element(values.begin(), values.begin() + static_cast<int64_t>(half));
  return 0.5 * (below + values[half]);
}

double width_squared(const double* distances, int64_t n, double fraction, RbfWidth width) {
  std::vector<double> chosen;
  if (width == RbfWidth::kornblith) {
    chosen.assign(distances, distances + n * n);
    return fraction * fraction * median(std::move(chosen));
  }
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i + 1; j < n; ++j) chosen.push_back(std::sqrt(distances[i * n + j]));
  const double sigma = fraction * median(std::move(chosen));
  return sigma * sigma;
}

}  // namespace

Tensor linear_kernel(const Tensor& features, bool& dead) {
  NoGrad no_grad;
  const int64_t n = features.size(0);
  CHECK(n >= 4, "cka: needs at least 4 pictures a batch, got ", n);
  const Tensor x = reshape(features, Shape{n, features.numel() / n});
  const Tensor centred = sub(x, mean(x, {0}, /*keepdim=*/true));
  dead = mean_square(centred) <= 1e-12 * mean_square(x);
  return cast(matmul(centred, centred, {.transpose_b = true}), DType::f64);
}

Tensor rbf_kernel(const Tensor& linear, double fraction, RbfWidth width) {
  CHECK(fraction > 0, "cka: the width of a radial kernel is positive, got ", fraction);
  const int64_t n = linear.size(0);
  const double* gram = linear.data<double>();
  Tensor result = Tensor::empty({n, n}, DType::f64);
  double* k = result.data<double>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      k[i * n + j] =
          i == j ? 0 : std::max(0.0, gram[i * n + i] + gram[j * n + j] - 2 * gram[i * n + j]);
  const double sigma2 = width_squared(k, n, fraction, width);
#pragma omp parallel for
  for (int64_t i = 0; i < n * n; ++i) k[i] = sigma2 > 0 ? std::exp(-k[i] / (2 * sigma2)) : 1.0;
  return result;
}

Tensor centred_kernel(const Tensor& kernel, HsicEstimator estimator) {
  NoGrad no_grad;
  const int64_t n = kernel.size(0);
  CHECK(n >= 4 && kernel.size(1) == n, "cka: a kernel is (n, n) with n >= 4, not ", kernel);
  Tensor result = Tensor::empty({n * n}, DType::f64);
  std::copy_n(kernel.data<double>(), n * n, result.data<double>());
  if (estimator == HsicEstimator::unbiased)
    u_centre(result.data<double>(), n);
  else
    double_centre(result.data<double>(), n);
  return result;
}

Tensor u_centred_gram(const Tensor& features, bool& dead) {
  return centred_kernel(linear_kernel(features, dead), HsicEstimator::unbiased);
}

MinibatchCka::MinibatchCka(int64_t rows, int64_t columns, HsicEstimator estimator)
    : rows_(rows),
      columns_(columns),
      estimator_(estimator),
      cross_(static_cast<size_t>(rows * columns)),
      row_self_(static_cast<size_t>(rows)),
      column_self_(static_cast<size_t>(columns)) {}

void MinibatchCka::add(const Tensor& rows, const Tensor& columns) {
  NoGrad no_grad;
  CHECK(rows.size(0) == rows_ && columns.size(0) == columns_ && rows.size(1) == columns.size(1),
        "cka: the batch holds ", rows, " and ", columns, " for ", rows_, " and ", columns_,
        " layers");
  const double n = std::sqrt(static_cast<double>(rows.size(1)));
  const double scale =
      estimator_ == HsicEstimator::unbiased ? 1 / (n * (n - 3)) : 1 / ((n - 1) * (n - 1));
  const std::vector<double> products = matmul(rows, columns, {.transpose_b = true}).values();
  for (size_t i = 0; i < cross_.size(); ++i) cross_[i] += scale * products[i];
  const auto add_norms = [&](const Tensor& kernels, std::vector<double>& sums) {
    const std::vector<double> norms = sum(square(kernels), {1}).values();
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += scale * norms[i];
  };
  add_norms(rows, row_self_);
  add_norms(columns, column_self_);
  batches_ += 1;
}

std::vector<double> MinibatchCka::matrix() const {
  std::vector<double> result(cross_.size());
  for (int64_t i = 0; i < rows_; ++i) {
    for (int64_t j = 0; j < columns_; ++j) {
      const double self = row_self_[static_cast<size_t>(i)] * column_self_[static_cast<size_t>(j)];
      const auto at = static_cast<size_t>(i * columns_ + j);
      result[at] =
          self > 0 ? cross_[at] / std::sqrt(self) : std::numeric_limits<double>::quiet_NaN();
    }
  }
  return result;
}

std::vector<double> MinibatchCka::hsic() const {
  std::vector<double> result = cross_;
  for (double& value : result) value /= batches_;
  return result;
}

}  // namespace passband
