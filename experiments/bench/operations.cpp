// The operations that --op measures, on the shapes of ResNet-50 and ViT-Ti/4 at 32x32.
#include <fmt/format.h>

#include "experiments/bench/bench.h"
#include "tensor/autograd/engine.h"
#include "tensor/core/random.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/attention/lambda.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/norm.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/softmax.h"

namespace passband::bench {
namespace {

Tensor filled(int64_t size, double value) {
  return Tensor::full({size}, value, DType::f32, measured_device);
}

double bytes_of(const Tensor& x) { return static_cast<double>(x.numel() * size_of(x.dtype())); }

// `forward` alone and with its backward pass, as two cases; each value is moved `passes` and
// `all_passes` times.
void add_moving(std::vector<Case>& cases, const std::string& op, const Tensor& x, double passes,
                double all_passes, const std::function<Tensor(const Tensor&)>& forward) {
  const std::string shape = x.shape().str();
  cases.push_back(
      {.op = op, .shape = shape, .dtype = x.dtype(), .bytes = passes * bytes_of(x), .run = [=] {
         NoGrad guard;
         forward(x);
       }});
  cases.push_back({.op = op + "+backward",
                   .shape = shape,
                   .dtype = x.dtype(),
                   .bytes = all_passes * bytes_of(x),
                   .run = [=, leaf = x.leaf()] {
                     const Tensor y = forward(leaf);
                     grad(y, {leaf}, {.seed = y.detach()});
                   }});
}

// `forward` alone and with its backward pass (twice the products again).
void add_products(std::vector<Case>& cases, const std::string& op, const std::string& shape,
                  double flop, const std::vector<Tensor>& inputs,
                  const std::function<Tensor(const std::vector<Tensor>&)>& forward) {
  const DType dtype = inputs[0].dtype();
  cases.push_back({.op = op, .shape = shape, .dtype = dtype, .flop = flop, .run = [=] {
                     NoGrad guard;
                     forward(inputs);
                   }});
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) leaves.push_back(input.leaf());
  cases.push_back(
      {.op = op + "+backward", .shape = shape, .dtype = dtype, .flop = 3 * flop, .run = [=] {
         const Tensor y = forward(leaves);
         grad(y, leaves, {.seed = y.detach()});
       }});
}

std::vector<Case> conv_cases(DType dtype, int64_t batch) {
  struct Layer {
    int64_t in, out, kernel, stride, side;
  };
  constexpr Layer kLayers[] = {
      {3, 64, 3, 1, 32},    {64, 64, 1, 1, 32},   {64, 64, 3, 1, 32},   {64, 256, 1, 1, 32},
      {256, 64, 1, 1, 32},  {256, 128, 1, 1, 32}, {128, 128, 3, 2, 32}, {128, 512, 1, 1, 16},
      {256, 512, 1, 2, 32}, {512, 128, 1, 1, 16}, {128, 128, 3, 1, 16}, {256, 256, 3, 2, 16},
      {256, 256, 3, 1, 8},  {256, 1024, 1, 1, 8}, {1024, 256, 1, 1, 8}, {512, 512, 3, 2, 8},
      {512, 512, 3, 1, 4},  {512, 2048, 1, 1, 4}, {2048, 512, 1, 1, 4}};
  std::vector<Case> cases;
  for (const auto& [in, out, kernel, stride, side] : kLayers) {
    const Tensor x = random_operand({batch, side, side, in}, dtype),
                 w = random_operand({out, kernel, kernel, in}, dtype);
    const ConvOptions options{.stride = stride, .padding = kernel / 2};
    const Tensor dy = random_operand({batch, side / stride, side / stride, out}, dtype);
    const double flop = 2.0 * static_cast<double>(dy.numel() * in * kernel * kernel);
    const std::string shape =
        fmt::format("{}x{}x{}x{} -> {} k{} s{}", batch, side, side, in, out, kernel, stride);
    const auto add = [&](const char* op, std::function<void()> run) {
      cases.push_back(
          {.op = op, .shape = shape, .dtype = dtype, .flop = flop, .run = std::move(run)});
    };
    add("conv2d", [=] { conv2d(x, w, {}, options); });
    if (in > 3)
      add("conv2d_input_gradient", [=] { conv2d_input_gradient(dy, w, x.shape(), options); });
    add("conv2d_weight_gradient", [=] { conv2d_weight_gradient(dy, x, w.shape(), options); });
  }
  return cases;
}

std::vector<Case> matmul_cases(DType dtype, int64_t batch) {
  struct Layer {
    int64_t tokens, in, out;
  };
  constexpr Layer kLayers[] = {
      {65, 192, 576}, {65, 192, 192}, {65, 192, 768}, {65, 768, 192}, {65, 384, 1536}};
  std::vector<Case> cases;
  for (const auto& [tokens, in, out] : kLayers) {
    const Tensor x = random_operand({batch * tokens, in}, dtype),
                 w = random_operand({out, in}, dtype);
    const double flop = 2.0 * static_cast<double>(batch * tokens * in * out);
    add_products(cases, "linear", fmt::format("{}x{} -> {}", batch * tokens, in, out), flop, {x, w},
                 [](const std::vector<Tensor>& t) { return linear(t[0], t[1]); });
  }
  const Tensor q = random_operand({batch * 3, 64, 64}, dtype),
               k = random_operand({batch * 3, 64, 64}, dtype);
  const double flop = 2.0 * 64 * 64 * 64 * static_cast<double>(batch * 3);
  add_products(
      cases, "matmul", fmt::format("{}x(64x64x64)", batch * 3), flop, {q, k},
      [](const std::vector<Tensor>& t) { return matmul(t[0], t[1], {.transpose_b = true}); });
  const Tensor square = random_operand({1024, 1024}, dtype);
  add_products(cases, "matmul", "1024x1024x1024", 2.0 * 1024 * 1024 * 1024, {square, square},
               [](const std::vector<Tensor>& t) { return matmul(t[0], t[1]); });
  return cases;
}

// Read for the statistics, read and written for the result; backward reads x and dy twice and
// writes dx.
std::vector<Case> batch_norm_cases(DType dtype, int64_t batch) {
  std::vector<Case> cases;
  using SideAndChannels = std::pair<int64_t, int64_t>;
  for (const auto& [side, channels] :
       {SideAndChannels{32, 64}, {32, 256}, {16, 128}, {8, 1024}, {4, 2048}}) {
    const Tensor x = random_operand({batch, side, side, channels}, dtype);
    const Tensor gamma = filled(channels, 1), beta = filled(channels, 0);
    const Tensor mean = filled(channels, 0), variance = filled(channels, 1);
    add_moving(cases, "batch_norm+relu", x, 3, 8, [=](const Tensor& t) {
      return batch_norm(t, gamma, beta, mean, variance, {.relu = true});
    });
  }
  return cases;
}

std::vector<Case> layer_norm_cases(DType dtype, int64_t batch) {
  std::vector<Case> cases;
  for (const int64_t width : {192, 384}) {
    const Tensor gamma = filled(width, 1), beta = filled(width, 0);
    add_moving(cases, "layer_norm", random_operand({batch, 65, width}, dtype), 2, 5,
               [=](const Tensor& t) { return layer_norm(t, gamma, beta); });
  }
  return cases;
}

std::vector<Case> softmax_cases(DType dtype, int64_t batch) {
  std::vector<Case> cases;
  for (const int64_t tokens : {64, 65, 256})
    add_moving(cases, "softmax", random_operand({batch, 3, tokens, tokens}, dtype), 2, 5,
               [](const Tensor& t) { return softmax(t); });
  return cases;
}

std::vector<Case> gelu_cases(DType dtype, int64_t batch) {
  std::vector<Case> cases;
  add_moving(cases, "gelu", random_operand({batch, 65, 768}, dtype), 2, 5,
             [](const Tensor& t) { return gelu(t); });
  add_moving(cases, "relu", random_operand({batch, 32, 32, 64}, dtype), 2, 5,
             [](const Tensor& t) { return relu(t); });
  return cases;
}

std::vector<Case> attention_cases(DType dtype, int64_t batch) {
  std::vector<Case> cases;
  for (const auto& [tokens, heads] : {std::pair<int64_t, int64_t>{65, 3}, {64, 3}, {256, 3}}) {
    const Tensor qkv = random_operand({batch, tokens, 3 * heads * 64}, dtype);
    const double flop = 4.0 * static_cast<double>(batch * heads * tokens * tokens * 64);
    add_products(
        cases, "attention", fmt::format("{} x {} tokens x {} heads x 64", batch, tokens, heads),
        flop, {qkv},
        [=](const std::vector<Tensor>& t) { return attention(t[0], {}, {.heads = heads}); });
  }
  return cases;
}

// FLOP of forming and applying the lambdas (reference: Bello 2021, section 3): content and
// position, u = 1.
std::vector<Case> lambda_cases(DType dtype, int64_t batch) {
  constexpr int64_t kHeads = 4, kDepth = 16;
  std::vector<Case> cases;
  for (const auto& [side, value, window] :
       {std::tuple<int64_t, int64_t, int64_t>{16, 32, 7}, {8, 64, 7}, {8, 64, 0}, {4, 128, 0}}) {
    const int64_t reach = window ? window : 2 * side - 1,
                  taps = window ? window * window : side * side;
    const int64_t pixels = side * side;
    const Tensor q = random_operand({batch, side, side, kHeads * kDepth}, dtype);
    const Tensor k = random_operand({batch, side, side, kDepth}, dtype),
                 v = random_operand({batch, side, side, value}, dtype);
    const Tensor e = random_operand({reach, reach, kDepth, 1}, dtype);
    const double flop =
        2.0 * static_cast<double>(batch * pixels * value * kDepth * (1 + kHeads + taps));
    add_products(cases, "lambda", fmt::format("{}x{}x{} v{} r{}", batch, side, side, value, reach),
                 flop, {q, k, v, e}, [=](const std::vector<Tensor>& t) {
                   return lambda_layer(t[0], t[1], t[2], t[3], {},
                                       {.heads = kHeads, .depth = kDepth, .window = window});
                 });
  }
  return cases;
}

struct Family {
  const char* name;
  std::vector<Case> (*cases)(DType dtype, int64_t batch);
};

constexpr Family kFamilies[] = {
    {"conv2d", conv_cases},           {"matmul", matmul_cases},   {"batch_norm", batch_norm_cases},
    {"layer_norm", layer_norm_cases}, {"softmax", softmax_cases}, {"gelu", gelu_cases},
    {"attention", attention_cases},   {"lambda", lambda_cases},
};

}  // namespace

Tensor random_operand(const Shape& shape, DType dtype) {
  constexpr int64_t kBlock = 4099;
  float block[kBlock];
  for (int64_t i = 0; i < kBlock; ++i)
    block[i] = random_normal({.site = site_of("bench")}, static_cast<uint64_t>(i));
  Tensor x = Tensor::empty(shape, dtype);
  dispatch_floating(dtype, "bench", [&]<class T>() {
    T* p = x.data<T>();
    for (int64_t i = 0; i < x.numel(); ++i) p[i] = static_cast<T>(block[i % kBlock]);
  });
  return x.to(measured_device);
}

std::vector<std::string> operation_names() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) names.emplace_back(family.name);
  return names;
}

std::vector<Case> operation_cases(const std::string& op, DType dtype, int64_t batch) {
  for (const Family& family : kFamilies)
    if (op == family.name) return family.cases(dtype, batch);
  return {};
}

}  // namespace passband::bench
