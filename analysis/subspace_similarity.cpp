#include "analysis/subspace_similarity.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/core/error.h"

namespace passband {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMap = Eigen::Map<const Matrix>;

ConstMap as_matrix(const Tensor& x) { return {x.data<double>(), x.size(0), x.size(1)}; }

Tensor as_tensor(const Matrix& x) {
  Tensor result = Tensor::empty({x.rows(), x.cols()}, DType::f64);
  Eigen::Map<Matrix>(result.data<double>(), x.rows(), x.cols()) = x;
  return result;
}

// Correlations, rounded into [0, 1].
Eigen::ArrayXd correlations(const Eigen::VectorXd& singular) {
  return singular.array().max(0.0).min(1.0);
}

struct Summary {
  double r2 = 0, rho = 0;
};

Summary summary(const Matrix& products) {
  const double rank = static_cast<double>(std::min(products.rows(), products.cols()));
  const Eigen::ArrayXd rho =
      correlations(Eigen::BDCSVD<Eigen::MatrixXd>(products).singularValues());
  return {rho.square().sum() / rank, rho.sum() / rank};
}

}  // namespace

void FeatureRows::add(const Tensor& rows) {
  CHECK(rows.rank() == 2 && (count_ == 0 || rows.size(1) == columns_), "similarity: rows are ",
        rows, ", before they had ", columns_, " columns");
  columns_ = rows.size(1);
  const std::vector<double> values = rows.values();
  for (int64_t i = 0; i < rows.size(0); ++i) {
    data_.push_back(1);
    data_.insert(data_.end(), values.begin() + i * columns_, values.begin() + (i + 1) * columns_);
    ++kept_;
    if (kept_ == 2 * (columns_ + 1)) compress();
  }
  count_ += rows.size(0);
}

void FeatureRows::compress() {
  const int64_t width = columns_ + 1;
  Eigen::HouseholderQR<Eigen::MatrixXd> qr{ConstMap(data_.data(), kept_, width)};
  const Matrix r = qr.matrixQR().topRows(width).triangularView<Eigen::Upper>();
  data_.assign(r.data(), r.data() + width * width);
  kept_ = width;
}

Tensor FeatureRows::uncentred(int64_t first, int64_t width) const {
  CHECK(first >= 0 && width > 0 && first + width <= columns_, "similarity: columns [", first, ", ",
        first + width, ") of ", columns_);
  return as_tensor(ConstMap(data_.data(), kept_, columns_ + 1).middleCols(first + 1, width));
}

Tensor FeatureRows::centred(int64_t first, int64_t width) const {
  const Eigen::VectorXd ones = ConstMap(data_.data(), kept_, columns_ + 1).col(0);
  Matrix x = as_matrix(uncentred(first, width));
  const double scale = x.squaredNorm();
  const Eigen::RowVectorXd mean = ones.transpose() * x / ones.squaredNorm();
  x -= ones * mean;
  if (x.squaredNorm() <= 1e-12 * scale) x.setZero();
  return as_tensor(x);
}

int64_t FactoredFeatures::leading(double share, VarianceShare of) const {
  const auto weight = [&](double s) { return of == VarianceShare::squares ? s * s : s; };
  double total = 0, sum = 0;
  for (const double s : sigma) total += weight(s);
  for (int64_t k = 0; k < rank(); ++k) {
    sum += weight(sigma[static_cast<size_t>(k)]);
    if (sum >= share * total) return k + 1;
  }
  return rank();
}

FactoredFeatures factor(const Tensor& centred, double tolerance) {
  const ConstMap x = as_matrix(centred);
  const Eigen::BDCSVD<Eigen::MatrixXd> svd(x, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const Eigen::VectorXd& sigma = svd.singularValues();
  const double floor = tolerance * static_cast<double>(std::max(x.rows(), x.cols())) * sigma(0);
  int64_t rank = 0;
  while (rank < sigma.size() && sigma(rank) > floor) ++rank;
  FactoredFeatures result{.columns = x.cols()};
  result.sigma.assign(sigma.data(), sigma.data() + rank);
  if (rank == 0) return result;
  result.basis = as_tensor(svd.matrixU().leftCols(rank));
  result.coordinates =
      as_tensor(sigma.head(rank).asDiagonal() * svd.matrixV().leftCols(rank).transpose());
  return result;
}

std::string why_not_cca(int64_t p, int64_t n) {
  if (p < n - 1) return {};
  return fmt::format(
      "{} features over {} pictures: once p >= n - 1, any two layers span the same {} dimensions "
      "and "
      "every canonical correlation is 1, whatever the layers hold; take more pictures or pool",
      p, n, n - 1);
}

SubspaceSimilarity compare(const FactoredFeatures& x, const FactoredFeatures& y, double share,
                           VarianceShare of) {
  if (x.rank() == 0 || y.rank() == 0) {
    const double none = std::numeric_limits<double>::quiet_NaN();
    return {none, none, none, none, none, none, none};
  }
  const Matrix m = as_matrix(x.basis).transpose() * as_matrix(y.basis);  // (r_x, r_y)
  const Eigen::Map<const Eigen::VectorXd> sigma(x.sigma.data(), x.rank());
  SubspaceSimilarity result;
  result.regression = (sigma.asDiagonal() * m).squaredNorm() / sigma.squaredNorm();

  const Eigen::BDCSVD<Eigen::MatrixXd> svd(m, Eigen::ComputeThinU);
  const Eigen::ArrayXd rho = correlations(svd.singularValues());
  const double rank = static_cast<double>(rho.size());
  result.cca_r2 = rho.square().sum() / rank;
  result.cca_rho = rho.sum() / rank;
  const Summary kept = summary(m.topLeftCorner(x.leading(share, of), y.leading(share, of)));
  result.svcca_r2 = kept.r2;
  result.svcca_rho = kept.rho;

  const Matrix loads = svd.matrixU().transpose() * as_matrix(x.coordinates);  // <h_i, x_j>
  const Eigen::ArrayXd alpha = loads.rowwise().lpNorm<1>().array();
  const Eigen::ArrayXd alpha2 = loads.rowwise().squaredNorm().array();
  result.pwcca = (alpha * rho).sum() / alpha.sum();
  // Variates of X that no variate of Y meets have rho = 0; they count in the sum of weights.
  result.pwcca_r2 = (alpha2 * rho.square()).sum() / sigma.squaredNorm();
  return result;
}

}  // namespace passband
