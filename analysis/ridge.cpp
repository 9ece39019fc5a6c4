// Ridge regression with Eigen's symmetric eigensolver.
#include "analysis/ridge.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "analysis/host.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using View = Eigen::Map<Matrix>;
using ConstView = Eigen::Map<const Matrix>;
using VectorView = Eigen::Map<Eigen::VectorXd>;
using ConstVectorView = Eigen::Map<const Eigen::VectorXd>;

Matrix targets_of(const std::vector<int32_t>& labels, int64_t classes) {
  Matrix y = Matrix::Constant(static_cast<Eigen::Index>(labels.size()), classes, -1);
  for (size_t i = 0; i < labels.size(); ++i) {
    CHECK(labels[i] >= 0 && labels[i] < classes, "ridge: label ", labels[i], " of ", classes,
          " classes");
    y(static_cast<Eigen::Index>(i), labels[i]) = 1;
  }
  return y;
}

std::vector<double> copy_of(const Matrix& matrix) {
  return {matrix.data(), matrix.data() + matrix.size()};
}
std::vector<double> copy_of(const Eigen::VectorXd& v) { return {v.data(), v.data() + v.size()}; }

// Deviations to divide by; a constant feature is left alone (its centred values are 0).
Eigen::VectorXd scales(const Eigen::VectorXd& variance, double count, bool standardise) {
  Eigen::VectorXd result = Eigen::VectorXd::Ones(variance.size());
  for (Eigen::Index i = 0; standardise && i < variance.size(); ++i) {
    const double deviation = std::sqrt(std::max(variance[i], 0.0) / count);
    if (deviation > 1e-12) result[i] = deviation;
  }
  return result;
}

}  // namespace

std::vector<double> RidgePath::weights(double lambda) const {
  const auto rank = static_cast<Eigen::Index>(eigenvalues_.size());
  Matrix scaled = ConstView(coefficients_.data(), rank, classes_);
  // Directions that the examples do not span carry no coefficient but rounding.
  const double floor = rank > 0 ? 1e-12 * std::max(eigenvalues_.back(), 1e-300) : 0;
  for (Eigen::Index r = 0; r < rank; ++r) {
    const double value = eigenvalues_[static_cast<size_t>(r)];
    scaled.row(r) *= value <= floor && lambda <= floor ? 0 : 1 / (std::max(value, 0.0) + lambda);
  }
  Matrix result(features_ + 1, classes_);
  result.topRows(features_).noalias() = ConstView(basis_.data(), features_, rank) * scaled;
  const ConstVectorView scale(scale_.data(), features_), mean(mean_.data(), features_);
  result.topRows(features_).array().colwise() /= scale.array();
  result.row(features_) = ConstVectorView(intercept_.data(), classes_).transpose() -
                          mean.transpose() * result.topRows(features_);
  return copy_of(result);
}

RidgeSums::RidgeSums(int64_t features, int64_t classes)
    : features_(features),
      classes_(classes),
      sum_(static_cast<size_t>(features)),
      products_(static_cast<size_t>(features * features)),
      targets_(static_cast<size_t>(classes)),
      cross_(static_cast<size_t>(features * classes)) {}

void RidgeSums::add(const Tensor& x, const std::vector<int32_t>& labels) {
  CHECK(x.rank() == 2 && x.size(1) == features_ && x.size(0) == static_cast<int64_t>(labels.size()),
        "ridge: ", x, " for ", labels.size(), " labels and ", features_, " features");
  const Tensor wide = cast(on_host(x), DType::f64);
  const ConstView values(wide.data<double>(), wide.size(0), features_);
  if (shift_.empty()) shift_ = copy_of(Eigen::VectorXd(values.colwise().mean().transpose()));
  const Matrix moved = values.rowwise() - ConstVectorView(shift_.data(), features_).transpose();
  const Matrix y = targets_of(labels, classes_);
  VectorView(sum_.data(), features_) += moved.colwise().sum().transpose();
  View(products_.data(), features_, features_)
      .selfadjointView<Eigen::Lower>()
      .rankUpdate(moved.transpose());
  VectorView(targets_.data(), classes_) += y.colwise().sum().transpose();
  View(cross_.data(), features_, classes_).noalias() += moved.transpose() * y;
  count_ += static_cast<double>(labels.size());
}

