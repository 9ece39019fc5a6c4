// Krylov spaces in the element type of the map, the small tridiagonal matrix in f64.
#include "analysis/loss/lanczos.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/autograd/node.h"
#include "tensor/core/error.h"
#include "tensor/ops/decompositions.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/vecdot.h"

namespace passband {
namespace {

double norm(const Tensor& a) { return std::sqrt(inner_product(a, a)); }

// Twice is enough, and once where little was removed (Kahan's rule in Parlett, The Symmetric
// Eigenvalue Problem, 6.9): what rounding left of the basis is then as small as rounding of v.
void remove_components(const Tensor& v, const std::vector<Tensor>& basis) {
  constexpr double kLittle = 0.7071;
  double before = norm(v);
  for (int round = 0; round < 2; ++round) {
    for (const Tensor& q : basis) add_scaled_(v, q, -inner_product(q, v));
    const double after = norm(v);
    if (after >= kLittle * before) return;
    before = after;
  }
}

template <class Draw> Tensor drawn(int64_t size, DType dtype, Device device, Draw&& draw) {
  std::vector<double> values(static_cast<size_t>(size));
  for (size_t i = 0; i < values.size(); ++i) values[i] = draw(i);
  return Tensor::from(values, {size}, dtype, device);
}

bool by_magnitude(double a, double b) { return std::abs(a) > std::abs(b); }

// Of rounding, relative to the largest entry of T: below it a vector has nothing new.
double threshold(DType dtype) { return dtype == DType::f64 ? 1e-12 : 1e-5; }

}  // namespace

double inner_product(const Tensor& a, const Tensor& b) {
  NoGrad no_grad;
  return vecdot(reshape(a, Shape{a.numel()}), reshape(b, Shape{b.numel()})).item();
}

Tensor rademacher_vector(int64_t size, DType dtype, const RandomKey& key, Device device) {
  return drawn(size, dtype, device,
               [&](size_t i) { return random_words(key, i / 4).v[i % 4] >> 31 ? 1.0 : -1.0; });
}

Tensor normal_vector(int64_t size, DType dtype, const RandomKey& key, Device device) {
  return drawn(size, dtype, device,
               [&](size_t i) { return static_cast<double>(random_normal(key, i)); });
}

Lanczos::Lanczos(SymmetricMap map, const Tensor& start) : map_(std::move(map)) {
  NoGrad no_grad;
  CHECK(start.rank() == 1 && start.numel() == map_.size && start.dtype() == map_.dtype,
        "lanczos: the start is ", start, " for a map of ", map_.size, " ", name_of(map_.dtype));
  const double length = norm(start);
  CHECK(std::isfinite(length) && length > 0, "lanczos: the start vector has length ", length);
  next_ = start / length;
}

bool Lanczos::step() {
  if (finished_) return false;
  NoGrad no_grad;
  std::vector<Tensor>& basis = space_.basis;
  if (!basis.empty()) space_.beside.push_back(space_.coupling);
  basis.push_back(next_);
  const Tensor product = map_.times(next_).detach();
  const Tensor rest = product * 1.0;  // the map may have returned memory of its own
  const double alpha = inner_product(next_, rest);
  CHECK(std::isfinite(alpha), "lanczos: product ", basis.size(), " is not finite");
  space_.diagonal.push_back(alpha);
  add_scaled_(rest, next_, -alpha);
  if (basis.size() > 1) add_scaled_(rest, basis[basis.size() - 2], -space_.beside.back());
  remove_components(rest, basis);
  const double beta = norm(rest);
  norm_ = std::max({norm_, std::abs(alpha), beta, space_.coupling});
  finished_ = std::ssize(basis) == map_.size || beta <= threshold(map_.dtype) * norm_;
  space_.coupling = finished_ ? 0 : beta;
  if (!finished_) next_ = rest / beta;
  return !finished_;
}

Krylov lanczos(const SymmetricMap& map, const Tensor& start, int64_t steps) {
  Lanczos process(map, start);
  for (int64_t i = 0; i < steps && process.step(); ++i) {
  }
  return process.space();
}

Ritz ritz(const Krylov& space) {
  CHECK(!space.diagonal.empty(), "ritz: the Krylov space is empty");
  const SymmetricEigen eigen = tridiagonal_eigen(space.diagonal, space.beside);
  const size_t m = eigen.values.size();
  const double* first = eigen.vectors.data<double>();
  const double* last = first + (m - 1) * m;
  Ritz result{.values = eigen.values};
  for (size_t i = 0; i < m; ++i) {
    result.weights.push_back(first[i] * first[i]);
    result.residuals.push_back(space.coupling * std::abs(last[i]));
  }
  return result;
}

TopEigenvalues top_eigenvalues(const SymmetricMap& map, const TopOptions& options) {
  Lanczos process(map, normal_vector(map.size, map.dtype,
                                     {options.seed, 0, site_of("lanczos.start")}, map.device));
  TopEigenvalues top;
  const auto wanted = static_cast<size_t>(std::min(options.count, map.size));
  for (bool more = true; more && top.products < options.steps && !top.converged;) {
    more = process.step();
    ++top.products;
    const Ritz r = ritz(process.space());
    std::vector<size_t> order(r.values.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order,
                      [&](size_t a, size_t b) { return by_magnitude(r.values[a], r.values[b]); });
    order.resize(std::min(order.size(), wanted));
    top.values.clear();
    for (const size_t i : order) top.values.push_back(r.values[i]);
    const double allowed = options.tolerance * std::abs(top.values.front());
    // One vector more than wanted: a space of exactly `wanted` has not seen what is left out.
    top.converged = !more || (r.values.size() > wanted && std::ranges::all_of(order, [&](size_t i) {
                                return r.residuals[i] <= allowed;
                              }));
  }
  return top;
}

TopEigenvalues power_iteration(const SymmetricMap& map, const TopOptions& options) {
  NoGrad no_grad;
  TopEigenvalues top{.converged = true};
  std::vector<Tensor> found;
  for (int64_t k = 0; k < std::min(options.count, map.size); ++k) {
    Tensor v =
        normal_vector(map.size, map.dtype,
                      {options.seed, static_cast<uint64_t>(k), site_of("power.start")}, map.device);
    double value = NAN;
    bool settled = false;
    for (int64_t i = 0; i < options.steps && !settled; ++i, ++top.products) {
      remove_components(v, found);
      v = v / norm(v);
      const Tensor product = map.times(v).detach();
      const double now = inner_product(v, product), length = norm(product);
      settled = std::abs(now - value) / (std::abs(value) + 1e-6) < options.tolerance || length == 0;
      value = now;
      if (length > 0) v = product / length;
    }
    remove_components(v, found);
    found.push_back(v / norm(v));
    top.values.push_back(value);
    top.converged = top.converged && settled;
  }
  return top;
}

TraceEstimate estimate_of(std::vector<double> samples) {
  TraceEstimate estimate{.samples = std::move(samples)};
  const auto n = static_cast<double>(estimate.samples.size());
  for (const double sample : estimate.samples) estimate.mean += sample / n;
  double squares = 0;
  for (const double sample : estimate.samples)
    squares += (sample - estimate.mean) * (sample - estimate.mean);
  estimate.error = n > 1 ? std::sqrt(squares / (n - 1) / n) : NAN;
  return estimate;
}

TraceEstimate trace(const SymmetricMap& map, int64_t probes, uint64_t seed) {
  NoGrad no_grad;
  std::vector<double> samples;
  for (int64_t i = 0; i < probes; ++i) {
    const Tensor v = rademacher_vector(
        map.size, map.dtype, {seed, static_cast<uint64_t>(i), site_of("trace.probe")}, map.device);
    samples.push_back(inner_product(v, map.times(v).detach()));
  }
  return estimate_of(std::move(samples));
}

std::vector<double> density_at(const std::vector<double>& points, const std::vector<Ritz>& probes,
                               double width) {
  CHECK(width > 0 && !probes.empty(), "density: needs probes and a positive width, got ",
        probes.size(), " and ", width);
  const double scale =
      1 / (width * std::sqrt(2 * std::numbers::pi) * static_cast<double>(probes.size()));
  std::vector<double> result(points.size());
  for (const Ritz& probe : probes)
    for (size_t i = 0; i < probe.values.size(); ++i)
      for (size_t p = 0; p < points.size(); ++p) {
        const double z = (points[p] - probe.values[i]) / width;
        result[p] += scale * probe.weights[i] * std::exp(-z * z / 2);
      }
  return result;
}

double pyhessian_width(const std::vector<Ritz>& probes) {
  double low = 0, high = 0;
  for (const Ritz& probe : probes) {
    low += probe.values.front() / static_cast<double>(probes.size());
    high += probe.values.back() / static_cast<double>(probes.size());
  }
  return std::sqrt(1e-5 * std::max(1.0, high - low));
}

}  // namespace passband
