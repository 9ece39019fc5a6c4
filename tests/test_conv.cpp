// Convolution and its two gradients against naive f64 loops, on every path: direct sums, matrix
// products, oneDNN.
#include <doctest/doctest.h>

#include "tensor/autograd/engine.h"
#include "tensor/core/kernel_source.h"
#include "tensor/core/parallel.h"
#include "tensor/cpu/onednn_engine.h"
#include "tensor/device_choice.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/pointwise.h"
#include "tests/message_of.h"
#include "tests/naive.h"

namespace passband {
namespace {

struct ConvCase {
  const char* name;
  Shape x, w;
  ConvOptions options = {};
};

const std::vector<ConvCase>& cases() {
  static const std::vector<ConvCase> list = {
      {"3x3", {2, 6, 5, 4}, {8, 3, 3, 4}, {.padding = 1}},
      {"3x3 stride 2", {2, 7, 8, 3}, {5, 3, 3, 3}, {.stride = 2, .padding = 1}},
      {"7x7 stride 2", {1, 17, 16, 3}, {16, 7, 7, 3}, {.stride = 2, .padding = 3}},
      {"1x1", {3, 4, 5, 16}, {24, 1, 1, 16}},
      {"1x1 stride 2", {2, 8, 7, 16}, {32, 1, 1, 16}, {.stride = 2}},
      {"1x1 stride 3 that leaves a rim", {1, 9, 8, 4}, {3, 1, 1, 4}, {.stride = 3}},
      {"1x1 with padding", {1, 3, 3, 4}, {3, 1, 1, 4}, {.padding = 1}},
      {"even kernel", {1, 6, 6, 4}, {4, 2, 4, 4}, {.padding = 1}},
      {"even kernel stride 2", {1, 9, 9, 4}, {4, 2, 2, 4}, {.stride = 2}},
      {"patches", {2, 8, 8, 3}, {12, 4, 4, 3}, {.stride = 4}},
      {"dilation", {1, 9, 9, 4}, {6, 3, 3, 4}, {.padding = 2, .dilation = 2}},
      {"groups", {2, 5, 5, 8}, {12, 3, 3, 2}, {.padding = 1, .groups = 4}},
      {"groups of 1x1", {2, 5, 5, 8}, {4, 1, 1, 4}, {.groups = 2}},
      {"depthwise", {2, 6, 6, 16}, {16, 3, 3, 1}, {.padding = 1, .groups = 16}},
      {"depthwise stride 2 dilation 2",
       {1, 11, 10, 5},
       {5, 3, 3, 1},
       {.stride = 2, .padding = 2, .dilation = 2, .groups = 5}},
      {"wide 3x3 on a small map", {2, 4, 4, 64}, {64, 3, 3, 64}, {.padding = 1}},
      {"3x3 by Winograd's algorithm", {4, 16, 16, 32}, {48, 3, 3, 32}, {.padding = 1}},
      {"3x3 by Winograd's algorithm, tiles cut", {8, 13, 15, 32}, {32, 3, 3, 32}, {.padding = 1}},
      {"wide 3x3 without padding", {1, 7, 6, 32}, {40, 3, 3, 32}},
      {"wide 3x3 stride 2 to a small map",
       {2, 8, 8, 32},
       {48, 3, 3, 32},
       {.stride = 2, .padding = 1}},
      {"wide 3x3 dilation", {1, 12, 11, 32}, {33, 3, 3, 32}, {.padding = 2, .dilation = 2}},
      {"wide 1x1 stride 2", {2, 11, 10, 48}, {40, 1, 1, 48}, {.stride = 2}},
      {"wide rows and columns of their own",
       {2, 9, 12, 32},
       {40, 3, 2, 32},
       {.stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 3}}},
      {"wide, padded at the end only", {2, 8, 9, 32}, {32, 2, 3, 32}, {.padding = {0, 1, 0, 2}}},
      {"3x3 almost as Winograd's", {4, 17, 16, 32}, {48, 3, 3, 32}, {.padding = {0, 2, 1, 1}}},
      {"wide 1x7", {2, 6, 11, 32}, {48, 1, 7, 32}, {.padding = {0, 3}}},
      {"1x1 padded at one side", {2, 4, 5, 32}, {16, 1, 1, 32}, {.padding = {1, 0, 0, 0}}},
      {"groups, a stride for each axis",
       {2, 8, 9, 8},
       {12, 3, 2, 2},
       {.stride = {1, 3}, .padding = {2, 1, 0, 1}, .groups = 4}},
      {"depthwise, padded unevenly",
       {2, 7, 8, 16},
       {16, 2, 5, 1},
       {.stride = {2, 1}, .padding = {0, 1, 3, 1}, .dilation = {2, 1}, .groups = 16}},
      {"1x1 stride 2 of many channels", {1, 5, 5, 600}, {34, 1, 1, 600}, {.stride = 2}},
      {"groups of 8 taken together",
       {2, 5, 6, 48},
       {48, 3, 3, 8},
       {.stride = 2, .padding = 1, .groups = 6}},
      {"the kernel is the image", {2, 3, 3, 5}, {7, 3, 3, 5}},
  };
  return list;
}

Shape shape_of_result(const ConvCase& c) {
  return conv2d(Tensor::zeros(c.x, DType::f64), Tensor::zeros(c.w, DType::f64), {}, c.options)
      .shape();
}

// All three passes of a case against naive loops.
void check_passes(const ConvCase& c, DType dtype) {
  INFO(c.name, ", x ", c.x, ", weight ", c.w, ", ", name_of(dtype));
  const Shape sy = shape_of_result(c);
  const Tensor x = naive::random(c.x, dtype, 1), w = naive::random(c.w, dtype, 2),
               dy = naive::random(sy, dtype, 3);
  const std::vector<double> vx = x.values(), vw = w.values(), vdy = dy.values();
  std::vector<double> y(vdy.size()), dx(vx.size()), dw(vw.size());
  naive::for_conv_products(c.x, sy, c.w, c.options, [&](int64_t iy, int64_t ix, int64_t iw) {
    const auto at_y = static_cast<size_t>(iy), at_x = static_cast<size_t>(ix),
               at_w = static_cast<size_t>(iw);
    y[at_y] += vx[at_x] * vw[at_w];
    dx[at_x] += vdy[at_y] * vw[at_w];
    dw[at_w] += vdy[at_y] * vx[at_x];
  });
  const int64_t patch = c.w.numel() / c.w[0];
  naive::check_close(conv2d(x, w, {}, c.options), y, patch);
  naive::check_close(conv2d_input_gradient(dy, w, c.x, c.options), dx, c.w.numel() / c.w[3]);
  naive::check_close(conv2d_weight_gradient(dy, x, c.w, c.options), dw, sy.numel() / sy[3]);
}

TEST_CASE("a convolution and its gradients equal naive loops for every type") {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
    for (const ConvCase& c : cases()) check_passes(c, dtype);
}

TEST_CASE("oneDNN's convolutions and gradients equal naive loops") {
  if (cpu::onednn_version().empty()) return;
  set_conv_kernels(KernelSource::onednn);
  for (const ConvCase& c : cases()) check_passes(c, DType::f32);
  set_conv_kernels(KernelSource::native);
}

TEST_CASE("oneDNN is refused on a GPU and in a build without it") {
  const Device gpu{DeviceType::cuda, 1};
  CHECK(message_of([&] { kernel_source_here(KernelSource::onednn, gpu); }) ==
        "onednn computes on the processor: on cuda:1 take native, library or auto");
  if (cpu::onednn_version().empty())
    CHECK(message_of([] { kernel_source_here(KernelSource::onednn, {}); }) ==
          "onednn: this build has none; configure with -DPASSBAND_ONEDNN=ON (libdnnl-dev)");
  else CHECK(kernel_source_here(KernelSource::onednn, {}) == KernelSource::onednn);
}

// Around tiles of pixels and of channels, and whole maps smaller than the kernel's reach.
TEST_CASE("convolutions of every kernel, stride and dilation equal naive loops") {
  const auto check_case = [](const Shape& x, const Shape& w, const ConvOptions& options) {
    const ConvCase c{"sizes", x, w, options};
    for (const DType dtype : {DType::f64, DType::f32}) check_passes(c, dtype);
  };
  for (const int64_t kernel : {1, 2, 3, 5, 7})
    for (const int64_t stride : {1, 2, 3})
      for (const int64_t dilation : {1, 2}) {
        const ConvOptions dense{.stride = stride,
                                .padding = {kernel / 2, kernel % 3, kernel - 1, kernel},
                                .dilation = dilation};
        ConvOptions grouped = dense, depthwise = dense;
        grouped.groups = 3;
        depthwise.groups = 9;
        check_case({2, 13, 12, 17}, {5, kernel, kernel, 17}, dense);
        check_case({7, 2, 3, 3}, {33, kernel, kernel, 3}, {.stride = stride, .padding = kernel});
        check_case({1, 13, 14, 12}, {6, kernel, kernel, 4}, grouped);
        check_case({1, 13, 14, 9}, {9, kernel, kernel, 1}, depthwise);
      }
  for (const int64_t in : {1, 3, 5, 15, 16, 17, 33})
    for (const int64_t out : {1, 3, 5, 15, 16, 17, 33})
      check_case({2, 5, 6, in}, {out, 3, 3, in}, {.stride = 2, .padding = 1});
  check_case({1, 4, 5, 520}, {20, 2, 3, 520}, {.stride = 2});
}

TEST_CASE("a convolution has the same bits on any number of threads") {
  const SplitShortLoops split;
  const int before = thread_count();
  for (const ConvCase& c : cases()) {
    INFO(c.name);
    const Tensor x = naive::random(c.x, DType::f32, 1), w = naive::random(c.w, DType::f32, 2),
                 dy = naive::random(shape_of_result(c), DType::f32, 3);
    const auto results = [&](int threads) {
      set_thread_count(threads);
      return std::array{conv2d(x, w, {}, c.options).values(),
                        conv2d_input_gradient(dy, w, c.x, c.options).values(),
                        conv2d_weight_gradient(dy, x, c.w, c.options).values()};
    };
    const auto one = results(1);
    CHECK(results(2) == one);
    CHECK(results(3) == one);
  }
  set_thread_count(before);
}

TEST_CASE("the bias is added to every pixel and its gradient is the sum over pixels") {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
    for (const ConvCase& c : cases()) {
      const Tensor x = naive::random(c.x, dtype, 1), w = Tensor::zeros(c.w, dtype);
      const Tensor bias = naive::random({c.w[0]}, dtype, 3).leaf();
      const Tensor y = conv2d(x, w, bias, c.options);
      const std::vector<double> values = y.values(), wanted = bias.values();
      for (size_t i = 0; i < values.size(); ++i) REQUIRE(values[i] == wanted[i % wanted.size()]);
      const Tensor db = grad(y, {bias}, {.seed = Tensor::full(y.shape(), 1, dtype)})[0];
      CHECK(db.values() ==
            std::vector<double>(wanted.size(), static_cast<double>(y.numel() / y.size(3))));
    }
}

TEST_CASE("convolution and its gradients are adjoint to one another") {
  for (const ConvCase& c : cases()) {
    INFO(c.name);
    const Tensor x = naive::random(c.x, DType::f64, 1), w = naive::random(c.w, DType::f64, 2);
    const Tensor y = conv2d(x, w, {}, c.options), dy = naive::random(y.shape(), DType::f64, 3);
    const double product = naive::dot(y, dy), tolerance = 1e-12 * static_cast<double>(y.numel());
    CHECK(std::abs(naive::dot(x, conv2d_input_gradient(dy, w, c.x, c.options)) - product) <=
          tolerance);
    CHECK(std::abs(naive::dot(w, conv2d_weight_gradient(dy, x, c.w, c.options)) - product) <=
          tolerance);
  }
}

TEST_CASE("a gradient that nobody needs is not computed") {
  const Tensor x = naive::random({2, 8, 8, 3}, DType::f32, 1),
               w = naive::random({4, 3, 3, 3}, DType::f32, 2).leaf();
  const Tensor y = conv2d(x, w, {}, {.padding = 1});
  GradMap nothing;
  Arrived arrived(y.node()->edges(), nothing);
  const Grads grads = y.node()->backward(Tensor::full(y.shape(), 1), arrived);
  CHECK_FALSE(grads[0].defined());
  CHECK(grads[1].defined());
}

TEST_CASE("the input gradient of a 1x1 convolution adds what another path has brought") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = naive::random({2, 8, 7, 24}, dtype, 1).leaf(),
                 w = naive::random({40, 1, 1, 24}, dtype, 2),
                 brought = naive::random(x.shape(), dtype, 3),
                 dy = naive::random({2, 8, 7, 40}, dtype, 4);
    const Tensor y = conv2d(x, w);
    GradMap sums;
    sums[x.node().get()] = brought;
    Arrived arrived(y.node()->edges(), sums);
    const NoGrad guard;
    const Grads grads = y.node()->backward(dy, arrived);
    CHECK_FALSE(sums[x.node().get()].defined());
    std::vector<double> wanted =
        naive::matmul(dy.values(), w.values(), 1, 2 * 8 * 7, 24, 40, false, false);
    for (size_t i = 0; i < wanted.size(); ++i) wanted[i] += brought.values()[i];
    naive::check_close(grads[0], wanted, 41);
  }
}

