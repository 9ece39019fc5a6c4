// The engine: depth, guards, messages, memory, and derivatives of derivatives.
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <string>

#include "tensor/autograd/engine.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"
#include "tests/message_of.h"

namespace passband {
namespace {

Tensor vector_of(const std::vector<double>& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())}, DType::f64);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a chain of a million nodes is built, differentiated and freed") {
  const int64_t before = memory_statistics().live_bytes;
  {
    const Tensor x = vector_of({1.0}).leaf();
    Tensor y = x;
    for (int i = 0; i < 1'000'000; ++i) y = add(y, 1e-6);
    CHECK(y.item() == doctest::Approx(2.0));
    CHECK(grad(y, {x})[0].item() == 1.0);
    Tensor never_differentiated = x;
    for (int i = 0; i < 1'000'000; ++i) never_differentiated = mul(never_differentiated, 1.0);
  }
  CHECK(memory_statistics().live_bytes == before);
}

TEST_CASE("a graph that fans out and meets again sums its gradients once") {
  const Tensor x = vector_of({1.5}).leaf();
  Tensor y = x;
  for (int i = 0; i < 40; ++i) y = add(y, y);  // 2^40 paths
  CHECK(grad(y, {x})[0].item() == std::ldexp(1.0, 40));
}

TEST_CASE("a saved tensor changed in place is noticed, with the op's name") {
  const Tensor x = vector_of({1, 2}).leaf();
  const Tensor y = sum(square(x));
  scale_(x, 2.0);
  const std::string message = message_of([&] { grad(y, {x}); });
  CHECK(contains(message, "square: a tensor saved for backward (f64[2]@cpu) was changed in place"));
}

TEST_CASE("a saved output changed in place is noticed too") {
  const Tensor x = vector_of({1, 2}).leaf();
  const Tensor y = exp(x);
  add_(y, vector_of({1, 1}));
  CHECK(contains(message_of([&] { grad(sum(y), {x}); }), "exp: a tensor saved for backward"));
}

TEST_CASE("a graph is released by backward unless it is to be kept") {
  const Tensor x = vector_of({3}).leaf();
  const Tensor y = square(x);
  CHECK(grad(y, {x}, {.retain_graph = true})[0].item() == 6);
  CHECK(grad(y, {x})[0].item() == 6);
  CHECK(contains(message_of([&] { grad(y, {x}); }),
                 "square: the graph was released by an earlier backward; pass "
                 ".retain_graph = true to the first one"));
}

TEST_CASE("an op without a gradient poisons its result by name") {
  const Tensor x = Tensor::from({1, 5, 2}, {1, 3}, DType::f64).leaf();
  const Tensor y = sum(cast(argmax(x, 1), DType::f64));
  CHECK(contains(message_of([&] { grad(y, {x}); }),
                 "argmax is not differentiable; detach() if that is meant"));
  CHECK(sum(cast(argmax(x.detach(), 1), DType::f64)).item() == 1);
}

TEST_CASE("an input that is not used is an error, or zeros on request") {
  const Tensor x = vector_of({1, 2}).leaf(), unused = vector_of({3, 4, 5}).leaf();
  const Tensor y = sum(square(x));
  CHECK(contains(
      message_of([&] {
        grad(y, {x, unused}, {.retain_graph = true});
      }),
      "the output does not depend on input f64[3]@cpu; pass .allow_unused = true for zeros"));
  const auto gradients = grad(y, {x, unused}, {.allow_unused = true});
  CHECK(gradients[0].values() == std::vector<double>{2, 4});
  CHECK(gradients[1].values() == std::vector<double>{0, 0, 0});
}

TEST_CASE("outputs and inputs outside a graph are named") {
  const Tensor x = vector_of({1, 2}).leaf(), constant = vector_of({1, 2});
  CHECK(contains(message_of([&] { grad(square(constant), {x}); }), "does not depend on any leaf"));
  CHECK(contains(message_of([&] { grad(square(x), {x}); }),
                 "has more than one element; give a seed"));
  CHECK(
      contains(message_of([&] { grad(sum(x), {constant}); }), "is not tracked; make it a leaf()"));
  CHECK(contains(message_of([&] {
                   grad(sum(x), {x}, {.seed = vector_of({1, 1})});
                 }),
                 "the seed is f64[2]@cpu"));
  CHECK(contains(message_of([&] { (void)Tensor::from({1}, {1}, DType::i32).leaf(); }),
                 "only a floating-point tensor"));
}

