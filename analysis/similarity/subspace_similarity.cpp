#include "analysis/similarity/subspace_similarity.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "tensor/core/error.h"
#include "tensor/ops/decompositions.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

Tensor column(const std::vector<double>& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size()), 1}, DType::f64);
}

double squared_norm(const Tensor& x) { return sum(square(x)).item(); }

// Correlations, rounded into [0, 1].
Tensor correlations(const std::vector<double>& singular) { return clamp(column(singular), 0, 1); }

struct Summary {
  double r2 = 0, rho = 0;
};

Summary summary(const Tensor& rho) {
  const double rank = static_cast<double>(rho.numel());
  return {squared_norm(rho) / rank, sum(rho).item() / rank};
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
  data_ = triangular_factor(Tensor::from(data_, {kept_, width}, DType::f64)).values();
  kept_ = width;
}

Tensor FeatureRows::stored(int64_t first, int64_t width) const {
  Tensor result = Tensor::empty({kept_, width}, DType::f64);
  for (int64_t i = 0; i < kept_; ++i)
    std::copy_n(data_.data() + i * (columns_ + 1) + first, width,
                result.data<double>() + i * width);
  return result;
}

Tensor FeatureRows::uncentred(int64_t first, int64_t width) const {
  CHECK(first >= 0 && width > 0 && first + width <= columns_, "similarity: columns [", first, ", ",
        first + width, ") of ", columns_);
  return stored(first + 1, width);
}

Tensor FeatureRows::centred(int64_t first, int64_t width) const {
  const Tensor x = uncentred(first, width), ones = stored(0, 1);
  const Tensor mean = matmul(ones, x, {.transpose_a = true}) / squared_norm(ones);  // (1, width)
  const Tensor centred = x - matmul(ones, mean);
  return squared_norm(centred) <= 1e-12 * squared_norm(x) ? Tensor::zeros_like(x) : centred;
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
  const auto [u, sigma, vt] = svd(centred);
  const double longest = static_cast<double>(std::max(centred.size(0), centred.size(1)));
  FactoredFeatures result{.columns = centred.size(1)};
  for (const double s : sigma)
    if (s > tolerance * longest * sigma.front()) result.sigma.push_back(s);
  if (result.rank() == 0) return result;
  result.basis = slice(u, 1, 0, result.rank());
  result.coordinates = column(result.sigma) * slice(vt, 0, 0, result.rank());
  return result;
}

std::string why_not_cca(int64_t p, int64_t n) {
  if (p < n - 1) return {};
  return fmt::format(
      "{} features over {} pictures: once p >= n - 1, any two layers span the same {} dimensions "
      "and every canonical correlation is 1, whatever the layers hold; take more pictures or pool",
      p, n, n - 1);
}

SubspaceSimilarity compare(const FactoredFeatures& x, const FactoredFeatures& y, double share,
                           VarianceShare of) {
  if (x.rank() == 0 || y.rank() == 0) {
    const double none = std::numeric_limits<double>::quiet_NaN();
    return {none, none, none, none, none, none, none};
  }
  const Tensor m = matmul(x.basis, y.basis, {.transpose_a = true});  // (r_x, r_y)
  const Tensor sigma = column(x.sigma);
  SubspaceSimilarity result;
  result.regression = squared_norm(sigma * m) / squared_norm(sigma);

  const Svd variates = svd(m);
  const Tensor rho = correlations(variates.sigma);  // (min(r_x, r_y), 1)
  const Summary all = summary(rho);
  result.cca_r2 = all.r2;
  result.cca_rho = all.rho;
  const Tensor leading = slice(slice(m, 0, 0, x.leading(share, of)), 1, 0, y.leading(share, of));
  const Summary kept = summary(correlations(singular_values(leading)));
  result.svcca_r2 = kept.r2;
  result.svcca_rho = kept.rho;

  const Tensor loads = matmul(variates.u, x.coordinates, {.transpose_a = true});  // <h_i, x_j>
  const Tensor alpha = sum(abs(loads), {1}, /*keepdim=*/true),
               alpha2 = sum(square(loads), {1}, true);
  result.pwcca = (sum(alpha * rho) / sum(alpha)).item();
  // Variates of X that no variate of Y meets have rho = 0; they count in the sum of weights.
  result.pwcca_r2 = sum(alpha2 * square(rho)).item() / squared_norm(sigma);
  return result;
}

}  // namespace passband
