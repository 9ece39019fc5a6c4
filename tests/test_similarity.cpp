// Indices of similarity against numpy, Kornblith's demonstration and closed forms.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "analysis/similarity/cka.h"
#include "analysis/similarity/layer_map.h"
#include "analysis/similarity/subspace_similarity.h"
#include "tensor/ops/decompositions.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/golden_file.h"
#include "tests/legacy_normal.h"

using namespace passband;

namespace {

const nlohmann::json& golden() {
  static const nlohmann::json values =
      nlohmann::json::parse(std::ifstream(golden_file("similarity.json")));
  return values;
}

struct Pair {
  Tensor x, y;
};

// Kornblith's demonstration.
Pair demo() {
  LegacyNormal random(1337);
  const Tensor x = random.matrix(100, 10);
  return {x, random.matrix(100, 10) + x};
}

// A of falling variance, B a noisy map of A's first five columns (see golden/make_similarity.py).
Pair second() {
  LegacyNormal random(7);
  std::vector<double> scale;
  for (int i = 0; i < 12; ++i) scale.push_back(3.0 / (1 + i));
  const Tensor a = random.matrix(60, 12) * Tensor::from(scale, {1, 12}, DType::f64);
  const Tensor map = random.matrix(5, 8);
  return {a, matmul(slice(a, 1, 0, 5), map) + random.matrix(60, 8) * 0.5};
}

MinibatchCka compared(const Tensor& k, const Tensor& l, HsicEstimator estimator) {
  MinibatchCka sums(1, 1, estimator);
  sums.add(centred_kernels(k, estimator), centred_kernels(l, estimator));
  return sums;
}

double cka(const Tensor& k, const Tensor& l, HsicEstimator estimator) {
  return compared(k, l, estimator).matrix()[0];
}

Tensor linear(const Tensor& x) {
  bool dead = false;
  return linear_kernel(x, dead);
}

FactoredFeatures factored(const Tensor& x) {
  return factor(x - mean(x, {0}, /*keepdim=*/true), 1e-12);
}

void check_kernels(const Pair& data, const nlohmann::json& expected) {
  const Tensor k = linear(data.x), l = linear(data.y);
  const auto biased = HsicEstimator::biased, unbiased = HsicEstimator::unbiased;
  const auto close = [](double value) { return doctest::Approx(value).epsilon(1e-10); };
  CHECK(compared(k, l, biased).hsic()[0] == close(expected["hsic_biased"]));
  CHECK(compared(k, l, unbiased).hsic()[0] == close(expected["hsic_unbiased"]));
  CHECK(cka(k, l, biased) == close(expected["cka_biased"]));
  CHECK(cka(k, l, unbiased) == close(expected["cka_unbiased"]));
  const auto published = RbfWidth::kornblith;
  CHECK(cka(rbf_kernel(k, 0.5, published), rbf_kernel(l, 0.5, published), biased) ==
        close(expected["rbf_kornblith_0.5"]));
  CHECK(cka(rbf_kernel(k, 0.4), rbf_kernel(l, 0.4), biased) == close(expected["rbf_median_0.4"]));
  CHECK(cka(rbf_kernel(k, 0.4), rbf_kernel(l, 0.4), unbiased) ==
        close(expected["rbf_median_0.4_unbiased"]));
}

void check_subspaces(const SubspaceSimilarity& s, const nlohmann::json& expected) {
  const auto close = [](double value) { return doctest::Approx(value).epsilon(1e-9); };
  CHECK(s.regression == close(expected["regression"]));
  CHECK(s.cca_r2 == close(expected["cca_r2"]));
  CHECK(s.cca_rho == close(expected["cca_rho"]));
  CHECK(s.svcca_r2 == close(expected["svcca_r2"]));
  CHECK(s.svcca_rho == close(expected["svcca_rho"]));
  CHECK(s.pwcca == close(expected["pwcca"]));
  CHECK(s.pwcca_r2 == close(s.regression));
}

// Columns with mean zero, orthonormal: cosines of `count` frequencies over n points.
Tensor cosines(int64_t n, int64_t first, int64_t count) {
  std::vector<double> values(static_cast<size_t>(n * count));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < count; ++c)
      values[static_cast<size_t>(i * count + c)] =
          std::sqrt(2.0 / static_cast<double>(n)) *
          std::cos(M_PI * (static_cast<double>(i) + 0.5) * static_cast<double>(first + c) /
                   static_cast<double>(n));
  return Tensor::from(values, {n, count}, DType::f64);
}

}  // namespace

