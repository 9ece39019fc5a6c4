// Similarity of two layers by regression and canonical correlation (Kornblith et al., ICML 2019,
// section 3; Raghu et al., NeurIPS 2017; Morcos et al., NeurIPS 2018), and the streamed
// factorisation they read.
//
// All of them follow from M = U_X^T U_Y, where X = U_X diag(sigma_X) V_X^T is the thin singular
// value decomposition of the centred features: canonical correlations rho are the singular values
// of M. No covariance is ever inverted.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

// Rows of features of all layers side by side, one row a picture, compressed so that memory stays
// below 2 P^2 doubles for P columns however many pictures are added. What is kept is the R of a QR
// factorisation of [1 X]: an orthogonal image of the rows, so all inner products of columns are
// those of the full data. Time: 2 P^2 for each picture once compression begins (from the (2 P +
// 2)-th picture on). Layers compare only within one FeatureRows: two of them are rotated
// differently.
class FeatureRows {
 public:
  void add(const Tensor& rows);             // (n, P), any floating type; P the same for every call
  int64_t count() const { return count_; }  // pictures
  // Columns [first, first + width): (m, width) f64, m <= 2 P + 2; with their mean over pictures
  // taken out, or as they are. Centred features of a dead layer (constant over the pictures) are
  // exact zeros.
  Tensor centred(int64_t first, int64_t width) const;
  Tensor uncentred(int64_t first, int64_t width) const;

 private:
  void compress();
  Tensor stored(int64_t first, int64_t width) const;  // columns of data_, (kept, width)

  int64_t count_ = 0, columns_ = 0, kept_ = 0;
  std::vector<double> data_;  // (kept, 1 + P), the first column the image of ones
};

// What the share of the directions that SVCCA keeps is a share of.
enum class VarianceShare : uint8_t {
  squares,          // sum sigma^2, the variance
  singular_values,  // sum sigma, as the tutorial of the published code
};

// A layer's centred features, factored once for all pairs.
struct FactoredFeatures {
  int64_t columns = 0;        // p
  Tensor basis;               // U, (m, r) f64, orthonormal columns
  Tensor coordinates;         // diag(sigma) V^T, (r, p) f64
  std::vector<double> sigma;  // r values, descending
  int64_t rank() const { return static_cast<int64_t>(sigma.size()); }
  // How many leading directions hold a `share` of the variance.
  int64_t leading(double share, VarianceShare of = VarianceShare::squares) const;
};

// `centred` (m, p) f64. Directions with sigma < tolerance * max(m, p) * sigma_max are dropped; the
// default suits features computed in f32. A dead layer has rank 0.
FactoredFeatures factor(const Tensor& centred, double tolerance = 1.2e-7);

// Why correlations of `p` features over `n` pictures say nothing, as a sentence; empty when they
// do. After centring, two layers of p >= n - 1 generic features span the same n - 1 dimensions:
// every rho is 1.
std::string why_not_cca(int64_t p, int64_t n);

struct SubspaceSimilarity {
  // R^2 of the linear regression of X on Y, |M^T diag(sigma_X)|^2 / |X|^2: not symmetric
  double regression = 0;
  double cca_r2 = 0;    // sum rho^2 / min(rank): Yanai's GCD coefficient
  double cca_rho = 0;   // sum rho / min(rank)
  double svcca_r2 = 0;  // the same two over the leading directions of each layer
  double svcca_rho = 0;
  double pwcca = 0;  // sum alpha rho / sum alpha, alpha_i = sum_j |<h_i, x_j>|, h the variates of X
  // sum alpha' rho^2 / sum alpha', alpha'_i = sum_j <h_i, x_j>^2: equals `regression`
  double pwcca_r2 = 0;
};

// NaN throughout when a layer is dead. `share` of the variance that SVCCA keeps (published: 0.99).
// Kornblith's text divides by p of X, ours by the smaller rank, which makes the indices symmetric.
// Time: m r_X r_Y for M and (r_X + r_Y) r_X r_Y for its singular values.
SubspaceSimilarity compare(const FactoredFeatures& x, const FactoredFeatures& y,
                           double share = 0.99, VarianceShare of = VarianceShare::squares);

}  // namespace passband
