// Matrix products against naive f64 loops, for every type, transpose and kind of leading
// dimensions.
#include <doctest/doctest.h>

#include "tensor/autograd/engine.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/message_of.h"
#include "tests/naive.h"

namespace passband {
namespace {

constexpr DType kTypes[] = {DType::f64, DType::f32, DType::bf16};

struct Product {
  int64_t batch, m, n, k;
};
constexpr Product kProducts[] = {{1, 1, 1, 1},  {1, 17, 13, 31}, {1, 96, 64, 100},
                                 {3, 5, 7, 11}, {6, 65, 65, 64}, {1, 200, 1, 3}};

TEST_CASE("a matrix product equals naive loops for every type and transpose") {
  for (const DType dtype : kTypes)
    for (const auto [batch, m, n, k] : kProducts)
      for (const bool ta : {false, true})
        for (const bool tb : {false, true}) {
          const Shape sa = ta ? Shape{batch, k, m} : Shape{batch, m, k};
          const Shape sb = tb ? Shape{batch, n, k} : Shape{batch, k, n};
          const Tensor a = naive::random(sa, dtype, 1), b = naive::random(sb, dtype, 2);
          const Tensor c = matmul(a, b, {ta, tb});
          CHECK(c.shape() == Shape{batch, m, n});
          CHECK(c.dtype() == dtype);
          naive::check_close(c, naive::matmul(a.values(), b.values(), batch, m, n, k, ta, tb), k);
        }
}

Tensor wide(const Tensor& x) { return cast(x, DType::f64); }

TEST_CASE("a product of many rows equals the one in f64: cut tiles, odd and large depths") {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const auto [batch, m, n, k] :
         {Product{1, 515, 96, 33}, Product{1, 531, 320, 768}, Product{1, 70000, 160, 16},
          Product{1, 61, 75, 1601}, Product{1, 129, 64, 3500}}) {
      const Tensor a = naive::random({m, k}, dtype, 1), w = naive::random({n, k}, dtype, 2),
                   bias = naive::random({n}, dtype, 3), residual = naive::random({m, n}, dtype, 4);
      const std::vector<double> wanted = matmul(wide(a), wide(w), {.transpose_b = true}).values();
      naive::check_close(matmul(a, w, {.transpose_b = true}), wanted, k);
      naive::check_close(matmul(a, transpose(w, 0, 1)), wanted, k);
      naive::check_close(matmul(transpose(a, 0, 1), w, {.transpose_a = true, .transpose_b = true}),
                         wanted, k);
      naive::check_close(linear(a, w, bias, residual),
                         linear(wide(a), wide(w), wide(bias), wide(residual)).values(), k + 2);
    }
}

TEST_CASE("a sum over many rows equals the one in f64: parts of the rows, blocks of the result") {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const auto [batch, m, n, k] :
         {Product{1, 50, 96, 4099}, Product{1, 17, 32, 9001}, Product{1, 300, 544, 4100},
          Product{1, 1025, 160, 4097}, Product{1, 40, 64, 20000}}) {
      const Tensor a = naive::random({k, m}, dtype, 1), b = naive::random({k, n}, dtype, 2);
      naive::check_close(matmul(a, b, {.transpose_a = true}),
                         matmul(wide(a), wide(b), {.transpose_a = true}).values(), k);
    }
}

TEST_CASE("a sum over very many rows is as exact as a short one") {
  for (const DType dtype : kTypes) {
    const Tensor a = naive::random({10000, 5}, dtype, 1), b = naive::random({10000, 7}, dtype, 2);
    naive::check_close(matmul(a, b, {.transpose_a = true}),
                       naive::matmul(a.values(), b.values(), 1, 5, 7, 10000, true, false), 10000);
  }
}

TEST_CASE("a plain matrix multiplies every matrix of a batch") {
  for (const bool ta : {false, true}) {
    const Tensor a = naive::random(ta ? Shape{2, 3, 6, 5} : Shape{2, 3, 5, 6}, DType::f32, 1);
    const Tensor b = naive::random({6, 4}, DType::f32, 2);
    const Tensor c = matmul(a, b, {.transpose_a = ta});
    CHECK(c.shape() == Shape{2, 3, 5, 4});
    std::vector<double> wanted;
    for (int64_t i = 0; i < 6; ++i) {
      const Tensor one = a.view(i * 30, {30});
      const std::vector<double> part =
          naive::matmul(one.values(), b.values(), 1, 5, 4, 6, ta, false);
      wanted.insert(wanted.end(), part.begin(), part.end());
    }
    naive::check_close(c, wanted, 6);
  }
}