TEST_CASE("Kornblith's demonstration reads 0.55761 biased, 0.51346 debiased and 0.65483 radial") {
  const Pair data = demo();
  const Tensor k = linear(data.x), l = linear(data.y);
  const auto published = RbfWidth::kornblith;
  CHECK(cka(k, l, HsicEstimator::biased) == doctest::Approx(0.55761).epsilon(1e-5));
  CHECK(cka(k, l, HsicEstimator::unbiased) == doctest::Approx(0.51346).epsilon(1e-5));
  CHECK(cka(rbf_kernel(k, 0.5, published), rbf_kernel(l, 0.5, published), HsicEstimator::biased) ==
        doctest::Approx(0.65483).epsilon(1e-5));
}

TEST_CASE("HSIC and CKA of both estimators and kernels agree with numpy to 1e-10") {
  check_kernels(demo(), golden()["demo_kernels"]);
  check_kernels(second(), golden()["second_kernels"]);
}

TEST_CASE("regression, CCA, SVCCA and PWCCA agree with whitened covariances in numpy to 1e-9") {
  const Pair first = demo();
  check_subspaces(compare(factored(first.x), factored(first.y)), golden()["demo_subspace"]);
  const Pair data = second();
  const FactoredFeatures a = factored(data.x), b = factored(data.y);
  check_subspaces(compare(a, b, 0.9), golden()["second_subspace"]);
  CHECK(std::min(a.leading(0.9), b.leading(0.9)) ==
        golden()["second_subspace"]["svcca_kept"].get<int64_t>());
}

TEST_CASE("without centring, the demonstration's CCA R2 is 0.54312 as in the notebook") {
  const Pair data = demo();
  CHECK(compare(factor(data.x, 1e-12), factor(data.y, 1e-12)).cca_r2 ==
        doctest::Approx(0.54312).epsilon(1e-5));
}

TEST_CASE("a share of the sum of singular values keeps more directions than one of the variance") {
  const Tensor x = cosines(32, 1, 3) * Tensor::from({8, 4, 1}, {1, 3}, DType::f64);
  const FactoredFeatures factors = factored(x);
  CHECK(factors.leading(0.9) == 2);  // 64, 16, 1 of 81
  CHECK(factors.leading(0.75) == 1);
  CHECK(factors.leading(0.9, VarianceShare::singular_values) == 2);  // 8, 4, 1 of 13
  CHECK(factors.leading(0.75, VarianceShare::singular_values) == 2);
}

TEST_CASE("a wide radial kernel reads like the linear one") {
  const Pair data = demo();
  const Tensor k = linear(data.x), l = linear(data.y);
  CHECK(cka(rbf_kernel(k, 100, RbfWidth::kornblith), rbf_kernel(l, 100, RbfWidth::kornblith),
            HsicEstimator::biased) == doctest::Approx(0.557615).epsilon(1e-5));
}

TEST_CASE("the identity against a balanced one-hot of c classes: sqrt((c - 1) / (n - 1))") {
  const int64_t n = 100, classes = 10;
  Tensor identity = Tensor::zeros({n, n}, DType::f64),
         one_hot = Tensor::zeros({n, classes}, DType::f64);
  for (int64_t i = 0; i < n; ++i) {
    identity.data<double>()[i * (n + 1)] = 1;
    one_hot.data<double>()[i * classes + i % classes] = 1;
  }
  CHECK(cka(linear(identity), linear(one_hot), HsicEstimator::biased) ==
        doctest::Approx(0.301511).epsilon(1e-5));
}

TEST_CASE("orthonormal bases that share k of p and q columns: CKA k / sqrt(pq), regression k / p") {
  const Tensor x = cosines(64, 1, 8), y = cosines(64, 5, 12);  // share columns 5 to 8
  CHECK(cka(linear(x), linear(y), HsicEstimator::biased) ==
        doctest::Approx(0.408248).epsilon(1e-5));
  const SubspaceSimilarity s = compare(factored(x), factored(y));
  CHECK(s.regression == doctest::Approx(0.5));
  CHECK(s.cca_r2 == doctest::Approx(0.5));
  CHECK(s.cca_rho == doctest::Approx(0.5));
}

