// The lambda layer against naive f64 loops, its two orders against one another, closed forms,
// derivatives of any order.
#include "tests/numeric.h"

#include "tensor/core/parallel.h"
#include "tensor/ops/attention/lambda.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/shape.h"
#include "tests/nn_reference.h"

namespace passband {
namespace {

using namespace numeric;

struct Case {
  int64_t batch, height, width, value;
  LambdaOptions options;
  bool bias = true;
};

Shape embedding_shape(const Case& c) {
  const LambdaOptions& o = c.options;
  return {o.window ? o.window : 2 * c.height - 1, o.window ? o.window : 2 * c.width - 1, o.depth,
          o.intra_depth};
}

// q, keys, values, embedding and (when the case has one) its bias.
Tensors inputs_of(const Case& c, DType dtype = DType::f64) {
  const LambdaOptions& o = c.options;
  Tensors inputs{
      random_tensor({c.batch, c.height, c.width, o.heads * o.depth}, 1, dtype),
      random_tensor({c.batch, c.height, c.width, o.intra_depth * o.depth}, 2, dtype, -2, 2),
      random_tensor({c.batch, c.height, c.width, o.intra_depth * c.value}, 3, dtype),
      random_tensor(embedding_shape(c), 4, dtype)};
  if (c.bias) inputs.push_back(random_tensor({o.depth}, 5, dtype));
  return inputs;
}

Function function_of(const Case& c, LambdaOrder order = LambdaOrder::automatic) {
  LambdaOptions options = c.options;
  options.order = order;
  return [options](const Tensors& t) {
    return lambda_layer(t[0], t[1], t[2], t[3], t.size() > 4 ? t[4] : Tensor{}, options);
  };
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {2, 3, 3, 4, {.heads = 2, .depth = 3}},
      {1, 2, 5, 3, {.heads = 1, .depth = 4}, false},
      {2, 4, 4, 2, {.heads = 2, .depth = 2, .window = 3}},
      {1, 3, 4, 2, {.heads = 2, .depth = 2, .intra_depth = 2, .window = 3}},
      {2, 2, 3, 3, {.heads = 2, .depth = 3, .intra_depth = 2}},
      {1, 3, 3, 2, {.heads = 2, .depth = 2, .window = 9}},
      {1, 1, 1, 1, {.heads = 1, .depth = 1}},
      {3, 9, 19, 17, {.heads = 4, .depth = 16, .intra_depth = 2, .window = 7}},
      {2, 8, 8, 16, {.heads = 4, .depth = 16, .window = 23}},
  };
  return all;
}

constexpr LambdaOrder kOrders[] = {LambdaOrder::score_first, LambdaOrder::lambda_first};

TEST_CASE(
    "the lambda layer equals naive f64 loops in both orders, global and local, for every type") {
  for (const Case& c : cases())
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      const Tensors t = inputs_of(c, dtype);
      const std::vector<double> expected = reference::lambda_layer(t, c.options);
      for (const LambdaOrder order : kOrders) {
        CAPTURE(t[0].describe());
        CAPTURE(static_cast<int>(order));
        CHECK(max_error(function_of(c, order)(t), expected) < (dtype == DType::f64   ? 1e-13
                                                               : dtype == DType::f32 ? 2e-5
                                                                                     : 1e-2));
      }
    }
}

TEST_CASE(
    "both orders of the lambda layer have the same gradients, and so has the composed formula") {
  for (const Case& c : cases()) {
    const Tensors inputs = inputs_of(c);
    CAPTURE(inputs[0].describe());
    const Tensors a = gradients(function_of(c, kOrders[0]), inputs),
                  b = gradients(function_of(c, kOrders[1]), inputs);
    for (size_t i = 0; i < a.size(); ++i) CHECK(max_error(a[i], b[i]) < 1e-12);
    CHECK(fused_against_composed(function_of(c), inputs) < 1e-12);
  }
}

