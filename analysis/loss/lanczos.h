// Eigenvalues of a symmetric map that is known only by its products with vectors: Lanczos with full
// re-orthogonalisation, what follows from it (extremes, spectral density), the trace from random
// probes, and power iteration as PyHessian runs it.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/core/random.h"
#include "tensor/core/tensor.h"

namespace passband {

// A symmetric linear map A of R^n.
struct SymmetricMap {
  int64_t size = 0;                            // n
  DType dtype = DType::f32;                    // of the vectors; f64 for checks
  std::function<Tensor(const Tensor&)> times;  // (n) -> (n)
  Device device = {};                          // of the vectors
};

// Random vectors of length n. Rademacher: entries +-1, so that v'Av has the least variance. Normal:
// N(0, 1). The same on every device.
Tensor rademacher_vector(int64_t size, DType dtype, const RandomKey& key, Device device = {});
Tensor normal_vector(int64_t size, DType dtype, const RandomKey& key, Device device = {});
double inner_product(const Tensor& a, const Tensor& b);  // a_1 b_1 + ... + a_n b_n

// An orthonormal basis Q of span{v, Av, ..., A^(m-1) v} in which A is tridiagonal, T = Q'AQ.
struct Krylov {
  std::vector<double> diagonal;  // (m) of T
  std::vector<double> beside;    // (m - 1) of T
  double coupling = 0;           // to the vector that would come next; 0: the space is invariant
  std::vector<Tensor> basis;     // m vectors of n
};

// One Lanczos step after another, each vector made orthogonal to all earlier ones twice (Parlett's
// "twice is enough"): no ghost copies of converged eigenvalues. Time: one product and 4 n j of
// arithmetic in step j; memory: one vector of n a step.
class Lanczos {
 public:
  // Throws when `start` is not a finite vector of the map's size other than zero.
  Lanczos(SymmetricMap map, const Tensor& start);
  // False when the space is invariant (or all of R^n): its eigenvalues are then exact.
  bool step();
  const Krylov& space() const { return space_; }

 private:
  SymmetricMap map_;
  Tensor next_;      // unit vector, orthogonal to the basis
  double norm_ = 0;  // the largest |entry| of T so far, the scale of what counts as zero
  bool finished_ = false;
  Krylov space_;
};

// Eigenvalues of T in ascending order, with what they say about A.
struct Ritz {
  std::vector<double> values;
  // squared first components: how much of the start vector; they sum to 1
  std::vector<double> weights;
  std::vector<double> residuals;  // an eigenvalue of A lies within this distance
};
Ritz ritz(const Krylov& space);

// Runs at most `steps` steps from `start`.
Krylov lanczos(const SymmetricMap& map, const Tensor& start, int64_t steps);

struct TopOptions {
  int64_t count = 5;
  int64_t steps = 100;      // at most
  double tolerance = 1e-3;  // of the residual, relative to the largest |eigenvalue|
  uint64_t seed = 0;
};
struct TopEigenvalues {
  std::vector<double> values;  // by falling magnitude, with sign
  int64_t products = 0;
  bool converged = false;
};
// The eigenvalues of largest magnitude. A multiple eigenvalue is found once.
TopEigenvalues top_eigenvalues(const SymmetricMap& map, const TopOptions& options);
// The same by power iteration with deflation, as PyHessian: stops when the Rayleigh quotient
// changes by less than `tolerance`, which on clustered spectra is too early (diag(1..10): 9.96).
TopEigenvalues power_iteration(const SymmetricMap& map, const TopOptions& options);

// Hutchinson's estimate of the trace: v'Av over Rademacher probes, unbiased, variance 2 (|A|_F^2 -
// sum a_ii^2).
struct TraceEstimate {
  double mean = 0;
  double error = 0;  // standard error of the mean; NaN for one probe
  std::vector<double> samples;
};
TraceEstimate estimate_of(std::vector<double> samples);
TraceEstimate trace(const SymmetricMap& map, int64_t probes, uint64_t seed);

// Stochastic Lanczos quadrature: the density of eigenvalues as a mixture of Gaussians of standard
// deviation `width` at the Ritz values, averaged over probes (Golub and Meurant 1994; Ghorbani et
// al. 2019). Integrates to 1.
std::vector<double> density_at(const std::vector<double>& points, const std::vector<Ritz>& probes,
                               double width);
// Width as PyHessian takes it: variance 1e-5 max(1, range). Not equivariant, and narrower than its
// grid for wide spectra.
double pyhessian_width(const std::vector<Ritz>& probes);

}  // namespace passband
