// The CPU's kernels at sizes around their own blocks, tiles and pieces, at primes and at sizes of
// real networks: results against plain f64 loops, gradients in f32 by the fused kernels against f64
// by the formulas that derivatives of higher order are made of. (test_cuda_sizes.cpp is the same
// for the GPU.)
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/attention/lambda.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/norm.h"
#include "tensor/ops/reduce.h"
#include "tests/naive.h"
#include "tests/nn_reference.h"
#include "tests/numeric.h"

namespace passband {
namespace {

using namespace numeric;

Tensors in_f64(const Tensors& inputs) {
  Tensors wide;
  for (const Tensor& input : inputs) wide.push_back(cast(input, DType::f64));
  return wide;
}

// The largest error beside the root mean square of what should be.
double error_of(const std::vector<double>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  double squares = 0, worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    squares += want[i] * want[i];
    worst = worse(worst, std::abs(got[i] - want[i]));
  }
  return worst / (std::sqrt(squares / static_cast<double>(want.size())) + 1e-3);
}

void check(const Function& f, const Tensors& inputs, const std::vector<double>& result,
           double tolerance) {
  const Tensors narrow = leaves(inputs), wide = leaves(in_f64(inputs));
  const Tensor y = f(narrow), exact = f(wide);
  INFO("inputs ", inputs[0], ", ", inputs[1]);
  CHECK(error_of(y.values(), result) < tolerance);
  const Tensor seed = random_tensor(y.shape(), 77, DType::f32);
  const Tensors fused = grad(y, narrow, {.seed = seed});
  const Tensors composed =
      grad(exact, wide, {.seed = cast(seed, DType::f64), .create_graph = true});
  for (size_t i = 0; i < fused.size(); ++i) {
    INFO("gradient ", i);
    CHECK(error_of(fused[i].values(), composed[i].values()) < tolerance);
  }
}

Tensors norm_inputs(const Shape& shape) {
  return {random_tensor(shape, 1, DType::f32, -1, 3),
          random_tensor({shape[-1]}, 2, DType::f32, 0.5, 2),
          random_tensor({shape[-1]}, 3, DType::f32)};
}

// Blocks of about 65,536 elements: 256 rows of 256 channels, 4,096 of 8.
TEST_CASE("norms on the CPU around their blocks and at sizes of ResNet-50") {
  for (const Shape& shape : {Shape{255, 256}, Shape{256, 256}, Shape{257, 256}, Shape{513, 256},
                             Shape{4095, 8}, Shape{4097, 8}, Shape{1009, 7}, Shape{33793, 16},
                             Shape{64, 16, 16, 64}, Shape{64, 7, 7, 512}}) {
    const Tensors t = norm_inputs(shape);
    check([](const Tensors& x) { return batch_norm(x[0], x[1], x[2], {}, {}); }, t,
          reference::batch_norm(t[0], t[1], t[2]), 1e-3);
    check([](const Tensors& x) { return layer_norm(x[0], x[1], x[2]); }, t,
          reference::layer_norm(t[0], t[1], t[2]), 1e-3);
  }
  for (const int64_t width : {255, 256, 257, 1009}) {
    const Tensors t = norm_inputs({2, 1, width, 256});
    check([](const Tensors& x) { return group_norm(x[0], x[1], x[2], 32); }, t,
          reference::group_norm(t[0], t[1], t[2], 32), 1e-3);
  }
}

// A sum in f32 goes to f64 after 4,096 elements of a row or 256 rows; a task has 1,024 rows.
TEST_CASE("sums on the CPU around the places where they change to f64") {
  for (const int64_t n : {1, 15, 16, 17, 4095, 4096, 4097, 8193, 65537}) {
    const Tensor x = random_tensor({2, n}, 1, DType::f32, -1, 3);
    std::vector<double> rows(2);
    for (int64_t i = 0; i < 2 * n; ++i) rows[i / n] += x.data<float>()[i];
    CHECK(error_of(sum(x, {1}).values(), rows) < 1e-5);
  }
  for (const int64_t n : {255, 256, 257, 1023, 1024, 1025, 2049, 5003})
    for (const int64_t columns : {1, 17, 255, 257}) {
      const Tensor x = random_tensor({n, columns}, 1, DType::f32, -1, 3);
      std::vector<double> sums(static_cast<size_t>(columns));
      for (int64_t i = 0; i < n * columns; ++i) sums[i % columns] += x.data<float>()[i];
      CHECK(error_of(sum(x, {0}).values(), sums) < 1e-5);
    }
}

TEST_CASE("products on the CPU around tiles, bands and long sums") {
  const auto check_product = [](int64_t m, int64_t n, int64_t k) {
    const Tensors t{random_tensor({m, k}, 1, DType::f32), random_tensor({k, n}, 2, DType::f32)};
    const std::vector<double> result =
        naive::matmul(t[0].values(), t[1].values(), 1, m, n, k, false, false);
    check([](const Tensors& x) { return matmul(x[0], x[1]); }, t, result, 1e-4);
    const Tensors wide = in_f64(t);
    CHECK(error_of(matmul(wide[0], wide[1]).values(), result) < 1e-12);
  };
  for (const int64_t side : {1, 7, 15, 16, 17, 31, 33, 63, 65, 127, 128, 129, 257})
    check_product(side, 131 - side / 2, 37);
  for (const int64_t k : {1, 255, 257, 767, 768, 769, 1009, 4097}) check_product(19, 23, k);
  // Blocks have up to 128 rows and 256 columns, 128 in f64; from four of rows on they share what
  // is packed of the right factor.
  for (const int64_t m : {125, 126, 127, 377, 379, 509, 513}) check_product(m, 33, 65);
  for (const int64_t n : {255, 256, 257, 513}) check_product(13, n, 130);
}

TEST_CASE("convolutions on the CPU around their pieces of images, pixels and channels") {
  const auto check_convolution = [](const Shape& x, const Shape& w, const ConvOptions& options) {
    const Tensors t{random_tensor(x, 1, DType::f32), random_tensor(w, 2, DType::f32)};
    const auto f = [&](const Tensors& in) { return conv2d(in[0], in[1], {}, options); };
    const Shape y = f(t).shape();
    const std::vector<double> a = t[0].values(), b = t[1].values();
    std::vector<double> result(static_cast<size_t>(y.numel()));
    naive::for_conv_products(x, y, w, options, [&](int64_t to, int64_t from, int64_t by) {
      result[to] += a[from] * b[by];
    });
    check(f, t, result, 2e-4);
  };
  for (const int64_t images : {1, 3, 16, 17, 33})
    check_convolution({images, 9, 9, 16}, {24, 3, 3, 16}, {.padding = 1});
  for (const int64_t side : {15, 16, 17, 33})
    check_convolution({2, side, side, 17}, {31, 3, 3, 17}, {.stride = 2, .padding = 1});
  check_convolution({2, 32, 32, 64}, {64, 3, 3, 64}, {.padding = 1});
  check_convolution({3, 14, 14, 65}, {65, 3, 3, 1}, {.padding = 1, .groups = 65});
  check_convolution({2, 14, 14, 96}, {96, 3, 3, 3}, {.padding = 1, .groups = 32});
}

TEST_CASE("attention and the lambda layer on the CPU at token counts around their tiles") {
  for (const int64_t tokens : {1, 7, 15, 16, 17, 63, 65, 129, 197}) {
    const AttentionOptions o{.heads = 2};
    const Tensor qkv = random_tensor({2, tokens, 3 * 2 * 24}, 1, DType::f32, -1.5, 1.5);
    const Tensors t = leaves({qkv}), wide = leaves(in_f64({qkv}));
    const Tensor y = attention(t[0], {}, o), exact = attention(wide[0], {}, o);
    CHECK(error_of(y.values(), reference::attention(qkv, {}, o)) < 1e-4);
    const Tensor seed = random_tensor(y.shape(), 7, DType::f32);
    CHECK(
        error_of(
            grad(y, t, {.seed = seed})[0].values(),
            grad(exact, wide, {.seed = cast(seed, DType::f64), .create_graph = true})[0].values()) <
        1e-4);
  }
  for (const int64_t side : {1, 3, 8, 9}) {
    const LambdaOptions o{.heads = 3, .depth = 17};
    const int64_t table = 2 * side - 1;
    const Tensors t{random_tensor({2, side, side, 3 * 17}, 1, DType::f32),
                    random_tensor({2, side, side, 17}, 2, DType::f32),
                    random_tensor({2, side, side, 19}, 3, DType::f32),
                    random_tensor({table, table, 17, 1}, 4, DType::f32)};
    check([&](const Tensors& x) { return lambda_layer(x[0], x[1], x[2], x[3], {}, o); }, t,
          reference::lambda_layer(t, o), 1e-4);
  }
}

}  // namespace
}  // namespace passband