TEST_CASE("biased CKA of independent layers rises to p / (n + p), the unbiased one stays at 0") {
  LegacyNormal random(5);
  double biased = 0, unbiased = 0;
  const int repeats = 40;
  for (int i = 0; i < repeats; ++i) {
    const Tensor k = linear(random.matrix(32, 8)), l = linear(random.matrix(32, 8));
    biased += cka(k, l, HsicEstimator::biased) / repeats;
    unbiased += cka(k, l, HsicEstimator::unbiased) / repeats;
  }
  CHECK(biased == doctest::Approx(0.2).epsilon(0.05));
  CHECK(std::abs(unbiased) < 4 * std::sqrt(2.0) / 32 / std::sqrt(repeats));
}

TEST_CASE("Y = X + N of equal variance: CKA and R2 of CCA are 1/2, rho is sqrt(1/2)") {
  LegacyNormal random(9);
  const Tensor x = random.matrix(1000, 10), y = x + random.matrix(1000, 10);
  CHECK(std::abs(cka(linear(x), linear(y), HsicEstimator::unbiased) - 0.5) < 0.03);
  const SubspaceSimilarity s = compare(factored(x), factored(y));
  CHECK(std::abs(s.cca_r2 - 0.5) < 0.03);
  CHECK(std::abs(s.cca_rho - std::sqrt(0.5)) < 0.02);
}

TEST_CASE(
    "canonical correlation does not see an invertible map, PWCCA of a layer with itself is 1") {
  const Pair data = demo();
  LegacyNormal random(2);
  const Tensor moved = matmul(data.y, random.matrix(10, 10)) * 3.0 + 100.0;
  const SubspaceSimilarity plain = compare(factored(data.x), factored(data.y));
  const SubspaceSimilarity mapped = compare(factored(data.x), factored(moved));
  CHECK(mapped.cca_r2 == doctest::Approx(plain.cca_r2).epsilon(1e-8));
  CHECK(mapped.regression == doctest::Approx(plain.regression).epsilon(1e-8));
  const SubspaceSimilarity itself = compare(factored(data.x), factored(data.x));
  CHECK(itself.pwcca == doctest::Approx(1));
  CHECK(itself.cca_rho == doctest::Approx(1));
}

TEST_CASE("with p >= n - 1 every canonical correlation is 1, and that is refused with its reason") {
  LegacyNormal random(4);
  const SubspaceSimilarity s =
      compare(factored(random.matrix(12, 11)), factored(random.matrix(12, 14)));
  CHECK(s.cca_r2 == doctest::Approx(1));
  CHECK(s.regression == doctest::Approx(1));
  CHECK(why_not_cca(10, 12).empty());
  CHECK(why_not_cca(11, 12).find("every canonical correlation is 1") != std::string::npos);
}

TEST_CASE("rows compressed by QR give the same factors as all rows at once") {
  LegacyNormal random(6);
  const Tensor all = random.matrix(157, 9) + 5.0;
  FeatureRows rows;
  for (int64_t i = 0; i < 157; i += 8) rows.add(slice(all, 0, i, std::min<int64_t>(8, 157 - i)));
  CHECK(rows.count() == 157);
  const Tensor x = rows.centred(0, 4), y = rows.centred(4, 5);
  CHECK(x.size(0) <= 2 * 10);
  const SubspaceSimilarity small = compare(factor(x, 1e-12), factor(y, 1e-12));
  const SubspaceSimilarity whole =
      compare(factored(slice(all, 1, 0, 4)), factored(slice(all, 1, 4, 5)));
  CHECK(small.cca_rho == doctest::Approx(whole.cca_rho).epsilon(1e-9));
  CHECK(small.regression == doctest::Approx(whole.regression).epsilon(1e-9));
  CHECK(small.pwcca == doctest::Approx(whole.pwcca).epsilon(1e-9));
}

