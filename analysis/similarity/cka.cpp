#include "analysis/similarity/cka.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/autograd/node.h"
#include "tensor/ops/centre.h"
#include "tensor/ops/gather.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/vecdot.h"

namespace passband {
namespace {

Tensor squared_length(const Tensor& x) {
  const Tensor flat = reshape(x, Shape{x.numel()});
  return vecdot(flat, flat);
}

Tensor diagonal(const Tensor& matrix) {
  const int64_t n = matrix.size(0);
  std::vector<double> places;
  for (int64_t i = 0; i < n; ++i) places.push_back(static_cast<double>(i * (n + 1)));
  return gather(reshape(matrix, Shape{n * n}),
                Tensor::from(places, {n}, DType::i32, matrix.device()));
}

double median(std::vector<double> values) {
  const size_t half = values.size() / 2;
  std::ranges::nth_element(values, values.begin() + static_cast<int64_t>(half));
  if (values.size() % 2 == 1) return values[half];
  const double below =
      *std::max_element(values.begin(), values.begin() + static_cast<int64_t>(half));
  return 0.5 * (below + values[half]);
}

double width_squared(const std::vector<double>& distances, int64_t n, double fraction,
                     RbfWidth width) {
  if (width == RbfWidth::kornblith) return fraction * fraction * median(distances);
  std::vector<double> chosen;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i + 1; j < n; ++j)
      chosen.push_back(std::sqrt(distances[static_cast<size_t>(i * n + j)]));
  const double sigma = fraction * median(std::move(chosen));
  return sigma * sigma;
}

}  // namespace

Tensor linear_kernels(const Tensor& features) {
  NoGrad no_grad;
  CHECK(features.rank() == 3 && features.size(1) >= 4,
        "cka: needs at least 4 pictures a batch, got ", features);
  const Tensor centred = sub(features, mean(features, {1}, /*keepdim=*/true));
  return cast(matmul(centred, centred, {.transpose_b = true}), DType::f64);
}

Tensor linear_kernel(const Tensor& features, bool& dead) {
  NoGrad no_grad;
  const int64_t n = features.size(0);
  CHECK(n >= 4, "cka: needs at least 4 pictures a batch, got ", n);
  const Tensor x = reshape(features, Shape{n, features.numel() / n});
  const Tensor centred = sub(x, mean(x, {0}, /*keepdim=*/true));
  dead = (squared_length(centred) - squared_length(x) * 1e-12).item() <= 0;
  return cast(matmul(centred, centred, {.transpose_b = true}), DType::f64);
}

Tensor rbf_kernel(const Tensor& linear, double fraction, RbfWidth width) {
  NoGrad no_grad;
  CHECK(fraction > 0, "cka: the width of a radial kernel is positive, got ", fraction);
  const int64_t n = linear.size(0);
  const Tensor lengths = diagonal(linear);  // |x_i|^2
  const Tensor distances =
      relu(reshape(lengths, Shape{n, 1}) + reshape(lengths, Shape{1, n}) - linear * 2.0);
  const double sigma2 = width_squared(distances.values(), n, fraction, width);
  return sigma2 > 0 ? exp(distances * (-0.5 / sigma2))
                    : Tensor::full({n, n}, 1.0, DType::f64, linear.device());
}

Tensor centred_kernels(const Tensor& kernels, HsicEstimator estimator) {
  NoGrad no_grad;
  const int64_t n = kernels.size(-1);
  CHECK(n >= 4 && kernels.size(-2) == n, "cka: a kernel is (n, n) with n >= 4, not ", kernels);
  const Tensor centred =
      estimator == HsicEstimator::unbiased ? u_centre(kernels) : double_centre(kernels);
  return reshape(centred, Shape{kernels.numel() / (n * n), n * n});
}

Tensor u_centred_gram(const Tensor& features, bool& dead) {
  return centred_kernels(linear_kernel(features, dead), HsicEstimator::unbiased);
}

