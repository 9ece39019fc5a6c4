#include "tensor/ops/decompositions.h"

#include <lapacke.h>

#include <algorithm>

#include "tensor/core/error.h"

namespace passband {
namespace {

void check(const char* op, lapack_int info) {
  CHECK(info >= 0, op, ": argument ", -info, " of LAPACK's is not finite or no matrix");
  CHECK(info == 0, op, ": LAPACK did not converge");
}

lapack_int dimension(const char* op, const Tensor& a, int dim) {
  CHECK(a.rank() == 2 && a.numel() > 0, op, ": takes a matrix, got ", a);
  return static_cast<lapack_int>(a.size(dim));
}

// LAPACK works in place.
Tensor copy_of(const Tensor& a) {
  Tensor copy = Tensor::empty_like(a);
  copy.copy_from(a);
  return copy;
}

}  // namespace

Svd svd(const Tensor& a) {
  const lapack_int m = dimension("svd", a, 0), n = dimension("svd", a, 1), r = std::min(m, n);
  Tensor work = copy_of(a);
  Svd result{Tensor::empty({m, r}, DType::f64), std::vector<double>(static_cast<size_t>(r)),
             Tensor::empty({r, n}, DType::f64)};
  check("svd",
        LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'S', m, n, work.data<double>(), n, result.sigma.data(),
                       result.u.data<double>(), r, result.vt.data<double>(), n));
  return result;
}

std::vector<double> singular_values(const Tensor& a) {
  const lapack_int m = dimension("singular_values", a, 0), n = dimension("singular_values", a, 1);
  Tensor work = copy_of(a);
  std::vector<double> sigma(static_cast<size_t>(std::min(m, n)));
  check("singular_values", LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'N', m, n, work.data<double>(), n,
                                          sigma.data(), nullptr, m, nullptr, n));
  return sigma;
}

Tensor triangular_factor(const Tensor& a) {
  const lapack_int m = dimension("triangular_factor", a, 0),
                   n = dimension("triangular_factor", a, 1);
  CHECK(m >= n, "triangular_factor: takes at least as many rows as columns, got ", a);
  Tensor work = copy_of(a);  // R, and below its diagonal the reflections that make up Q
  std::vector<double> scales(static_cast<size_t>(n));
  check("triangular_factor",
        LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, m, n, work.data<double>(), n, scales.data()));
  Tensor r = Tensor::zeros({n, n}, DType::f64);
  for (int64_t i = 0; i < n; ++i)
    std::copy(work.data<double>() + i * n + i, work.data<double>() + (i + 1) * n,
              r.data<double>() + i * n + i);
  return r;
}

SymmetricEigen symmetric_eigen(const Tensor& a) {
  const lapack_int n = dimension("symmetric_eigen", a, 0);
  CHECK(a.size(1) == n, "symmetric_eigen: takes a square matrix, got ", a);
  SymmetricEigen result{std::vector<double>(static_cast<size_t>(n)), copy_of(a)};
  check("symmetric_eigen", LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'L', n,
                                          result.vectors.data<double>(), n, result.values.data()));
  return result;
}

SymmetricEigen tridiagonal_eigen(std::vector<double> diagonal, std::vector<double> beside) {
  CHECK(!diagonal.empty() && diagonal.size() == beside.size() + 1,
        "tridiagonal_eigen: ", diagonal.size(), " values on the diagonal, ", beside.size(),
        " beside it");
  const auto n = static_cast<lapack_int>(diagonal.size());
  Tensor vectors = Tensor::empty({n, n}, DType::f64);
  check("tridiagonal_eigen", LAPACKE_dstevd(LAPACK_ROW_MAJOR, 'V', n, diagonal.data(),
                                            beside.data(), vectors.data<double>(), n));
  return {std::move(diagonal), vectors};
}

}  // namespace passband