TEST_CASE("a gradient that changes in place between the two it is used for is laid out anew") {
  const Tensor x = naive::random({2, 32, 32, 32}, DType::f32, 1),
               w = naive::random({32, 3, 3, 32}, DType::f32, 2),
               dy = naive::random({2, 32, 32, 32}, DType::f32, 3),
               other = naive::random({2, 32, 32, 32}, DType::f32, 4);
  const ConvOptions options{.padding = 1};
  conv2d_input_gradient(dy, w, x.shape(), options);
  copy_(dy, other);
  CHECK(conv2d_weight_gradient(dy, x, w.shape(), options).values() ==
        conv2d_weight_gradient(other, x, w.shape(), options).values());
}

TEST_CASE("weights that change in place are packed anew") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor x = naive::random({2, 8, 8, 64}, dtype, 1),
                 w = naive::random({64, 3, 3, 64}, dtype, 2);
    const Tensor y = conv2d(x, w, {}, {.padding = 1});
    CHECK(conv2d(x, w, {}, {.padding = 1}).values() == y.values());
    scale_(w, 2);
    CHECK(conv2d(x, w, {}, {.padding = 1}).values() == mul(y, 2).values());
    // Other weights in the memory that the first ones leave.
    for (int i = 0; i < 5; ++i) {
      const Tensor other = Tensor::full({64, 3, 3, 64}, i, dtype);
      CHECK(conv2d(Tensor::full({1, 3, 3, 64}, 1, dtype), other).values() ==
            std::vector<double>(64, 576.0 * i));
    }
  }
}

