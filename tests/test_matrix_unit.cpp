// f32 products on the CPU's matrix unit, which multiplies bf16 numbers only, against f64 and
// against what plain f32 arithmetic gives. On a CPU without the unit the products are refused, and
// the rest goes by the other products.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tensor/autograd/engine.h"
#include "tensor/core/parallel.h"
#include "tensor/cpu/matrix_unit.h"
#include "tensor/cpu/tall_product.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/mlp.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/naive.h"

namespace passband {
namespace {

Tensor wide(const Tensor& x) { return cast(x, DType::f64); }

// Numbers of all magnitudes between about 1e-4 and 1e4, of both signs.
Tensor spread(const Shape& shape, uint64_t seed) {
  return cast(mul(naive::random(shape, DType::f64, seed),
                  exp(mul(naive::random(shape, DType::f64, seed + 1), 3.0))),
              DType::f32);
}

// The errors of a (m, k) b (k, n), relative to the sum of the magnitudes of its terms.
struct Errors {
  double mean = 0, worst = 0;

  Errors(const std::vector<double>& c, const Tensor& a, const Tensor& b) {
    const std::vector<double> exact = matmul(wide(a), wide(b)).values();
    const std::vector<double> scale = matmul(abs(wide(a)), abs(wide(b))).values();
    for (size_t i = 0; i < exact.size(); ++i) {
      const double error = std::abs(c[i] - exact[i]) / scale[i];
      worst = numeric::worse(worst, error);
      mean += error / static_cast<double>(exact.size());
    }
  }
};

// Every sum by one f32 multiply-add after the other.
std::vector<double> by_multiply_adds(const Tensor& a, const Tensor& b) {
  const int64_t m = a.size(0), n = b.size(1), k = a.size(1);
  std::vector<double> c(static_cast<size_t>(m * n));
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t l = 0; l < k; ++l)
        sum = std::fma(a.data<float>()[i * k + l], b.data<float>()[l * n + j], sum);
      c[i * n + j] = sum;
    }
  return c;
}

TEST_CASE("where there is no unit, or it is switched off, its products are refused") {
  if (cpu::matrix_unit::available()) return;
  Tensor a = naive::random({300, 300}, DType::f32, 1), c = Tensor::empty({300, 300});
  CHECK_FALSE(
      cpu::split_product({300, 300, 300}, c.data<float>(), a.data<float>(), a.data<float>()));
  CHECK_FALSE(cpu::split_transposed_product(300, 300, 300, c.data<float>(), a.data<float>(),
                                            a.data<float>()));
}

TEST_CASE("three bf16 parts make up an f32 number: a product with the identity is exact") {
  if (!cpu::matrix_unit::available()) return;
  constexpr int64_t m = 300, k = 100;
  Tensor a = spread({m, k}, 1);
  // roundings that carry, a tie, the largest number that has parts, and a small one
  int64_t at = 0;
  for (const float number : {0x1.fffffep0f, -0x1.fefffep0f, 0x1.01p0f, 0x1.0101p0f, 0x1.000002p0f,
                             0x1.fefffep127f, 0x1p-100f})
    a.data<float>()[at++] = number;
  std::vector<double> ones(static_cast<size_t>(k * k));
  for (int64_t i = 0; i < k; ++i) ones[i * k + i] = 1;
  const Tensor identity = Tensor::from(ones, {k, k}, DType::f32);
  Tensor c = Tensor::empty({m, k});
  REQUIRE(cpu::split_product({m, k, k}, c.data<float>(), a.data<float>(), identity.data<float>()));
  CHECK(c.values() == a.values());
  Tensor turned = Tensor::empty({k, k}), square = spread({k, k}, 3);
  REQUIRE(cpu::split_transposed_product(k, k, k, turned.data<float>(), square.data<float>(),
                                        identity.data<float>()));
  CHECK(turned.values() == transpose(square, 0, 1).values());
}

TEST_CASE("a product on the matrix unit is as exact as one of f32 multiply-adds") {
  if (!cpu::matrix_unit::available()) return;
  for (const int64_t k : {64, 200, 1000}) {
    const int64_t m = 70, n = 45;
    Tensor a = spread({m, k}, 1), b = spread({k, n}, 3), c = Tensor::empty({m, n});
    const Errors plain(by_multiply_adds(a, b), a, b);
    REQUIRE(cpu::split_product({m, n, k}, c.data<float>(), a.data<float>(), b.data<float>()));
    const Errors rows(c.values(), a, b);
    CHECK(rows.mean <= plain.mean);
    CHECK(rows.worst <= 1.5 * plain.worst);
    const Tensor at = transpose(a, 0, 1);
    REQUIRE(
        cpu::split_transposed_product(m, n, k, c.data<float>(), at.data<float>(), b.data<float>()));
    const Errors columns(c.values(), a, b);
    CHECK(columns.mean <= plain.mean);
    CHECK(columns.worst <= 1.5 * plain.worst);
  }
}