RidgePath RidgeSums::solve(const RidgeOptions& options) const {
  CHECK(count_ > 0, "ridge: no examples");
  const ConstVectorView sum(sum_.data(), features_), shift(shift_.data(), features_),
      targets(targets_.data(), classes_);
  Matrix products =
      ConstView(products_.data(), features_, features_).selfadjointView<Eigen::Lower>();
  Matrix cross = ConstView(cross_.data(), features_, classes_);
  RidgePath path;
  path.features_ = features_;
  path.classes_ = classes_;
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(features_),
                  intercept = Eigen::VectorXd::Zero(classes_);
  if (options.standardise) {
    mean = shift + sum / count_;
    intercept = targets / count_;
    products -= sum * sum.transpose() / count_;
    cross -= sum * targets.transpose() / count_;
  } else {
    products +=
        sum * shift.transpose() + shift * sum.transpose() + count_ * shift * shift.transpose();
    cross += shift * targets.transpose();
  }
  const Eigen::VectorXd scale = scales(products.diagonal(), count_, options.standardise);
  products.array().colwise() /= scale.array();
  products.array().rowwise() /= scale.transpose().array();
  cross.array().colwise() /= scale.array();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(products);
  path.basis_ = copy_of(Matrix(eigen.eigenvectors()));
  path.eigenvalues_ = copy_of(Eigen::VectorXd(eigen.eigenvalues()));
  path.coefficients_ = copy_of(Matrix(eigen.eigenvectors().transpose() * cross));
  path.mean_ = copy_of(mean);
  path.scale_ = copy_of(scale);
  path.intercept_ = copy_of(intercept);
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
  const Tensor wide = cast(on_host(x), DType::f64);
  Matrix values = ConstView(wide.data<double>(), n, features), y = targets_of(labels, classes);
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(features),
                  intercept = Eigen::VectorXd::Zero(classes);
  if (options.standardise) {
    mean = values.colwise().mean().transpose();
    intercept = y.colwise().mean().transpose();
    values.rowwise() -= mean.transpose();
    y.rowwise() -= intercept.transpose();
  }
  const Eigen::VectorXd scale = scales(values.colwise().squaredNorm().transpose(),
                                       static_cast<double>(n), options.standardise);
  values.array().rowwise() /= scale.transpose().array();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(values * values.transpose());
  RidgePath path;
  path.features_ = features;
  path.classes_ = classes;
  path.basis_ = copy_of(Matrix(values.transpose() * eigen.eigenvectors()));
  path.eigenvalues_ = copy_of(Eigen::VectorXd(eigen.eigenvalues()));
  path.coefficients_ = copy_of(Matrix(eigen.eigenvectors().transpose() * y));
  path.mean_ = copy_of(mean);
  path.scale_ = copy_of(scale);
  path.intercept_ = copy_of(intercept);
  return path;
}

int64_t count_right(const Tensor& x, const std::vector<int32_t>& labels,
                    const std::vector<double>& weights, int64_t classes) {
  const Tensor wide = cast(on_host(x), DType::f64);
  const int64_t features = x.size(1);
  CHECK(static_cast<int64_t>(weights.size()) == (features + 1) * classes, "ridge: ", weights.size(),
        " weights for ", features, " features and ", classes, " classes");
  const ConstView values(wide.data<double>(), wide.size(0), features),
      w(weights.data(), features + 1, classes);
  Matrix scores = values * w.topRows(features);
  scores.rowwise() += w.row(features);
  int64_t right = 0;
  for (Eigen::Index i = 0; i < scores.rows(); ++i) {
    Eigen::Index best = 0;
    scores.row(i).maxCoeff(&best);
    right += best == labels[static_cast<size_t>(i)];
  }
  return right;
}

}  // namespace passband
