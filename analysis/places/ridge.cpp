// Ridge regression: the sums and products are tensors, the eigenvalues LAPACK's.
#include "analysis/places/ridge.h"

#include <algorithm>
#include <cmath>

#include "analysis/study/host.h"
#include "tensor/ops/decompositions.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

Tensor targets_of(const std::vector<int32_t>& labels, int64_t classes) {
  Tensor y = Tensor::full({static_cast<int64_t>(labels.size()), classes}, -1, DType::f64);
  for (size_t i = 0; i < labels.size(); ++i) {
    CHECK(labels[i] >= 0 && labels[i] < classes, "ridge: label ", labels[i], " of ", classes,
          " classes");
    y.data<double>()[static_cast<int64_t>(i) * classes + labels[i]] = 1;
  }
  return y;
}

Tensor wide(const Tensor& x) { return cast(on_host(x), DType::f64); }

Tensor column_sums(const Tensor& x) { return sum(x, {0}, /*keepdim=*/true); }

// a^T b: of two rows, their outer product.
Tensor transposed_product(const Tensor& a, const Tensor& b) {
  return matmul(a, b, {.transpose_a = true});
}

// Deviations to divide by; a constant feature is left alone (its centred values are 0).
Tensor scales(const std::vector<double>& squares, double count, bool standardise) {
  std::vector<double> result(squares.size(), 1.0);
  for (size_t i = 0; standardise && i < squares.size(); ++i) {
    const double deviation = std::sqrt(std::max(squares[i], 0.0) / count);
    if (deviation > 1e-12) result[i] = deviation;
  }
  return Tensor::from(result, {1, static_cast<int64_t>(result.size())}, DType::f64);
}

std::vector<double> diagonal(const Tensor& square) {
  std::vector<double> result;
  for (int64_t i = 0; i < square.size(0); ++i)
    result.push_back(square.data<double>()[i * (square.size(1) + 1)]);
  return result;
}

}  // namespace

std::vector<double> RidgePath::weights(double lambda) const {
  // Directions that the examples do not span carry no coefficient but rounding.
  const double floor = 1e-12 * std::max(eigenvalues_.back(), 1e-300);
  std::vector<double> shrinkage;
  for (const double value : eigenvalues_)
    shrinkage.push_back(value <= floor && lambda <= floor ? 0
                                                          : 1 / (std::max(value, 0.0) + lambda));
  const Tensor shrunk =
      Tensor::from(shrinkage, {coefficients_.size(0), 1}, DType::f64) * coefficients_;
  const Tensor w = matmul(basis_, shrunk) / transpose(scale_, 0, 1);
  return concat({w, intercept_ - matmul(mean_, w)}, 0).values();
}

RidgeSums::RidgeSums(int64_t features, int64_t classes)
    : features_(features),
      classes_(classes),
      sum_(Tensor::zeros({1, features}, DType::f64)),
      products_(Tensor::zeros({features, features}, DType::f64)),
      targets_(Tensor::zeros({1, classes}, DType::f64)),
      cross_(Tensor::zeros({features, classes}, DType::f64)) {}

void RidgeSums::add(const Tensor& x, const std::vector<int32_t>& labels) {
  CHECK(x.rank() == 2 && x.size(1) == features_ && x.size(0) == static_cast<int64_t>(labels.size()),
        "ridge: ", x, " for ", labels.size(), " labels and ", features_, " features");
  const Tensor values = wide(x), y = targets_of(labels, classes_);
  if (!shift_) shift_ = mean(values, {0}, /*keepdim=*/true);
  const Tensor moved = values - shift_;
  sum_ = sum_ + column_sums(moved);
  products_ = products_ + transposed_product(moved, moved);
  targets_ = targets_ + column_sums(y);
  cross_ = cross_ + transposed_product(moved, y);
  count_ += static_cast<double>(labels.size());
}

RidgePath RidgeSums::solve(const RidgeOptions& options) const {
  CHECK(count_ > 0, "ridge: no examples");
  RidgePath path;
  Tensor products, cross;
  if (options.standardise) {
    path.mean_ = shift_ + sum_ / count_;
    path.intercept_ = targets_ / count_;
    products = products_ - transposed_product(sum_, sum_) / count_;
    cross = cross_ - transposed_product(sum_, targets_) / count_;
  } else {
    path.mean_ = Tensor::zeros_like(sum_);
    path.intercept_ = Tensor::zeros_like(targets_);
    products = products_ + transposed_product(sum_, shift_) + transposed_product(shift_, sum_) +
               transposed_product(shift_, shift_) * count_;
    cross = cross_ + transposed_product(shift_, targets_);
  }
  path.scale_ = scales(diagonal(products), count_, options.standardise);
  const Tensor by_row = transpose(path.scale_, 0, 1);
  const SymmetricEigen eigen = symmetric_eigen(products / by_row / path.scale_);
  path.basis_ = eigen.vectors;
  path.eigenvalues_ = eigen.values;
  path.coefficients_ = transposed_product(eigen.vectors, cross / by_row);
  return path;
}

RidgePath ridge_of_examples(const Tensor& x, const std::vector<int32_t>& labels, int64_t classes,
                            const RidgeOptions& options) {
  const int64_t n = x.size(0), features = x.size(1);
  if (n >= features) {
    RidgeSums sums(features, classes);
    sums.add(x, labels);
    return sums.solve(options);
  }
  RidgePath path;
  const Tensor values = wide(x), y = targets_of(labels, classes);
  path.mean_ = options.standardise ? mean(values, {0}, /*keepdim=*/true)
                                   : Tensor::zeros({1, features}, DType::f64);
  path.intercept_ = options.standardise ? mean(y, {0}, /*keepdim=*/true)
                                        : Tensor::zeros({1, classes}, DType::f64);
  const Tensor centred = values - path.mean_;
  path.scale_ =
      scales(column_sums(square(centred)).values(), static_cast<double>(n), options.standardise);
  const Tensor scaled = centred / path.scale_;
  const SymmetricEigen eigen = symmetric_eigen(matmul(scaled, scaled, {.transpose_b = true}));
  path.basis_ = transposed_product(scaled, eigen.vectors);
  path.eigenvalues_ = eigen.values;
  path.coefficients_ = transposed_product(eigen.vectors, y - path.intercept_);
  return path;
}

std::vector<bool> right_answers(const Tensor& x, const std::vector<int32_t>& labels,
                                const std::vector<double>& weights, int64_t classes) {
  const int64_t features = x.size(1);
  CHECK(static_cast<int64_t>(weights.size()) == (features + 1) * classes, "ridge: ", weights.size(),
        " weights for ", features, " features and ", classes, " classes");
  const Tensor w = Tensor::from(weights, {features + 1, classes}, DType::f64);
  const Tensor scores = matmul(wide(x), slice(w, 0, 0, features)) + slice(w, 0, features, 1);
  const std::vector<double> best = argmax(scores, 1).values();
  std::vector<bool> right;
  for (size_t i = 0; i < labels.size(); ++i) right.push_back(best[i] == labels[i]);
  return right;
}

int64_t count_right(const Tensor& x, const std::vector<int32_t>& labels,
                    const std::vector<double>& weights, int64_t classes) {
  return std::ranges::count(right_answers(x, labels, weights, classes), true);
}

}  // namespace passband
