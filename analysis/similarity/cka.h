// Kernels over pictures and what compares them: the Hilbert-Schmidt independence criterion (HSIC)
// and centred kernel alignment (CKA), summed over minibatches.
//
//   CKA(K, L) = sum_b HSIC(K_b, L_b) / sqrt(sum_b HSIC(K_b, K_b)  sum_b HSIC(L_b, L_b))
//
// over batches b (Nguyen, Raghu and Kornblith, ICLR 2021); one batch of all pictures is Kornblith
// et al. (ICML 2019). Both estimators are inner products of centred kernels:
//   unbiased  <U(K), U(L)> / (n (n - 3)), HSIC_1 of Song et al. 2007; U is the U-centring of
//   Szekely and
//             Rizzo (2014). Its expectation does not depend on the batch size.
//   biased    <HKH, HLH> / (n - 1)^2, HSIC_0 of Gretton et al. 2005; too large by about p / n.
// Features are centred by their batch mean before the product (free in exact arithmetic, decisive
// in f32); products are f32 (f64 for f64 features), row sums and inner products f64, divided once
// at the end. Time per batch: n^2 p for each layer of p features, n^2 L^2 for all pairs. Memory:
// n^2 L doubles. All of it runs where the features lie; only the width of a radial kernel (a
// median) is found by the processor.
#pragma once
#include <cstdint>
#include <vector>

#include "analysis/study/own_part.h"
#include "tensor/core/tensor.h"

namespace passband {

enum class HsicEstimator : uint8_t { unbiased, biased };

// X X^T of the centred `features` (n, p...): (n, n) f64. `dead` is set when the features are
// constant over the batch (mean |x - mu|^2 <= 1e-12 mean |x|^2). Throws when n < 4.
Tensor linear_kernel(const Tensor& features, bool& dead);
// The same for many layers of equal width at once, (L, n, p): (L, n, n) f64.
Tensor linear_kernels(const Tensor& features);

// The width of a radial basis kernel as a fraction of the distances in the batch.
enum class RbfWidth : uint8_t {
  median_distance,  // sigma = fraction * median |x_i - x_j| over pairs i < j
  // As Kornblith's notebook: sigma^2 = fraction^2 * median |x_i - x_j|^2 over all n^2 entries, the
  // zeros of the diagonal included.
  kornblith,
};

// exp(-|x_i - x_j|^2 / (2 sigma^2)) from a linear kernel, which holds all distances: (n, n) f64.
// Kernels of a constant layer (median 0) are all ones.
Tensor rbf_kernel(const Tensor& linear, double fraction,
                  RbfWidth width = RbfWidth::median_distance);

// U(K) or H K H of kernels (L, n, n) or (n, n), flattened: (L, n * n) f64, L = 1 for one. Inner
// products of these are n (n - 3) HSIC_1 or (n - 1)^2 HSIC_0.
Tensor centred_kernels(const Tensor& kernels, HsicEstimator estimator);

// U-centred linear kernel of `features`, (1, n * n) f64.
Tensor u_centred_gram(const Tensor& features, bool& dead);

// Sums over batches for two lists of layers (the same list for self-similarity): one matrix product
// per batch for all pairs. Batches may differ in size.
class MinibatchCka {
 public:
  MinibatchCka(int64_t rows, int64_t columns, HsicEstimator estimator = HsicEstimator::unbiased);
  // Centred kernels of one batch, (rows, n * n) and (columns, n * n) f64.
  void add(const Tensor& rows, const Tensor& columns);
  // The sums of other batches of these layers: added with 1, taken away with -1.
  void add(const MinibatchCka& more, double factor);
  // rows x columns, row-major; NaN where a layer is dead (zero self-term).
  std::vector<double> matrix() const;
  // Mean HSIC over the batches, rows x columns.
  std::vector<double> hsic() const;
  int64_t batches() const { return batches_; }
  void join(const OwnPart& part);
  // All sums in a row, and from there into a table of the same layers.
  std::vector<double> numbers() const;
  void take(const std::vector<double>& numbers);
  std::vector<double> hsic_sum() const;  // over the batches

 private:
  int64_t rows_, columns_;
  HsicEstimator estimator_;
  int64_t batches_ = 0;
  Tensor cross_, row_self_, column_self_;  // f64, where the kernels lie
};

}  // namespace passband