TEST_CASE(
    "products on the matrix unit take any shape, biases, "
    "residuals and both layouts of the right factor") {
  if (!cpu::matrix_unit::available()) return;
  for (const auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                               {33, 31, 32},
                               {65, 97, 33},
                               {300, 300, 700},
                               {70, 1100, 2100}}) {
    Tensor a = naive::random({m, k}, DType::f32, 1), w = naive::random({n, k}, DType::f32, 2),
           bias = naive::random({n}, DType::f32, 3),
           residual = naive::random({m, n}, DType::f32, 4), c = Tensor::empty({m, n}),
           b = transpose(w, 0, 1);
    const std::vector<double> wanted =
        linear(wide(a), wide(w), wide(bias), wide(residual)).values();
    REQUIRE(cpu::split_product({m, n, k, true, bias.data<float>(), residual.data<float>()},
                               c.data<float>(), a.data<float>(), w.data<float>()));
    naive::check_close(c, wanted, k + 2);
    REQUIRE(cpu::split_product({m, n, k, false, bias.data<float>(), residual.data<float>()},
                               c.data<float>(), a.data<float>(), b.data<float>()));
    naive::check_close(c, wanted, k + 2);
  }
}

TEST_CASE("sums over many rows on the matrix unit: parts, chunks and blocks of the result") {
  if (!cpu::matrix_unit::available()) return;
  for (const auto [m, n, k] :
       {std::array<int64_t, 3>{5, 40, 3000}, {130, 97, 4500}, {700, 600, 550}}) {
    Tensor a = naive::random({k, m}, DType::f32, 1), b = naive::random({k, n}, DType::f32, 2),
           c = Tensor::empty({m, n});
    REQUIRE(
        cpu::split_transposed_product(m, n, k, c.data<float>(), a.data<float>(), b.data<float>()));
    naive::check_close(c, matmul(wide(a), wide(b), {.transpose_a = true}).values(), k);
  }
}

TEST_CASE("numbers without bf16 parts are refused, and the product is IEEE's") {
  const int64_t m = 300, n = 128, k = 96;
  for (const float odd :
       {std::numeric_limits<float>::infinity(), std::nanf(""), std::numeric_limits<float>::max()})
    for (const bool left : {false, true}) {
      Tensor a = naive::random({m, k}, DType::f32, 1), b = naive::random({k, n}, DType::f32, 2),
             c = Tensor::empty({m, n});
      (left ? a : b).data<float>()[7] = odd;
      CHECK_FALSE(cpu::split_product({m, n, k}, c.data<float>(), a.data<float>(), b.data<float>()));
      const double at = matmul(a, b).values()[left ? 0 : 7];
      const float factor = left ? b.data<float>()[7 * n] : a.data<float>()[0];
      if (std::isinf(odd)) CHECK(at == static_cast<double>(odd * factor));
      if (std::isnan(odd)) CHECK(std::isnan(at));
      if (std::isfinite(odd))
        CHECK(at == doctest::Approx(static_cast<double>(odd) * static_cast<double>(factor)));
      Tensor rows = naive::random({2000, m}, DType::f32, 3),
             others = naive::random({2000, n}, DType::f32, 4), sums = Tensor::empty({m, n});
      (left ? rows : others).data<float>()[1999 * (left ? m : n)] = odd;
      CHECK_FALSE(cpu::split_transposed_product(m, n, 2000, sums.data<float>(), rows.data<float>(),
                                                others.data<float>()));
      if (std::isnan(odd))
        CHECK(std::isnan(matmul(rows, others, {.transpose_a = true}).values()[0]));
    }
}

TEST_CASE("an MLP of many f32 rows equals the one in f64, with its gradients") {
  for (const GeluForm form : {GeluForm::erf, GeluForm::tanh}) {
    const Tensor x = naive::random({301, 100}, DType::f32, 1),
                 w1 = naive::random({210, 100}, DType::f32, 2),
                 b1 = naive::random({210}, DType::f32, 3),
                 w2 = naive::random({110, 210}, DType::f32, 4),
                 b2 = naive::random({110}, DType::f32, 5),
                 residual = naive::random({301, 110}, DType::f32, 6),
                 dy = naive::random({301, 110}, DType::f32, 7);
    const auto run = [&](DType dtype) {
      std::vector<Tensor> inputs;
      for (const Tensor& t : {x, w1, b1, w2, b2, residual}) inputs.push_back(cast(t, dtype).leaf());
      const Tensor y = mlp(inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], inputs[5], form);
      std::vector<Tensor> results = grad(sum(mul(y, cast(dy, dtype))), inputs);
      results.push_back(y);
      return results;
    };
    const std::vector<Tensor> actual = run(DType::f32), wanted = run(DType::f64);
    for (size_t i = 0; i < actual.size(); ++i)
      naive::check_close(actual[i], wanted[i].values(), 1000);
  }
}

TEST_CASE("large f32 products and an MLP have the same bits on any number of threads") {
  const Tensor x = naive::random({700, 96}, DType::f32, 1),
               w1 = naive::random({200, 96}, DType::f32, 2),
               b1 = naive::random({200}, DType::f32, 3),
               w2 = naive::random({96, 200}, DType::f32, 4);
  const auto run = [&](int threads) {
    const int before = thread_count();
    set_thread_count(threads);
    std::vector<double> all = mlp(x, w1, b1, w2).values();
    for (const double v : matmul(x, w1, {.transpose_b = true}).values()) all.push_back(v);
    set_thread_count(before);
    return all;
  };
  const std::vector<double> one = run(1);
  CHECK(run(2) == one);
  CHECK(run(5) == one);
}

}  // namespace
}  // namespace passband
