// Attention and the lambda layer on the GPU, real or emulated, at shapes the op table does not
// have: several tiles of tokens, odd depths, windows that share a block, scopes of the lambda
// layer, more heads than a tile has rows; the same bits under any schedule.
#include "tensor/core/device.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/attention/lambda.h"
#include "tensor/ops/norm.h"
#include "tests/device_check.h"
#include "tests/nn_reference.h"

namespace passband {
namespace {

using namespace numeric;
using namespace device_check;

// --- attention ---

struct Attention {
  Shape shape;  // of qkv
  AttentionOptions options;
  int64_t bias_columns = 0;  // 0: no bias
};

Tensors inputs_of(const Attention& c, DType dtype) {
  Tensors inputs{random_tensor(c.shape, 1, dtype, -1.5, 1.5)};
  if (c.bias_columns == 0) return inputs;
  const int64_t side = 2 * (c.options.window ? c.options.window : c.shape[1]) - 1;
  inputs.push_back(random_tensor({side * side, c.bias_columns}, 5, dtype, -2, 2));
  return inputs;
}

Function function_of(const Attention& c) {
  return [options = c.options](const Tensors& t) {
    return attention(t[0], t.size() > 1 ? t[1] : Tensor{}, options);
  };
}

// Of each product, in units of its type: a tf32 pair for f32, a rounded probability for bf16.
constexpr double kRoundings = 4;

const std::vector<Attention>& attentions() {
  static const std::vector<Attention> list{
      {{3, 16, 3 * 3 * 16}, {.heads = 3}},  // four pairs to a block, nine of them
      {{1, 30, 3 * 3 * 8}, {.heads = 3}},   // two pairs to a block, three of them
      {{1, 65, 3 * 20}, {.heads = 1}},      // a class token; runs of 16 bytes or not
      {{1, 150, 3 * 33}, {.heads = 1}},     // two blocks of queries, an odd depth
      {{1, 67, 3 * 128}, {.heads = 1}},     // the largest depth
      {{2, 8, 8, 3 * 2 * 16}, {.heads = 2, .window = 4, .shift = 2}, 2},
      {{1, 14, 14, 3 * 24}, {.heads = 1, .window = 7, .shift = 3}, 1},  // 49 tokens
      {{5, 4, 4, 3 * 2 * 64}, {.heads = 2, .window = 4}, 1},
      {{1, 9, 9, 3 * 2 * 16}, {.heads = 2}, 2},  // a bias over several tiles of keys
      {{1, 8, 8, 3 * 2 * 32}, {.heads = 2, .window = 8, .shift = 4}, 2},  // 64 tokens, wrapped
      {{2, 14, 14, 3 * 2 * 8}, {.heads = 2, .window = 7}, 1},    // dS of eight windows, in parts
      {{7, 20, 20, 3 * 10 * 8}, {.heads = 10, .window = 2}, 1},  // two windows to a block of bf16
  };
  return list;
}

TEST_CASE("attention on the GPU equals f64, result and gradients, for 16 to 150 tokens") {
  for (const Attention& c : attentions()) {
    check_against_f64(function_of(c), inputs_of(c, DType::f32), 3e-5);
    check_against_f64(function_of(c), inputs_of(c, DType::bf16), 6e-2);
  }
}

// One image and one head. Sums go over the tokens and over the channels.
void check_head(int64_t tokens, int64_t depth, DType dtype) {
  const Attention head{{1, tokens, 3 * depth}, {.heads = 1}};
  check_against_f64(function_of(head), inputs_of(head, dtype),
                    allowance(dtype, kRoundings, tokens + depth));
}

TEST_CASE("attention on the GPU equals f64 for heads of 16 to 128 channels and 16 to 577 tokens") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int64_t depth : {16, 24, 32, 64, 80, 128})
      for (const int64_t tokens : {16, 49}) check_head(tokens, depth, dtype);
    for (const int64_t depth : {24, 64, 128}) check_head(197, depth, dtype);
    for (const int64_t depth : {16, 80}) check_head(577, depth, dtype);
  }
}

// A block has windows of bf16 whole, in 1, 4, 5 or 8 tiles of 16 tokens and 2 or 4 of channels;
// what is longer or deeper goes another way.
TEST_CASE("attention on the GPU equals f64 around the sizes that a block has whole") {
  for (const int64_t tokens : {1, 15, 17, 63, 64, 65, 80, 81, 127, 128, 129})
    for (const int64_t depth : {32, 64}) check_head(tokens, depth, DType::bf16);
  for (const int64_t depth : {31, 33, 63, 65}) check_head(18, depth, DType::bf16);
}

TEST_CASE("attention on the GPU equals f64 for 4096 tokens") { check_head(4096, 16, DType::bf16); }

