// Every kernel on the GPU, real or emulated, that cuts its work into blocks, chunks, tiles or
// parts: at sizes around its own boundaries, at primes, and at sizes of real networks, against f64
// on the CPU. A boundary is named beside the list it is in.
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/attention/lambda.h"
#include "tensor/ops/centre.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/norm.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/softmax.h"
#include "tensor/ops/training/optimizer.h"
#include "tensor/ops/vecdot.h"
#include "tests/device_check.h"

namespace passband {
namespace {

using namespace numeric;
using namespace device_check;
using Sizes = std::vector<int64_t>;

Tensors norm_inputs(const Shape& shape) {
  return {random_tensor(shape, 1, DType::f32, -1, 3),
          random_tensor({shape[-1]}, 2, DType::f32, 0.5, 2),
          random_tensor({shape[-1]}, 3, DType::f32)};
}

Tensor batch_normed(const Tensors& t) { return batch_norm(t[0], t[1], t[2], {}, {}); }
Tensor layer_normed(const Tensors& t) { return layer_norm(t[0], t[1], t[2]); }

// --- norms ---

// A block has 64 rows of 256 channels at least, 2,048 of 8; there are 528 blocks at most.
TEST_CASE("batch norm on the GPU at every number of rows around its blocks") {
  for (const int64_t rows : {5, 63, 64, 65, 127, 128, 129, 1009})
    check_against_f64(batch_normed, norm_inputs({rows, 256}), 1e-3);
  for (const int64_t rows : {2047, 2048, 2049, 4099})
    check_against_f64(batch_normed, norm_inputs({rows, 8}), 1e-3);
  for (const int64_t channels : {1, 7, 9, 255, 257})
    check_against_f64(batch_normed, norm_inputs({131, channels}), 1e-3);
}

// Two rows are +-1 once normalised and have next to no gradient: their result alone is compared.
TEST_CASE("batch norm on the GPU of two rows and at 528 blocks, one row less and one more") {
  for (const int64_t rows : {2, 33791, 33792, 33793}) {
    const Tensors inputs = norm_inputs({rows, 256});
    INFO(rows, " rows");
    CHECK(max_error(batch_normed(on(kDevice, inputs)), batch_normed(in_f64(inputs))) < 3e-5);
  }
}

// Stages of ResNet-50 on pictures of 32 for a batch of 64, and of 224 for one of 64.
TEST_CASE("batch norm on the GPU at sizes of ResNet-50") {
  for (const Shape& shape : {Shape{64, 32, 32, 64}, Shape{64, 16, 16, 128}, Shape{64, 7, 7, 512}})
    check_against_f64(batch_normed, norm_inputs(shape), 2e-3);
}

// The rows of a block are summed for gamma and beta: 528 blocks of four rows; a warp holds 1,024
// columns.
TEST_CASE("layer norm on the GPU around its blocks and its longest row") {
  for (const int64_t rows : {1, 3, 4, 5, 2111, 2112, 2113, 4225})
    check_against_f64(layer_normed, norm_inputs({rows, 24}), 1e-3);
  for (const int64_t columns : {1, 255, 256, 257, 1023, 1024, 1025})
    check_against_f64(layer_normed, norm_inputs({67, columns}), 1e-3);
}

TEST_CASE("group norm on the GPU around its blocks") {
  const auto f = [](const Tensors& t) { return group_norm(t[0], t[1], t[2], 8); };
  for (const int64_t width : {1, 63, 64, 65, 1009})
    check_against_f64(f, norm_inputs({2, 1, width, 256}), 1e-3);
  for (const int64_t width : {2047, 2048, 2049})
    check_against_f64(f, norm_inputs({1, 1, width, 8}), 1e-3);
}

// --- sums ---

// A warp sums rows up to 1,024, a block chunks of 8,192; a thread of a column sum 32 rows, and the
// sums of several blocks are summed again.
TEST_CASE("sums on the GPU around the rows of a warp, a block and a thread") {
  const auto all = [](const Tensors& t) { return sum(t[0], {-1}); };
  const auto columns = [](const Tensors& t) { return sum(t[0], {0}); };
  for (const int64_t n : {1, 31, 33, 1023, 1024, 1025, 8191, 8192, 8193, 16385, 65537})
    check_against_f64(all, {random_tensor({3, n}, 1, DType::f32, -1, 3)}, 1e-5);
  for (const int64_t rows : {1, 31, 32, 33, 255, 256, 257, 1023, 1025, 8193})
    for (const int64_t inner : {1, 5, 64})
      check_against_f64(columns, {random_tensor({rows, inner}, 1, DType::f32, -1, 3)}, 1e-5);
}

TEST_CASE("products of vectors and norms of gradients on the GPU around their chunks") {
  const auto dot = [](const Tensors& t) { return vecdot(t[0], t[1]); };
  for (const int64_t n : {1, 1023, 1024, 1025, 8191, 8192, 8193, 24577})
    check_against_f64(
        dot,
        {random_tensor({2, n}, 1, DType::f32, 0, 1), random_tensor({2, n}, 2, DType::f32, 0, 1)},
        1e-5);
  for (const int64_t n : {1, 8191, 8192, 8193, 16384, 16385, 100003}) {
    const Tensor g = random_tensor({n}, 1, DType::f32);
    double squares = 0;
    for (const double value : g.values()) squares += value * value;
    CHECK(norm_of(g.to(kDevice)) == doctest::Approx(std::sqrt(squares)).epsilon(1e-6));
  }
}

TEST_CASE("centring of similarity matrices on the GPU around the threads of a block") {
  const auto twice = [](const Tensors& t) { return double_centre(t[0]); };
  const auto unbiased = [](const Tensors& t) { return u_centre(t[0]); };
  for (const int64_t n : {3, 31, 255, 256, 257}) {
    check_against_f64(twice, {random_tensor({n, n}, 1, DType::f32, 0, 2)}, 1e-4);
    check_against_f64(unbiased, {random_tensor({n, n}, 1, DType::f32, 0, 2)}, 1e-4);
  }
}

// Threads keep 32 values of a row, warps 1,024, blocks 8,192; a block of cross-entropy has 8 rows.
TEST_CASE("softmax and cross-entropy on the GPU around what a thread, a warp and a block hold") {
  const auto soft = [](const Tensors& t) { return softmax(t[0]); };
  const auto hard = [](const Tensors& t) {
    const int64_t rows = t[0].size(0), classes = t[0].size(1);
    std::vector<int32_t> labels;
    for (int64_t i = 0; i < rows; ++i) labels.push_back(static_cast<int32_t>(i * 7 % classes));
    return cross_entropy(t[0], Tensor::from(labels, {rows}, DType::i32, t[0].device()));
  };
  for (const int64_t n : {1, 31, 32, 33, 1023, 1024, 1025, 8191, 8192, 8193})
    check_against_f64(soft, {random_tensor({3, n}, 1, DType::f32, -3, 3)}, 1e-4);
  for (const int64_t rows : {1, 7, 8, 9, 257})
    for (const int64_t classes : {1, 10, 31, 33, 1000})
      check_against_f64(hard, {random_tensor({rows, classes}, 1, DType::f32, -3, 3)}, 1e-4);
}

// --- products ---

// Tiles of 64 and 128; a sum over k in parts of 256 at least.
TEST_CASE("products on the GPU around their tiles and the parts of their sums") {
  const auto product = [](const Tensors& t) { return matmul(t[0], t[1]); };
  const auto check = [&](int64_t m, int64_t n, int64_t k) {
    check_against_f64(product,
                      {random_tensor({m, k}, 1, DType::f32), random_tensor({k, n}, 2, DType::f32)},
                      1e-4);
  };
  for (const int64_t side : {63, 64, 65, 127, 128, 129}) check(side, 130 - side / 2, 37);
  for (const int64_t k : {255, 256, 257, 511, 512, 513, 1009, 2049}) check(17, 23, k);
}

// dw sums over the pixels in parts, as a product does; depthwise in blocks of pixels.
TEST_CASE("weight gradients on the GPU around the parts of their sums") {
  const auto check = [](const Shape& x, const Shape& w, const ConvOptions& options) {
    check_against_f64([&](const Tensors& t) { return conv2d(t[0], t[1], {}, options); },
                      {random_tensor(x, 1, DType::f32), random_tensor(w, 2, DType::f32)}, 1e-4);
  };
  for (const int64_t width : {255, 256, 257, 521}) check({1, 1, width, 8}, {8, 1, 3, 8}, {});
  for (const int64_t side : {15, 16, 17})
    check({2, side, side, 16}, {24, 3, 3, 16}, {.padding = 1});
  for (const int64_t width : {63, 64, 65, 129, 521})
    check({1, 2, width, 24}, {24, 3, 3, 1}, {.padding = 1, .groups = 24});
  check({1, 9, 9, 65}, {65, 3, 3, 1}, {.padding = 1, .groups = 65});
}

// --- attention and lambda layers ---

// Tiles of 16 tokens, 8 of them to a block, 64 keys at a time; depths of 32, 64 and 128; short
// sequences share a block.
TEST_CASE("attention on the GPU around its tiles of tokens and depths") {
  const auto check = [](int64_t batch, int64_t tokens, int64_t heads, int64_t depth) {
    check_against_f64([=](const Tensors& t) { return attention(t[0], {}, {.heads = heads}); },
                      {random_tensor({batch, tokens, 3 * heads * depth}, 1, DType::f32, -1.5, 1.5)},
                      1e-4);
  };
  for (const int64_t tokens : {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 197})
    check(2, tokens, 1, 8);
  for (const int64_t depth : {1, 31, 32, 33, 63, 64, 65, 127, 128}) check(1, 20, 2, depth);
  for (const int64_t batch : {1, 3, 5, 9}) check(batch, 16, 3, 8);
}

// Windows of Swin-Tiny's stages; the table's gradient sums chunks of windows.
TEST_CASE("window attention on the GPU at sizes of Swin, bias and its gradient in chunks") {
  const auto check = [](const Shape& shape, int64_t heads, int64_t window, int64_t shift) {
    const int64_t side = 2 * window - 1;
    check_against_f64(
        [=](const Tensors& t) {
          return attention(t[0], t[1], {.heads = heads, .window = window, .shift = shift});
        },
        {random_tensor(shape, 1, DType::f32, -1.5, 1.5),
         random_tensor({side * side, heads}, 2, DType::f32)},
        1e-4);
  };
  check({1, 14, 14, 3 * 3 * 32}, 3, 7, 3);
  check({3, 8, 8, 3 * 3 * 8}, 3, 4, 2);
  check({7, 4, 4, 3 * 2 * 8}, 2, 4, 0);
}

// Blocks of 16 rows (images, heads): 16 / heads images and 16 positions; 64 contexts at a time.
TEST_CASE("the lambda layer on the GPU around its images, positions, contexts and depths") {
  const auto check = [](const Shape& map, int64_t values, const LambdaOptions& o) {
    const int64_t n = map[0], h = map[1], w = map[2];
    const Shape table = o.window ? Shape{o.window, o.window, o.depth, o.intra_depth}
                                 : Shape{2 * h - 1, 2 * w - 1, o.depth, o.intra_depth};
    check_against_f64([=](const Tensors& t) { return lambda_layer(t[0], t[1], t[2], t[3], {}, o); },
                      {random_tensor({n, h, w, o.heads * o.depth}, 1, DType::f32),
                       random_tensor({n, h, w, o.intra_depth * o.depth}, 2, DType::f32),
                       random_tensor({n, h, w, o.intra_depth * values}, 3, DType::f32),
                       random_tensor(table, 4, DType::f32)},
                      1e-4);
  };
  for (const int64_t images : {1, 3, 4, 5}) check({images, 4, 4, 0}, 8, {.heads = 4, .depth = 8});
  for (const int64_t width : {1, 15, 16, 17}) check({1, 1, width, 0}, 8, {.heads = 2, .depth = 8});
  for (const int64_t side : {8, 9}) check({1, side, side, 0}, 8, {.heads = 4, .depth = 8});
  for (const int64_t heads : {1, 3, 15, 16, 17})
    check({1, 3, 3, 0}, 4, {.heads = heads, .depth = 4, .window = 3});
  for (const int64_t depth : {1, 15, 17, 63, 64})
    check({1, 3, 3, 0}, 8, {.heads = 4, .depth = depth, .window = 3});
  for (const int64_t values : {1, 63, 64, 65})
    check({1, 3, 3, 0}, values, {.heads = 4, .depth = 8, .window = 3});
}

}  // namespace
}  // namespace passband