TEST_CASE("the lambda layer's gradients equal differences to the third order") {
  for (const Case& c : cases()) {
    if (c.batch * c.height * c.width > 40) continue;
    const Tensors inputs = inputs_of(c);
    CAPTURE(inputs[0].describe());
    for (const LambdaOrder order : kOrders)
      CHECK(gradient_error(function_of(c, order), inputs) < 1e-7);
    CHECK(gradient_error(directional(function_of(c)), inputs) < 1e-7);
    if (c.batch * c.height * c.width > 12) continue;
    CHECK(gradient_error(directional(directional(function_of(c))), inputs) < 1e-6);
  }
}

TEST_CASE("the lambda layer's fused gradients equal the composed ones in f32 and bf16") {
  for (const Case& c : {cases()[7], cases()[8]})
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Tensors narrow = inputs_of(c, dtype);
      Tensors wide;
      for (const Tensor& t : narrow) wide.push_back(cast(t, DType::f64));
      const Tensors exact = gradients(function_of(c), wide);
      for (const LambdaOrder order : kOrders) {
        const Tensors g = gradients(function_of(c, order), narrow);
        for (size_t i = 0; i < g.size(); ++i) {
          CAPTURE(i);
          CHECK(max_error(g[i], exact[i]) < (dtype == DType::f32 ? 1e-4 : 3e-2));
        }
      }
    }
}

TEST_CASE(
    "without positions the lambda layer with equal keys applies "
    "the average of the values to every query") {
  const Tensor q = random_tensor({2, 3, 3, 4}, 1),
               keys = Tensor::full({2, 3, 3, 2}, 0.3, DType::f64);
  const Tensor values = random_tensor({2, 3, 3, 5}, 3),
               none = Tensor::zeros({5, 5, 2, 1}, DType::f64);
  const Tensor y = lambda_layer(q, keys, values, none, {}, {.heads = 2, .depth = 2});
  const Tensor average = mean(values, {1, 2}, true);                      // (N, 1, 1, v)
  const Tensor scale = sum(reshape(q, Shape{2, 3, 3, 2, 2}), {4}, true);  // (N, H, W, h, 1)
  const Tensor expected = scale * reshape(average, Shape{2, 1, 1, 1, 5});
  CHECK(max_error(reshape(y, expected.shape()), expected) < 1e-14);
}

TEST_CASE("an embedding that is one at offset zero and zero elsewhere adds the query's own value") {
  const Tensor q = random_tensor({1, 4, 4, 3}, 1), keys = random_tensor({1, 4, 4, 1}, 2),
               values = random_tensor({1, 4, 4, 2}, 3);
  Tensor own = Tensor::zeros({3, 3, 1, 1}, DType::f64);
  const LambdaOptions options{.heads = 3, .depth = 1, .window = 3};
  const Tensor without = lambda_layer(q, keys, values, own, {}, options);
  own = Tensor::from({0, 0, 0, 0, 1, 0, 0, 0, 0}, {3, 3, 1, 1}, DType::f64);
  const Tensor with = lambda_layer(q, keys, values, own, {}, options);
  const Tensor expected = reshape(q, Shape{1, 4, 4, 3, 1}) * reshape(values, Shape{1, 4, 4, 1, 2});
  CHECK(max_error(reshape(with - without, expected.shape()), expected) < 1e-14);
}

TEST_CASE("a local window that covers the map equals the global table") {
  const Case local{2, 4, 4, 5, {.heads = 2, .depth = 3, .window = 7}},
      global{2, 4, 4, 5, {.heads = 2, .depth = 3}};
  const Tensors inputs = inputs_of(local);
  CHECK(max_error(function_of(local)(inputs), function_of(global)(inputs)) < 1e-15);
}

TEST_CASE("the effective weights applied to the values give the lambda layer's result") {
  for (const Case& c : cases()) {
    if (c.options.intra_depth != 1) continue;
    const Tensors t = inputs_of(c);
    CAPTURE(t[0].describe());
    const int64_t n = c.height * c.width, h = c.options.heads;
    const Tensor weights = lambda_weights(t[0], t[1], t[3], c.options);  // (N, h, n, n)
    const Tensor y = matmul(reshape(weights, Shape{c.batch, h * n, n}),
                            reshape(t[2], Shape{c.batch, n, c.value}));
    const Tensor expected = lambda_layer(t[0], t[1], t[2], t[3], {}, c.options);
    const Tensor joined = permute(reshape(y, Shape{c.batch, h, n, c.value}), {0, 2, 1, 3});
    CHECK(max_error(reshape(joined, expected.shape()), expected) < 1e-12);
  }
}

