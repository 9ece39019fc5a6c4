// Fused attention against naive f64 loops, against its two halves, closed forms, and derivatives of
// higher order.
#include "tests/numeric.h"

#include "tensor/core/parallel.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/shape.h"
#include "tests/nn_reference.h"

namespace passband {
namespace {

using namespace numeric;

struct Case {
  Shape shape;  // of qkv
  AttentionOptions options;
  int64_t bias_columns = 0;  // 0: no bias
};

int64_t side_of(const Case& c) { return c.options.window ? c.options.window : c.shape[1]; }

Tensor bias_of(const Case& c, DType dtype = DType::f64) {
  if (c.bias_columns == 0) return {};
  const int64_t side = 2 * side_of(c) - 1;
  return random_tensor({side * side, c.bias_columns}, 5, dtype, -2, 2);
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {{2, 5, 18}, {.heads = 2}},
      {{1, 1, 3}, {.heads = 1}},
      {{2, 17, 96}, {.heads = 2, .scale = 0.5}},
      {{2, 3, 5, 12}, {.heads = 2}},
      {{2, 4, 4, 18}, {.heads = 2}, 2},
      {{2, 4, 4, 18}, {.heads = 3, .window = 2}, 3},
      {{2, 4, 6, 18}, {.heads = 3, .window = 2}, 1},
      {{1, 4, 6, 12}, {.heads = 2, .window = 2, .shift = 1}, 2},
      {{2, 8, 8, 24}, {.heads = 1, .window = 4, .shift = 2}, 1},
      {{1, 6, 6, 12}, {.heads = 2, .window = 3, .shift = 1}},
      {{1, 3, 3, 6}, {.heads = 1, .window = 3, .shift = 1}, 1},
  };
  return all;
}

Function function_of(const Case& c) {
  return [options = c.options](const Tensors& t) {
    return attention(t[0], t.size() > 1 ? t[1] : Tensor{}, options);
  };
}

Tensors inputs_of(const Case& c, DType dtype = DType::f64) {
  Tensors inputs{random_tensor(c.shape, 1, dtype, -1.5, 1.5)};
  if (c.bias_columns) inputs.push_back(bias_of(c, dtype));
  return inputs;
}

TEST_CASE(
    "attention equals naive f64 loops, global and in shifted windows with a bias, for every type") {
  for (const Case& c : cases())
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      CAPTURE(c.shape.str());
      CAPTURE(c.options.shift);
      CAPTURE(name_of(dtype));
      const Tensors t = inputs_of(c, dtype);
      const auto expected = reference::attention(t[0], t.size() > 1 ? t[1] : Tensor{}, c.options);
      CHECK(max_error(function_of(c)(t), expected) < (dtype == DType::f64   ? 1e-13
                                                      : dtype == DType::f32 ? 2e-6
                                                                            : 6e-3));
    }
}

TEST_CASE("attention's halves, with the probabilities made real, equal the fused op") {
  for (const Case& c : cases()) {
    CAPTURE(c.shape.str());
    const Tensors t = inputs_of(c);
    const Tensor bias = t.size() > 1 ? t[1] : Tensor{};
    const Tensor p = attention_probabilities(t[0], bias, c.options);
    const Tensor rows = sum(p, {3});
    CHECK(max_difference(rows.values(),
                         std::vector<double>(static_cast<size_t>(rows.numel()), 1.0)) < 1e-13);
    CHECK(max_error(attention_output(p, t[0], c.options), attention(t[0], bias, c.options)) <
          1e-13);
  }
}

TEST_CASE(
    "attention's gradients equal differences to the second "
    "order, and the halves have the same ones") {
  for (const Case& c : cases()) {
    if (c.shape.numel() > 400) continue;
    CAPTURE(c.shape.str());
    CAPTURE(c.options.shift);
    const Tensors inputs = inputs_of(c);
    const Function fused = function_of(c);
    const Function halves = [&](const Tensors& t) {
      return attention_output(
          attention_probabilities(t[0], t.size() > 1 ? t[1] : Tensor{}, c.options), t[0],
          c.options);
    };
    CHECK(fused_against_composed(fused, inputs) < 1e-12);
    CHECK(gradient_error(fused, inputs) < 1e-7);
    const Tensors a = gradients(fused, inputs), b = gradients(halves, inputs);
    for (size_t i = 0; i < a.size(); ++i) CHECK(max_error(a[i], b[i]) < 1e-12);
    if (c.shape.numel() > 200) continue;
    CHECK(gradient_error(directional(fused), inputs) < 1e-7);
  }
}

TEST_CASE("attention's third derivatives equal differences") {
  const Case c{{1, 2, 2, 6}, {.heads = 2, .window = 2}, 2};
  CHECK(gradient_error(directional(directional(function_of(c))), inputs_of(c)) < 1e-6);
}

TEST_CASE("attention's fused gradients are right where queries are worked on in several blocks") {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    CAPTURE(name_of(dtype));
    const Case c{{1, 18, 18, 24}, {.heads = 2}, 2};
    const Tensors inputs = inputs_of(c, dtype);
    CHECK(fused_against_composed(function_of(c), inputs) < (dtype == DType::f64   ? 1e-12
                                                            : dtype == DType::f32 ? 1e-5
                                                                                  : 0.1));
    if (dtype == DType::f64)
      CHECK(max_error(function_of(c)(inputs),
                      reference::attention(inputs[0], inputs[1], c.options)) < 1e-13);
  }
}

