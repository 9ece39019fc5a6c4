// Centred kernel alignment against published numbers, closed forms and its invariances.
#include <doctest/doctest.h>

#include <cmath>

#include "analysis/similarity/cka.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
#include "tests/legacy_normal.h"

using namespace passband;

namespace {

double cka(const Tensor& x, const Tensor& y) {
  bool dead = false;
  const Tensor k = u_centred_gram(x, dead), l = u_centred_gram(y, dead);
  MinibatchCka sums(1, 1);
  sums.add(reshape(k, Shape{1, k.numel()}), reshape(l, Shape{1, l.numel()}));
  return sums.matrix()[0];
}

struct Demo {
  Tensor x, y;
  Demo() {
    LegacyNormal random(1337);
    x = random.matrix(100, 10);
    y = random.matrix(100, 10) + x;
  }
};

}  // namespace

TEST_CASE("debiased linear CKA of Kornblith's demonstration is 0.51346") {
  const Demo demo;
  CHECK(cka(demo.x, demo.y) == doctest::Approx(0.51346).epsilon(2e-5));
}

TEST_CASE("the U-centred inner product of the demonstration gives HSIC_1 = 9.895955787") {
  const Demo demo;
  bool dead = false;
  const std::vector<double> k = u_centred_gram(demo.x, dead).values(),
                            l = u_centred_gram(demo.y, dead).values();
  double product = 0;
  for (size_t i = 0; i < k.size(); ++i) product += k[i] * l[i];
  CHECK(product / (100.0 * 97.0) == doctest::Approx(9.895955787).epsilon(1e-9));
}

TEST_CASE("CKA of a layer with itself is 1 and symmetric between two") {
  const Demo demo;
  CHECK(cka(demo.x, demo.x) == doctest::Approx(1).epsilon(1e-12));
  CHECK(cka(demo.x, demo.y) == doctest::Approx(cka(demo.y, demo.x)).epsilon(1e-12));
}

TEST_CASE(
    "CKA does not change under rotation, scale and "
    "translation, but does under a general linear map") {
  const Demo demo;
  const double c = std::cos(0.7), s = std::sin(0.7);
  Tensor rotation = Tensor::zeros({10, 10}, DType::f64),
         stretch = Tensor::zeros({10, 10}, DType::f64);
  for (int64_t i = 0; i < 10; ++i) {
    rotation.data<double>()[i * 11] = 1;
    stretch.data<double>()[i * 11] = i == 0 ? 30 : 1;
  }
  double* r = rotation.data<double>();
  r[0] = c, r[3] = -s, r[30] = s, r[33] = c;
  const Tensor moved = matmul(demo.y, rotation) * 3.5 + 1000.0;
  CHECK(cka(demo.x, moved) == doctest::Approx(cka(demo.x, demo.y)).epsilon(1e-9));
  CHECK(std::abs(cka(demo.x, matmul(demo.y, stretch)) - cka(demo.x, demo.y)) > 0.05);
}

TEST_CASE("a large common offset in f32 does not disturb CKA") {
  const Demo demo;
  const double exact = cka(demo.x, demo.y);
  CHECK(std::abs(cka(cast(demo.x, DType::f32) + 1e3, cast(demo.y, DType::f32) + 1e3) - exact) <
        1e-4);
}

TEST_CASE("HSIC_1 averaged over all subsets of four is HSIC_1 of the whole") {
  LegacyNormal random(3);
  const Tensor x = random.matrix(6, 3), y = random.matrix(6, 2);
  const auto hsic = [&](const std::vector<int64_t>& rows) {
    std::vector<Tensor> xs, ys;
    for (const int64_t row : rows) {
      xs.push_back(slice(x, 0, row, 1));
      ys.push_back(slice(y, 0, row, 1));
    }
    bool dead = false;
    const std::vector<double> k = u_centred_gram(concat(xs, 0), dead).values();
    const std::vector<double> l = u_centred_gram(concat(ys, 0), dead).values();
    double product = 0;
    for (size_t i = 0; i < k.size(); ++i) product += k[i] * l[i];
    const double n = static_cast<double>(rows.size());
    return product / (n * (n - 3));
  };
  double total = 0, count = 0;
  for (int64_t a = 0; a < 6; ++a)
    for (int64_t b = a + 1; b < 6; ++b)
      for (int64_t c = b + 1; c < 6; ++c)
        for (int64_t d = c + 1; d < 6; ++d) {
          total += hsic({a, b, c, d});
          count += 1;
        }
  CHECK(total / count == doctest::Approx(hsic({0, 1, 2, 3, 4, 5})).epsilon(1e-9));
}

TEST_CASE("a batch that is taken away leaves the sums of the others") {
  LegacyNormal random(5);
  bool dead = false;
  std::vector<Tensor> batches;  // (2, n^2), two layers
  for (int i = 0; i < 3; ++i)
    batches.push_back(concat(
        {u_centred_gram(random.matrix(8, 3), dead), u_centred_gram(random.matrix(8, 4), dead)}, 0));
  MinibatchCka all(2, 2), others(2, 2), second(2, 2);
  for (const Tensor& batch : batches) all.add(batch, batch);
  second.add(batches[1], batches[1]);
  for (const int i : {0, 2})
    others.add(batches[static_cast<size_t>(i)], batches[static_cast<size_t>(i)]);
  const std::vector<double> whole = all.matrix();
  MinibatchCka left = all;
  left.add(second, -1);
  CHECK(left.batches() == 2);
  for (size_t i = 0; i < 4; ++i)
    CHECK(left.matrix()[i] == doctest::Approx(others.matrix()[i]).epsilon(1e-9));
  CHECK(all.matrix() == whole);  // the copy has sums of its own
}

TEST_CASE("a constant layer is flagged as dead and its cells are not numbers") {
  bool dead = false;
  const Tensor constant = Tensor::full({8, 5}, 7.0);
  const Tensor gram = u_centred_gram(constant, dead);
  CHECK(dead);
  MinibatchCka sums(1, 1);
  const Tensor row = reshape(gram, Shape{1, gram.numel()});
  sums.add(row, row);
  CHECK(std::isnan(sums.matrix()[0]));
}

TEST_CASE("fewer than four pictures a batch are refused") {
  bool dead = false;
  CHECK_THROWS_WITH_AS(u_centred_gram(Tensor::zeros({3, 5}), dead),
                       "cka: needs at least 4 pictures a batch, got 3", Error);
}