TEST_CASE("a gradient can be asked for at a tensor in the middle of the graph") {
  const Tensor x = vector_of({2}).leaf();
  const Tensor middle = square(x), y = mul(middle, 5.0);
  const auto gradients = grad(y, {middle, x});
  CHECK(gradients[0].item() == 5);
  CHECK(gradients[1].item() == 20);
}

TEST_CASE("backward adds to the gradient of a leaf, and clear_grad removes it") {
  const Tensor x = vector_of({3}).leaf();
  CHECK_FALSE(grad_of(x).defined());
  backward(square(x));
  backward(square(x));
  CHECK(grad_of(x).item() == 12);
  clear_grad(x);
  CHECK_FALSE(grad_of(x).defined());
}

TEST_CASE("a bound leaf collects its gradient in the memory given to it") {
  const Tensor flat = Tensor::zeros({5}, DType::f64);
  const Tensor x = vector_of({1, 2, 3}).leaf();
  bind_grad(x, flat.view(1, {3}));
  backward(sum(square(x)));
  backward(sum(x));
  CHECK(flat.values() == std::vector<double>{0, 3, 5, 7, 0});
  clear_grad(x);
  CHECK(flat.values() == std::vector<double>(5, 0.0));
  CHECK(contains(message_of([&] { bind_grad(x, flat); }), "does not fit"));
}

TEST_CASE("a bound f32 leaf that is used in bf16 sums its gradients in f32") {
  // Of 1 + 2^-7 and 2^-9: their sum is no bf16.
  const std::vector<float> first = {1.0078125f, 3}, second = {0.001953125f, 5};
  const auto weight = [](const std::vector<float>& by) {
    return cast(Tensor::from(by, {2}), DType::bf16);
  };
  Tensor memory = Tensor::full({2}, 0.5);
  const std::vector<float> start = {1, 2};
  const Tensor x = Tensor::from(start, {2}).leaf(), half = cast(x.detach(), DType::bf16);
  bind_grad(x, memory);
  const auto used = [&](const std::vector<float>& by) {
    return sum(cast(cast_as(x, half) * weight(by), DType::f32));
  };
  backward(used(first));
  CHECK(memory.values() == std::vector<double>{1.5078125, 3.5});
  backward(used(first) + used(second));
  CHECK(memory.values() == std::vector<double>{2.517578125, 11.5});
  backward(used(first) + sum(x * x) + used(second));
  CHECK(memory.values() == std::vector<double>{5.52734375, 23.5});
  const Tensor dx = grad(used(first), {x})[0];
  CHECK(dx.dtype() == DType::f32);
  CHECK(dx.values() == std::vector<double>{1.0078125, 3});
}

TEST_CASE("nothing leaks: live memory returns to what it was") {
  const int64_t before = memory_statistics().live_bytes;
  {
    const Tensor x = Tensor::full({64, 64}, 0.5).leaf();
    const Tensor y = sum(square(softmax(tanh(x))));
    const Tensor g = grad(y, {x}, {.create_graph = true})[0];
    backward(sum(square(g)));
    const Tensor abandoned = exp(mul(x, x));
  }
  CHECK(memory_statistics().live_bytes == before);
}

TEST_CASE("derivatives of x^5 come out in closed form up to the fifth order") {
  const Tensor x = vector_of({1.5}).leaf();
  Tensor y = pow(x, 5);
  double factor = 1;
  for (int order = 1; order <= 5; ++order) {
    y = grad(y, {x}, {.create_graph = true})[0];
    factor *= 6 - order;
    CHECK(y.item() == doctest::Approx(factor * std::pow(1.5, 5 - order)).epsilon(1e-12));
  }
}

TEST_CASE("the second derivative of sin(x) e^x is 2 cos(x) e^x") {
  const Tensor x = vector_of({0.7}).leaf();
  const Tensor first = grad(mul(sin(x), exp(x)), {x}, {.create_graph = true})[0];
  CHECK(grad(first, {x})[0].item() ==
        doctest::Approx(2 * std::cos(0.7) * std::exp(0.7)).epsilon(1e-13));
}