TEST_CASE("an empty batch gives an empty result and a zero weight gradient") {
  const Tensor x = Tensor::zeros({0, 8, 8, 3}), w = Tensor::zeros({4, 3, 3, 3});
  const Tensor y = conv2d(x, w, {}, {.padding = 1});
  CHECK(y.shape() == Shape{0, 8, 8, 4});
  CHECK(conv2d_input_gradient(y, w, x.shape(), {.padding = 1}).shape() == x.shape());
  CHECK(conv2d_weight_gradient(y, x, w.shape(), {.padding = 1}).values() ==
        std::vector<double>(108, 0.0));
}

TEST_CASE("wrong operands are named with the rule they break") {
  const Tensor x = Tensor::zeros({2, 8, 8, 64}), w = Tensor::zeros({16, 3, 3, 3});
  CHECK(message_of([&] { conv2d(x, w); }) ==
        "conv2d: channels mismatch: x [2, 8, 8, 64] has 64, weight [16, 3, 3, 3] takes 3 (3 in "
        "each of 1 groups)");
  CHECK(message_of([&] {
          conv2d(x, Tensor::zeros({10, 3, 3, 16}), {}, {.groups = 4});
        }) == "conv2d: 10 output channels do not divide into 4 groups");
  CHECK(message_of([&] {
          conv2d(x, Tensor::zeros({16, 9, 9, 64}));
        }) ==
        "conv2d: the kernel of weight [16, 9, 9, 64] with dilation 1 does not fit into x [2, 8, 8, "
        "64] with padding 0");
  CHECK(message_of([&] {
          conv2d(x, Tensor::zeros({16, 3, 3, 64}), Tensor::zeros({15}));
        }) ==
        "conv2d: bias is f32[15]@cpu, weight is f32[16, 3, 3, 64]@cpu; the bias has one element "
        "per output channel, of the same type");
  CHECK(message_of([&] {
          conv2d(x, Tensor::zeros({16, 3, 3, 64}), {}, {.stride = 0});
        }) == "conv2d: stride 0, dilation 1 and groups 1 must be at least 1, padding 0 at least 0");
  CHECK(message_of([&] {
          conv2d_input_gradient(x, Tensor::zeros({64, 3, 3, 4}), {2, 9, 9, 4});
        }) ==
        "conv2d_input_gradient: dy is f32[2, 8, 8, 64]@cpu, but x [2, 9, 9, 4] and weight [64, 3, "
        "3, 4] give [2, 7, 7, 64]");
}

}  // namespace
}  // namespace passband