MinibatchCka::MinibatchCka(int64_t rows, int64_t columns, HsicEstimator estimator)
    : rows_(rows), columns_(columns), estimator_(estimator) {}

void MinibatchCka::add(const Tensor& rows, const Tensor& columns) {
  NoGrad no_grad;
  CHECK(rows.size(0) == rows_ && columns.size(0) == columns_ && rows.size(1) == columns.size(1),
        "cka: the batch holds ", rows, " and ", columns, " for ", rows_, " and ", columns_,
        " layers");
  const double n = std::sqrt(static_cast<double>(rows.size(1)));
  const double scale =
      estimator_ == HsicEstimator::unbiased ? 1 / (n * (n - 3)) : 1 / ((n - 1) * (n - 1));
  if (batches_ == 0) {
    const auto zeros = [&](const Shape& shape) {
      return Tensor::zeros(shape, DType::f64, rows.device());
    };
    cross_ = zeros({rows_, columns_});
    row_self_ = zeros({rows_});
    column_self_ = zeros({columns_});
  }
  add_scaled_(cross_, matmul(rows, columns, {.transpose_b = true}), scale);
  add_scaled_(row_self_, vecdot(rows, rows), scale);
  add_scaled_(column_self_, vecdot(columns, columns), scale);
  batches_ += 1;
}

void MinibatchCka::add(const MinibatchCka& more, double factor) {
  NoGrad no_grad;
  if (more.batches_ == 0) return;
  const auto joined = [&](const Tensor& own, const Tensor& other) {
    return own.defined() ? own + other * factor : other * factor;
  };
  cross_ = joined(cross_, more.cross_);
  row_self_ = joined(row_self_, more.row_self_);
  column_self_ = joined(column_self_, more.column_self_);
  batches_ += factor > 0 ? more.batches_ : -more.batches_;
}

void MinibatchCka::join(const OwnPart& part) {
  part.join(cross_);
  part.join(row_self_);
  part.join(column_self_);
  part.join(batches_);
}

std::vector<double> MinibatchCka::numbers() const {
  std::vector<double> result{static_cast<double>(batches_)};
  for (const Tensor* sums : {&cross_, &row_self_, &column_self_}) {
    const std::vector<double> values = sums->values();
    result.insert(result.end(), values.begin(), values.end());
  }
  return result;
}

void MinibatchCka::take(const std::vector<double>& numbers) {
  size_t at = 0;
  batches_ = static_cast<int64_t>(numbers[at++]);
  for (Tensor* sums : {&cross_, &row_self_, &column_self_}) {
    const auto first = numbers.begin() + static_cast<int64_t>(at);
    *sums = Tensor::from(std::vector<double>(first, first + sums->numel()), sums->shape(),
                         DType::f64, sums->device());
    at += static_cast<size_t>(sums->numel());
  }
}

std::vector<double> MinibatchCka::matrix() const {
  const auto cells = static_cast<size_t>(rows_ * columns_);
  std::vector<double> result(cells, std::numeric_limits<double>::quiet_NaN());
  if (batches_ == 0) return result;
  const std::vector<double> cross = cross_.values(), row_self = row_self_.values(),
                            column_self = column_self_.values();
  for (size_t at = 0; at < cells; ++at) {
    const double self = row_self[at / column_self.size()] * column_self[at % column_self.size()];
    if (self > 0) result[at] = cross[at] / std::sqrt(self);
  }
  return result;
}

std::vector<double> MinibatchCka::hsic_sum() const {
  return batches_ == 0 ? std::vector<double>(static_cast<size_t>(rows_ * columns_))
                       : cross_.values();
}

std::vector<double> MinibatchCka::hsic() const {
  std::vector<double> result = hsic_sum();
  for (double& value : result) value /= static_cast<double>(batches_);
  return result;
}

}  // namespace passband