double rosenbrock_hvp(const Tensor& v, const Tensor& along) {
  const Tensor x = vector_of({0.3, -0.8, 1.1}).leaf();
  const Tensor head = slice(x, 0, 0, 2), tail = slice(x, 0, 1, 2);
  const Tensor y = sum(100.0 * square(tail - square(head)) + square(1.0 - head));
  const Tensor g = grad(y, {x}, {.create_graph = true})[0];
  return sum(mul(grad(sum(mul(g, v)), {x})[0], along)).item();
}

TEST_CASE("Hessian-vector products are symmetric and equal the Hessian of Rosenbrock's function") {
  const Tensor u = vector_of({1, 2, -1}), v = vector_of({0.5, -1, 3});
  CHECK(rosenbrock_hvp(u, v) == doctest::Approx(rosenbrock_hvp(v, u)).epsilon(1e-12));
  const Tensor e0 = vector_of({1, 0, 0}), e1 = vector_of({0, 1, 0});
  CHECK(rosenbrock_hvp(e0, e0) == doctest::Approx(1200 * 0.09 - 400 * -0.8 + 2).epsilon(1e-12));
  CHECK(rosenbrock_hvp(e0, e1) == doctest::Approx(-400 * 0.3).epsilon(1e-12));
}

TEST_CASE("gradients are recorded only when a graph of them is asked for") {
  const Tensor x = vector_of({2}).leaf();
  CHECK_FALSE(grad(square(x), {x})[0].tracked());
  CHECK(grad(square(x), {x}, {.create_graph = true})[0].tracked());
  CHECK(recording());
}

TEST_CASE("NoGrad switches recording off for its scope, nested scopes included") {
  const Tensor x = vector_of({2}).leaf();
  {
    const NoGrad guard;
    CHECK_FALSE(square(x).tracked());
    {
      const RecordGuard on(true);
      CHECK(square(x).tracked());
    }
    CHECK_FALSE(square(x).tracked());
  }
  CHECK(square(x).tracked());
  CHECK_FALSE(square(x.detach()).tracked());
}

TEST_CASE("who listens hears each operation, parts before the whole, and only in its scope") {
  const Tensor x = vector_of({3.0, -1.0, 2.0});
  std::vector<HeardOperation> heard;
  {
    const ListenGuard guard([&](HeardOperation one) { heard.push_back(std::move(one)); });
    const Tensor y = slice(relu(x * 2.0), 0, 2, 1);
    CHECK(heard.size() == 3);
    CHECK(heard.back().output.raw() == y.raw());
  }
  CHECK(!listening());
  relu(x);
  REQUIRE(heard.size() == 3);
  CHECK(std::string(heard[0].name) == "mul");
  CHECK(heard[0].inputs[0].raw() == x.raw());
  CHECK(heard[0].attributes[0].numbers == std::vector<double>{2});
  CHECK(std::string(heard[1].name) == "relu");
  CHECK(heard[1].inputs[0].raw() == heard[0].output.raw());
  CHECK(heard[1].output.values() == std::vector<double>{6, 0, 4});
  CHECK(std::string(heard[2].name) == "slice");
  CHECK(heard[2].attributes[1].numbers == std::vector<double>{2});  // dim, start, step
}

TEST_CASE("an error in backward leaves recording as it was") {
  const Tensor x = vector_of({1, 5}).leaf();
  const Tensor y = cast(argmax(x, 0), DType::f64);
  CHECK_THROWS_AS(grad(y, {x}), Error);
  CHECK(recording());
}

TEST_CASE("a graph that holds the same tensor twice gets both gradients") {
  const Tensor x = vector_of({3}).leaf();
  CHECK(grad(mul(x, x), {x})[0].item() == 6);
  CHECK(grad(concat({x, x}, 0), {x}, {.seed = vector_of({2, 5})})[0].item() == 7);
}

TEST_CASE("gradients that meet do not overwrite the seed or each other") {
  const Tensor a = vector_of({1}).leaf(), b = vector_of({2}).leaf(), seed = vector_of({1});
  const Tensor y = add(add(a, b), add(a, a));
  const auto gradients = grad(y, {a, b}, {.seed = seed});
  CHECK(gradients[0].item() == 3);
  CHECK(gradients[1].item() == 1);
  CHECK(seed.item() == 1);
}

}  // namespace
}  // namespace passband
