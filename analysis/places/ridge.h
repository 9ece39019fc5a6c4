// Ridge regression to class targets, in closed form, for probes.
//
//   W(lambda) = (X^T X + lambda I)^-1 X^T Y = X^T (X X^T + lambda I)^-1 Y,   Y = +1 at the class,
//   -1 elsewhere
//
// (Raghu et al. 2021, appendix A). One eigendecomposition, of X^T X = V L V^T or, with fewer
// examples than features, of X X^T = U L U^T, serves every lambda: W = B (L + lambda)^-1 C with B =
// V, C = V^T X^T Y, or B = X^T U, C = U^T Y. Features are centred and scaled to deviation 1 unless
// asked otherwise; the intercept is not penalised.
#pragma once
#include <cstdint>
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

struct RidgeOptions {
  // centre and scale the features, centre the targets; false: X and Y as they are
  bool standardise = true;
};

// A solution for every lambda.
class RidgePath {
 public:
  // (features + 1) x classes, row-major, for raw features; the last row is the intercept. Time:
  // features x rank x classes.
  std::vector<double> weights(double lambda) const;

 private:
  friend class RidgeSums;
  friend RidgePath ridge_of_examples(const Tensor&, const std::vector<int32_t>&, int64_t,
                                     const RidgeOptions&);

  Tensor basis_;                     // (features, rank), as all here f64
  std::vector<double> eigenvalues_;  // rank, ascending
  Tensor coefficients_;              // (rank, classes)
  Tensor mean_, scale_;              // of the features, (1, features)
  Tensor intercept_;                 // mean target, (1, classes)
};

// Sums over examples that come in batches; memory d^2 + d classes doubles whatever the number of
// examples. Sums are f64 around the mean of the first batch.
class RidgeSums {
 public:
  RidgeSums(int64_t features, int64_t classes);
  // x (n, features), any floating type; labels in [0, classes).
  void add(const Tensor& x, const std::vector<int32_t>& labels);
  // Time: d^3.
  RidgePath solve(const RidgeOptions& options = {}) const;

 private:
  int64_t features_, classes_;
  double count_ = 0;
  Tensor shift_, sum_;      // (1, features), as all here f64
  Tensor products_;         // (features, features)
  Tensor targets_, cross_;  // (1, classes), (features, classes)
};

// The same from examples in memory (n, d): the cheaper of the two forms. Time: min(n, d)^3 + n d
// min(n, d).
RidgePath ridge_of_examples(const Tensor& x, const std::vector<int32_t>& labels, int64_t classes,
                            const RidgeOptions& options = {});

// Which of x (n, d) the weights of `RidgePath::weights` put into their class (largest score, the
// first of equals), and how many.
std::vector<bool> right_answers(const Tensor& x, const std::vector<int32_t>& labels,
                                const std::vector<double>& weights, int64_t classes);
int64_t count_right(const Tensor& x, const std::vector<int32_t>& labels,
                    const std::vector<double>& weights, int64_t classes);

}  // namespace passband