TEST_CASE("attention with equal keys averages the values") {
  Tensor qkv = random_tensor({2, 7, 12}, 3);
  for (int64_t t = 0; t < 14; ++t)
    for (int64_t i = 4; i < 8; ++i) qkv.data<double>()[t * 12 + i] = 0.25;
  const Tensor y = attention(qkv, {}, {.heads = 2}), average = mean(slice(qkv, 2, 8, 4), {1}, true);
  CHECK(max_error(y, expand(average, y.shape())) < 1e-14);
}

TEST_CASE("attention that sees only itself returns the values") {
  Tensor qkv = random_tensor({2, 3, 3, 12}, 3);
  CHECK(max_error(attention(qkv, {}, {.heads = 2, .window = 1}), slice(qkv, 3, 8, 4)) < 1e-15);
}

TEST_CASE(
    "a shift by the whole window changes nothing, and one "
    "window without shift is global attention") {
  Tensor qkv = random_tensor({2, 6, 6, 12}, 3);
  const auto with = [&](int64_t window, int64_t shift) {
    return attention(qkv, {}, {.heads = 2, .window = window, .shift = shift});
  };
  CHECK(max_error(with(3, 3), with(3, 0)) < 1e-14);
  CHECK(max_error(with(6, 0), with(0, 0)) < 1e-14);
}

TEST_CASE("attention survives logits of a thousand") {
  Tensor qkv = random_tensor({1, 20, 48}, 3, DType::f32, -60, 60);
  CHECK(max_error(attention(qkv, {}, {.heads = 2}), reference::attention(qkv, {}, {.heads = 2})) <
        1e-3);
}

TEST_CASE(
    "attention gives the same bits on any number of threads, the gradient of the bias included") {
  const int threads = thread_count();
  const Case c{{20, 12, 12, 36}, {.heads = 3, .window = 4, .shift = 2}, 3};
  const Tensors inputs = inputs_of(c, DType::f32);
  set_thread_count(1);
  const Tensor alone = function_of(c)(inputs);
  const Tensors alone_gradients = gradients(function_of(c), inputs);
  for (const int count : {2, 3}) {
    set_thread_count(count);
    CHECK(max_difference(function_of(c)(inputs).values(), alone.values()) == 0);
    const Tensors g = gradients(function_of(c), inputs);
    for (size_t i = 0; i < g.size(); ++i)
      CHECK(max_difference(g[i].values(), alone_gradients[i].values()) == 0);
  }
  set_thread_count(threads);
}

TEST_CASE("attention takes an f32 bias with bf16 activations and returns its gradient in f32") {
  const Case c{{2, 4, 4, 24}, {.heads = 2, .window = 2}, 2};
  const Tensors inputs{random_tensor(c.shape, 1, DType::bf16), bias_of(c, DType::f32)};
  const Tensors g = gradients(function_of(c), inputs);
  CHECK(g[1].dtype() == DType::f32);
  CHECK(fused_against_composed(function_of(c), inputs) < 3e-2);
}

TEST_CASE("attention names what is wrong with its operands") {
  Tensor qkv = random_tensor({2, 4, 4, 24}, 1, DType::f32);
  const auto message = [&](const AttentionOptions& o, const Tensor& bias = {}) {
    return error_of([&] { attention(qkv, bias, o); });
  };
  CHECK(message({.heads = 5}) ==
        "attention: 5 heads do not divide the channels of qkv f32[2, 4, "
        "4, 24]@cpu, which must be 3 * heads * d");
  CHECK(message({.window = 3}) ==
        "attention: window 3 does not divide the 4x4 map of qkv f32[2, 4, 4, 24]@cpu");
  CHECK(message({.window = 2, .shift = 3}) ==
        "attention: shift 3 must be from 0 to the window, which is 2");
  CHECK(message({.shift = 1}) == "attention: shift 1 must be from 0 to the window, which is 0");
  CHECK(message({.heads = 2, .window = 2}, random_tensor({9, 3}, 1, DType::f32)) ==
        "attention: the bias of 2x2 windows and 2 heads is [9, 2] or [9, 1], it is f32[9, 3]@cpu");
  CHECK(message({.heads = 2, .window = 2}, random_tensor({9, 2}, 1)) ==
        "attention: the bias must have the type of qkv f32[2, 4, 4, "
        "24]@cpu (or f32 for bf16), it is f64[9, 2]@cpu");
  CHECK(error_of([&] {
          attention(random_tensor({2, 4, 24}, 1), {}, {.window = 2});
        }) == "attention: windows need qkv (N, H, W, 3 heads d), it is f64[2, 4, 24]@cpu");
  CHECK(error_of([&] {
          attention_output(random_tensor({2, 1, 16, 4}, 1, DType::f32), qkv);
        }) ==
        "attention_output: probabilities of qkv f32[2, 4, 4, 24]@cpu must be f32[2, 1, 16, 16], "
        "they are f32[2, 1, 16, 4]@cpu");
}

}  // namespace
}  // namespace passband