TEST_CASE("the lambda layer gives the same bits on any number of threads") {
  const int threads = thread_count();
  const Case c{40, 8, 8, 16, {.heads = 4, .depth = 16, .window = 7}};
  const Tensors inputs = inputs_of(c, DType::f32);
  for (const LambdaOrder order : kOrders) {
    set_thread_count(1);
    const Tensor alone = function_of(c, order)(inputs);
    const Tensors alone_gradients = gradients(function_of(c, order), inputs);
    for (const int count : {2, 3}) {
      set_thread_count(count);
      CHECK(max_difference(function_of(c, order)(inputs).values(), alone.values()) == 0);
      const Tensors g = gradients(function_of(c, order), inputs);
      for (size_t i = 0; i < g.size(); ++i)
        CHECK(max_difference(g[i].values(), alone_gradients[i].values()) == 0);
    }
  }
  set_thread_count(threads);
}

TEST_CASE(
    "the lambda layer takes an f32 embedding with bf16 "
    "activations and returns its gradient in f32") {
  const Case c{2, 3, 3, 4, {.heads = 2, .depth = 3}};
  Tensors inputs = inputs_of(c, DType::bf16);
  for (const size_t i : {3, 4}) inputs[i] = inputs_of(c, DType::f32)[i];
  const Tensors g = gradients(function_of(c), inputs);
  CHECK(g[3].dtype() == DType::f32);
  CHECK(g[4].dtype() == DType::f32);
  CHECK(fused_against_composed(function_of(c), inputs) < 5e-2);
}

TEST_CASE("the lambda layer names what is wrong with its operands") {
  const Case good{2, 4, 4, 5, {.heads = 2, .depth = 3}};
  const auto message = [&](size_t which, const Shape& shape,
                           LambdaOptions options = {.heads = 2, .depth = 3}) {
    Tensors t = inputs_of(good, DType::f32);
    t[which] = random_tensor(shape, 1, DType::f32);
    return error_of([&] { lambda_layer(t[0], t[1], t[2], t[3], t[4], options); });
  };
  CHECK(message(0, {2, 4, 4, 7}) ==
        "lambda_layer: q f32[2, 4, 4, 7]@cpu must have heads * depth = 2 * 3 channels");
  CHECK(message(0, {2, 16, 6}) ==
        "lambda_layer: q must be floating point (N, H, W, h k), it is f32[2, 16, 6]@cpu");
  CHECK(message(1, {2, 4, 3, 3}) ==
        "lambda_layer: keys must be (N, H, W, u k) with the map and type of q f32[2, 4, 4, 6]@cpu, "
        "it is f32[2, 4, 3, 3]@cpu");
  CHECK(message(1, {2, 4, 4, 4}) ==
        "lambda_layer: keys f32[2, 4, 4, 4]@cpu must have intra_depth * depth = 1 * 3 channels");
  CHECK(message(3, {5, 5, 3, 1}) ==
        "lambda_layer: the embedding for q f32[2, 4, 4, 6]@cpu must be f32[7, 7, 3, 1], it is "
        "f32[5, 5, 3, 1]@cpu");
  CHECK(message(4, {4}) ==
        "lambda_layer: the embedding's bias for q f32[2, 4, 4, "
        "6]@cpu must be f32[3], it is f32[4]@cpu");
  CHECK(message(3, {4, 4, 3, 1}, {.heads = 2, .depth = 3, .window = 4}) ==
        "lambda_layer: the window must be odd, or 0 for global, not 4");
  const Tensors t = inputs_of(good);
  CHECK(error_of([&] {
          lambda_weights(t[0], t[1], t[3], {.heads = 2, .depth = 3, .intra_depth = 2});
        }) == "lambda_weights: only for intra_depth 1, it is 2");
}

}  // namespace
}  // namespace passband