TEST_CASE("attention on the GPU survives logits of a thousand") {
  const Tensor qkv = random_tensor({1, 20, 48}, 3, DType::f32, -60, 60);
  const Tensor y = attention(qkv.to(kDevice), {}, {.heads = 2}).to(Device{});
  CHECK(max_error(y, reference::attention(qkv, {}, {.heads = 2})) < 1e-3);
}

TEST_CASE("attention on the GPU says how many channels a head may have") {
  const Tensor qkv = random_tensor({1, 4, 3 * 160}, 3, DType::f32).to(kDevice);
  CHECK(error_of([&] { attention(qkv); }) ==
        "attention: heads of 160 channels; on a GPU they have at most 128, use more heads");
}

// --- the lambda layer ---

struct Lambda {
  int64_t batch, height, width, value;
  LambdaOptions options;
  bool bias = true;
};

Tensors inputs_of(const Lambda& c, DType dtype) {
  const LambdaOptions& o = c.options;
  const int64_t h = o.window ? o.window : 2 * c.height - 1;
  const int64_t w = o.window ? o.window : 2 * c.width - 1;
  Tensors inputs{
      random_tensor({c.batch, c.height, c.width, o.heads * o.depth}, 1, dtype),
      random_tensor({c.batch, c.height, c.width, o.intra_depth * o.depth}, 2, dtype, -2, 2),
      random_tensor({c.batch, c.height, c.width, o.intra_depth * c.value}, 3, dtype),
      random_tensor({h, w, o.depth, o.intra_depth}, 4, dtype)};
  if (c.bias) inputs.push_back(random_tensor({o.depth}, 5, dtype));
  return inputs;
}

Function function_of(const Lambda& c, LambdaOrder order = LambdaOrder::score_first) {
  return [options = c.options, order](const Tensors& t) {
    LambdaOptions o = options;
    o.order = order;
    return lambda_layer(t[0], t[1], t[2], t[3], t.size() > 4 ? t[4] : Tensor{}, o);
  };
}

const std::vector<Lambda>& lambdas() {
  static const std::vector<Lambda> list{
      {5, 5, 5, 16, {.heads = 4, .depth = 16}},                // global, two groups of images
      {1, 9, 11, 24, {.heads = 4, .depth = 16, .window = 7}},  // local, several tiles of contexts
      {2, 4, 4, 130, {.heads = 2, .depth = 16}, false},        // three chunks of channels
      {1, 3, 4, 5, {.heads = 18, .depth = 3, .intra_depth = 4}},  // two groups of heads
      {3, 4, 3, 8, {.heads = 1, .depth = 33, .window = 3}},       // three tiles of depth
      {2, 3, 3, 7, {.heads = 3, .depth = 5, .intra_depth = 2, .window = 23}},
  };
  return list;
}

TEST_CASE("the lambda layer on the GPU equals f64, result and gradients, for every scope") {
  for (const Lambda& c : lambdas()) {
    check_against_f64(function_of(c), inputs_of(c, DType::f32), 3e-5);
    check_against_f64(function_of(c), inputs_of(c, DType::bf16), 6e-2);
  }
}

TEST_CASE("both orders of the lambda layer agree on the GPU") {
  const Lambda c{3, 4, 4, 16, {.heads = 4, .depth = 16}};
  const Tensors inputs = on(kDevice, inputs_of(c, DType::f32));
  const Tensors first = everything(function_of(c), inputs);
  const Tensors second = everything(function_of(c, LambdaOrder::lambda_first), inputs);
  for (size_t i = 0; i < first.size(); ++i) CHECK(max_error(first[i], second[i]) < 1e-4);
}

// --- schedules ---

TEST_CASE("norms, attention and the lambda layer give the same bits under every schedule") {
  const Attention windows{{1, 4, 4, 24}, {.heads = 1, .window = 2, .shift = 1}, 1};
  const Attention tiles{{1, 65, 3 * 8}, {.heads = 1}};
  const Lambda lambda{2, 3, 3, 8, {.heads = 4, .depth = 16}};
  const Tensors x{random_tensor({40, 24}, 1, DType::f32), random_tensor({24}, 2, DType::f32),
                  random_tensor({24}, 3, DType::f32)};
  const std::vector<std::pair<Function, Tensors>> operations{
      {function_of(windows), inputs_of(windows, DType::bf16)},
      {function_of(tiles), inputs_of(tiles, DType::bf16)},
      {function_of(lambda), inputs_of(lambda, DType::bf16)},
      {[](const Tensors& t) { return batch_norm(t[0], t[1], t[2], {}, {}, {.relu = true}); }, x},
      {[](const Tensors& t) { return layer_norm(t[0], t[1], t[2]); }, x},
  };
  for (const auto& [f, inputs] : operations)
    check_same_bits_under_every_schedule([&] { return everything(f, on(kDevice, inputs)); });
}

}  // namespace
}  // namespace passband