TEST_CASE("a constant layer has rank 0 and no similarity, dead columns are dropped") {
  LegacyNormal random(8);
  const Tensor live = random.matrix(50, 4);
  FeatureRows rows;
  rows.add(Tensor::full({50, 3}, 7.3, DType::f64));
  const FactoredFeatures dead = factor(rows.centred(0, 3));
  CHECK(dead.rank() == 0);
  CHECK(std::isnan(compare(dead, factored(live)).cca_r2));
  const Tensor padded = concat({live, Tensor::full({50, 2}, 3.1, DType::f64)}, 1);
  CHECK(factored(padded).rank() == 4);
  CHECK(compare(factored(padded), factored(live)).cca_r2 == doctest::Approx(1));
}

TEST_CASE("decompositions multiply out to their matrix, and refuse NaN by name") {
  LegacyNormal random(3);
  const auto apart = [](const Tensor& a, const Tensor& b) {
    return std::sqrt(sum(square(a - b)).item());
  };
  for (const auto& [m, n] : {std::pair{7, 4}, std::pair{4, 7}}) {
    const Tensor a = random.matrix(m, n);
    const auto [u, sigma, vt] = svd(a);
    CHECK(apart(matmul(u, Tensor::from(sigma, {4, 1}, DType::f64) * vt), a) < 1e-13);
    const std::vector<double> alone = singular_values(a);
    for (size_t i = 0; i < 4; ++i) CHECK(alone[i] == doctest::Approx(sigma[i]).epsilon(1e-13));
  }
  const Tensor tall = random.matrix(7, 4);
  Tensor gram = matmul(tall, tall, {.transpose_a = true});
  const Tensor r = triangular_factor(tall);
  CHECK(apart(matmul(r, r, {.transpose_a = true}), gram) < 1e-13);
  const auto [values, vectors] = symmetric_eigen(gram);
  const Tensor scaled = vectors * Tensor::from(values, {1, 4}, DType::f64);
  CHECK(apart(matmul(scaled, vectors, {.transpose_b = true}), gram) < 1e-13);
  // 2 on the diagonal and 1 beside it: 2 + 2 cos(k pi / 4).
  const SymmetricEigen chain = tridiagonal_eigen({2, 2, 2}, {1, 1});
  CHECK(chain.values[0] == doctest::Approx(2 - std::sqrt(2.0)).epsilon(1e-14));
  CHECK(chain.values[2] == doctest::Approx(2 + std::sqrt(2.0)).epsilon(1e-14));
  gram.data<double>()[4] = std::nan("");
  CHECK_THROWS_WITH_AS(svd(gram), doctest::Contains("svd: "), Error);
  CHECK_THROWS_WITH_AS(symmetric_eigen(gram), doctest::Contains("symmetric_eigen: "), Error);
}

TEST_CASE("CKA sums batches of different sizes, each by its own n (n - 3)") {
  LegacyNormal random(12);
  MinibatchCka sums(1, 1);
  double cross = 0, first = 0, other = 0;
  for (const int64_t n : {20, 50}) {
    const Tensor x = random.matrix(n, 5), y = x + random.matrix(n, 5);
    const Tensor k = linear(x), l = linear(y);
    sums.add(centred_kernels(k, HsicEstimator::unbiased),
             centred_kernels(l, HsicEstimator::unbiased));
    cross += compared(k, l, HsicEstimator::unbiased).hsic()[0];
    first += compared(k, k, HsicEstimator::unbiased).hsic()[0];
    other += compared(l, l, HsicEstimator::unbiased).hsic()[0];
  }
  CHECK(sums.matrix()[0] == doctest::Approx(cross / std::sqrt(first * other)).epsilon(1e-12));
}

TEST_CASE("Kornblith's check counts rows and columns whose largest entry lies on the diagonal") {
  DepthAxis axis;
  for (const char* path : {"a.out", "b.out", "c.out"}) axis.index_of({.path = path, .name = "out"});
  const LayerMap map{axis, axis, {0.9, 0.2, 0.1, 0.8, 0.7, 0.3, 0.1, 0.2, 0.6}};
  // Rows: a and c found, b taken for a. Columns: all found.
  CHECK(corresponding_share(map) == doctest::Approx(5.0 / 6));
  const LayerMap tied{axis, axis, std::vector<double>(9, 1.0)};
  CHECK(corresponding_share(tied) == 0);
}