TEST_CASE("linear is x times the transposed weight plus bias") {
  for (const DType dtype : kTypes) {
    const Tensor x = naive::random({2, 9, 12}, dtype, 1), w = naive::random({7, 12}, dtype, 2);
    const Tensor b = naive::random({7}, dtype, 3);
    std::vector<double> wanted = naive::matmul(x.values(), w.values(), 1, 18, 7, 12, false, true);
    naive::check_close(linear(x, w), wanted, 12);
    const std::vector<double> bias = b.values();
    for (size_t i = 0; i < wanted.size(); ++i) wanted[i] += bias[i % 7];
    const Tensor y = linear(x, w, b);
    CHECK(y.shape() == Shape{2, 9, 7});
    naive::check_close(y, wanted, 13);
  }
}

TEST_CASE("linear adds a residual, and its gradient is the gradient of the result") {
  for (const DType dtype : kTypes)
    for (const bool biased : {false, true}) {
      const Tensor x = naive::random({2, 9, 12}, dtype, 1), w = naive::random({7, 12}, dtype, 2);
      const Tensor b = biased ? naive::random({7}, dtype, 3) : Tensor{};
      const Tensor residual = naive::random({2, 9, 7}, dtype, 4).leaf(),
                   dy = naive::random({2, 9, 7}, dtype, 5);
      std::vector<double> wanted = naive::matmul(x.values(), w.values(), 1, 18, 7, 12, false, true);
      const std::vector<double> added = residual.values();
      for (size_t i = 0; i < wanted.size(); ++i)
        wanted[i] += added[i] + (biased ? b.values()[i % 7] : 0);
      const Tensor y = linear(x, w, b, residual);
      naive::check_close(y, wanted, 14);
      CHECK(grad(y, {residual}, {.seed = dy})[0].values() == dy.values());
    }
}

TEST_CASE(
    "gradients of a linear layer have the closed form dy w, dy^T x and the column sums of dy") {
  for (const DType dtype : kTypes) {
    const Tensor x = naive::random({4, 5, 12}, dtype, 1).leaf(),
                 w = naive::random({7, 12}, dtype, 2).leaf(),
                 b = naive::random({7}, dtype, 3).leaf(), dy = naive::random({4, 5, 7}, dtype, 4);
    const auto grads = grad(linear(x, w, b), {x, w, b}, {.seed = dy});
    naive::check_close(grads[0], naive::matmul(dy.values(), w.values(), 1, 20, 12, 7, false, false),
                       7);
    naive::check_close(grads[1], naive::matmul(dy.values(), x.values(), 1, 7, 12, 20, true, false),
                       20);
    const std::vector<double> ones(20, 1.0);
    naive::check_close(grads[2], naive::matmul(ones, dy.values(), 1, 1, 7, 20, false, false), 20);
    for (const Tensor& g : grads) CHECK(g.dtype() == dtype);
  }
}

TEST_CASE("a product over an empty dimension is zero, or the bias") {
  Tensor a = Tensor::empty({3, 0}), b = Tensor::empty({0, 2}), w = Tensor::empty({2, 0});
  CHECK(matmul(a, b).values() == std::vector<double>(6, 0.0));
  CHECK(linear(a, w, Tensor::from({1, 2}, {2})).values() == std::vector<double>{1, 2, 1, 2, 1, 2});
  CHECK(matmul(Tensor::empty({0, 4}), Tensor::empty({4, 2})).shape() == Shape{0, 2});
}

TEST_CASE("the same product twice gives the same bits") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor a = naive::random({3000, 48}, dtype, 1), b = naive::random({3000, 40}, dtype, 2);
    CHECK(matmul(a, b, {.transpose_a = true}).values() ==
          matmul(a, b, {.transpose_a = true}).values());
  }
}

TEST_CASE("wrong operands are named with the rule they break") {
  const Tensor a = Tensor::zeros({32, 784}), b = Tensor::zeros({128, 10});
  CHECK(message_of([&] { matmul(a, b); }) ==
        "matmul: inner dimensions differ: a is f32[32, 784]@cpu, b is f32[128, 10]@cpu");
  CHECK(
      message_of([&] {
        matmul(Tensor::zeros({2, 3, 4}), Tensor::zeros({3, 4, 5}));
      }) ==
      "matmul: leading dimensions do not broadcast: a is f32[2, 3, 4]@cpu, b is f32[3, 4, 5]@cpu");
  CHECK(message_of([&] {
          matmul(a, Tensor::zeros({784, 1}, DType::bf16));
        }) ==
        "matmul: element types differ: a is f32[32, 784]@cpu, b "
        "is bf16[784, 1]@cpu; cast one of them");
  CHECK(message_of([&] { linear(a, b); }) ==
        "linear: inner dimensions differ: x is f32[32, 784]@cpu, weight is f32[128, 10]@cpu");
  CHECK(message_of([&] {
          linear(a, Tensor::zeros({10, 784}), Tensor::zeros({9}));
        }) ==
        "linear: bias is f32[9]@cpu, weight is f32[10, 784]@cpu; the "
        "bias has one element per row of the weight");
}

}  // namespace
}  // namespace passband
