#include "analysis/cka.h"

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

// Zeroes the diagonal and removes additive row and column terms.
void u_centre(double* k, int64_t n) {
  const double count = static_cast<double>(n);
  std::vector<double> mean(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    k[i * n + i] = 0;
    mean[static_cast<size_t>(i)] = std::accumulate(k + i * n, k + (i + 1) * n, 0.0) / (count - 2);
  }
  const double total = std::accumulate(mean.begin(), mean.end(), 0.0) / (2 * (count - 1));
  for (double& value : mean) value -= total;
#pragma omp parallel for
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) k[i * n + j] -= mean[static_cast<size_t>(i)] + mean[static_cast<size_t>(j)];
    k[i * n + i] = 0;
  }
}

}  // namespace

Tensor u_centred_gram(const Tensor& features, bool& dead) {
  NoGrad no_grad;
  const int64_t n = features.size(0);
  CHECK(n >= 4, "cka: needs at least 4 pictures a batch, got ", n);
  const Tensor x = reshape(features, Shape{n, features.numel() / n});
  const Tensor centred = sub(x, mean(x, {0}, /*keepdim=*/true));
  dead = mean_square(centred) <= 1e-12 * mean_square(x);
  Tensor gram = cast(matmul(centred, centred, {.transpose_b = true}), DType::f64);
  u_centre(gram.data<double>(), n);
  return reshape(gram, Shape{n * n});
}

MinibatchCka::MinibatchCka(int64_t rows, int64_t columns)
    : rows_(rows), columns_(columns), cross_(static_cast<size_t>(rows * columns)), row_self_(static_cast<size_t>(rows)),
      column_self_(static_cast<size_t>(columns)) {}

void MinibatchCka::add(const Tensor& rows, const Tensor& columns) {
  NoGrad no_grad;
  CHECK(rows.size(0) == rows_ && columns.size(0) == columns_ && rows.size(1) == columns.size(1),
        "cka: the batch holds ", rows, " and ", columns, " for ", rows_, " and ", columns_, " layers");
  const std::vector<double> products = matmul(rows, columns, {.transpose_b = true}).values();
  for (size_t i = 0; i < cross_.size(); ++i) cross_[i] += products[i];
  const auto add_norms = [](const Tensor& grams, std::vector<double>& sums) {
    const std::vector<double> norms = sum(square(grams), {1}).values();
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += norms[i];
  };
  add_norms(rows, row_self_);
  add_norms(columns, column_self_);
}

std::vector<double> MinibatchCka::matrix() const {
  std::vector<double> result(cross_.size());
  for (int64_t i = 0; i < rows_; ++i) {
    for (int64_t j = 0; j < columns_; ++j) {
      const double scale = std::sqrt(row_self_[static_cast<size_t>(i)] * column_self_[static_cast<size_t>(j)]);
      const auto at = static_cast<size_t>(i * columns_ + j);
      result[at] = scale > 0 ? cross_[at] / scale : std::numeric_limits<double>::quiet_NaN();
    }
  }
  return result;
}

}  // namespace passband
