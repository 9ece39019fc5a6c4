// What the op table does not reach of the operations that vision networks look for: values of other
// libraries, special values, messages.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "tensor/autograd/engine.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/attention/dot_attention.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/gather.h"
#include "tensor/ops/interpolate.h"
#include "tensor/ops/mask.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/message_of.h"
#include "tests/naive.h"

namespace passband {
namespace {

using Values = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void check_near(const Tensor& got, const Values& want, double tolerance) {
  const Values values = got.values();
  REQUIRE(values.size() == want.size());
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i)
    worst = numeric::worse(worst, std::abs(values[i] - want[i]));
  CHECK(worst <= tolerance);
}

// (1, 5, 7, 1): (3 i^2 + 7 j^2 + 5 i j) mod 11 at row i, column j.
Tensor picture() {
  Values values;
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 7; ++j) values.push_back((3 * i * i + 7 * j * j + 5 * i * j) % 11);
  return Tensor::from(values, {1, 5, 7, 1});
}

TEST_CASE("interpolation without antialiasing equals the example of PyTorch's nn.Upsample") {
  const Tensor x = Tensor::from({1, 2, 3, 4}, {1, 2, 2, 1});
  check_near(interpolate(x, 4),
             {1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4}, 0);
  check_near(interpolate(x, 4, {.mode = Interpolation::nearest}),
             {1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}, 0);
}

TEST_CASE("interpolation with antialiasing equals Pillow's resize of a picture of floats") {
  // Image.fromarray(x, "F").resize((width, height), Image.BILINEAR or Image.BICUBIC), Pillow 13.0.
  const InterpolateOptions bilinear{.antialias = true},
      bicubic{.mode = Interpolation::bicubic, .antialias = true};
  check_near(interpolate(picture(), {3, 4}, bilinear),
             {3.44898, 6.46857, 4.59429, 8.72109, 4.04762, 5.84, 5.69778, 5.71958, 5.76871, 6.34286,
              4.84571, 3.55782},
             1e-5);
  check_near(interpolate(picture(), {3, 4}, bicubic),
             {3.22684, 6.71526, 4.41198, 9.08654, 3.93805, 5.90535, 5.51995, 5.68392, 5.86091,
              6.46972, 4.82713, 3.33892},
             1e-5);
  check_near(interpolate(picture(), {8, 3}, bicubic),
             {4.23633, 6.11433, 8.57797, 4.36718, 5.38978, 7.62226, 4.49208, 4.77689,
              6.3493,  4.1582,  6.62303, 6.65325, 4.57082, 6.20864, 5.54863, 5.70394,
              3.75602, 3.20762, 6.27527, 5.57127, 3.61102, 6.51274, 7.29619, 4.29724},
             1e-5);
}

TEST_CASE("attention on separate operands equals the fused one on packed ones") {
  const Tensor qkv = naive::random({2, 5, 3 * 2 * 4}, DType::f64, 1);  // 2 heads of depth 4
  const auto part = [&](int64_t which) {
    return permute(reshape(slice(qkv, 2, which * 8, 8), Shape{2, 5, 2, 4}), {0, 2, 1, 3});
  };
  const Tensor y = scaled_dot_product_attention(part(0), part(1), part(2));
  const Tensor joined = reshape(permute(y, {0, 2, 1, 3}), Shape{2, 5, 8});
  check_near(joined, attention(qkv, {}, {.heads = 2}).values(), 1e-14);
}

TEST_CASE("comparisons take whole numbers, and a NaN equals nothing") {
  const Tensor labels = Tensor::from({3, 16777217, -1}, {3}, DType::i32);
  CHECK(eq(labels, Tensor::from({16777216}, {1}, DType::i32)).values() == Values{0, 0, 0});
  CHECK(ge(labels, 3.0).values() == Values{1, 1, 0});
  const Tensor x = Tensor::from({1, kNan, kInfinity}, {3});
  CHECK(eq(x, x).values() == Values{1, 0, 1});
  CHECK(ne(x, x).values() == Values{0, 1, 0});
  CHECK(le(x, x).values() == Values{1, 0, 1});
  CHECK(eq(x, x).dtype() == DType::u8);
}

TEST_CASE("what a mask did not choose has no gradient, NaN or not") {
  const Tensor x = Tensor::from({4, 0, -1}, {3}).leaf();
  const Tensor y = where(gt(x, 0.0), log(x), 0.0);
  CHECK(y.values() == Values{std::log(4.0F), 0, 0});
  const Tensor chosen = where(gt(x, 0.0), x, -kInfinity);
  CHECK(grad(sum(chosen), {x})[0].values() == Values{1, 0, 0});
  const Tensor bits = Tensor::from({7, 8, 9}, {3}, DType::i32);
  CHECK(where(Tensor::from({2, 0, 1}, {3}, DType::u8), bits, -1.0).values() == Values{7, -1, 9});
}

TEST_CASE("a loss whose labels are all ignored is NaN, and its gradient zero") {
  const Tensor z = naive::random({2, 3}, DType::f32, 1).leaf();
  const Tensor labels = Tensor::from({255, 255}, {2}, DType::i32);
  const Tensor loss = cross_entropy(z, labels, {.smoothing = 0.1, .ignore_index = 255});
  CHECK(std::isnan(loss.item()));
  CHECK(grad(loss, {z})[0].values() == Values(6, 0.0));
  const CrossEntropyOptions summed{.ignore_index = 255, .reduction = LossReduction::sum};
  CHECK(cross_entropy(z, labels, summed).item() == 0);
  CHECK(message_of([&] { cross_entropy(z, labels, {.ignore_index = 0}); }) ==
        "cross_entropy: labels: index 0 is 255, outside [0, 3)");
}

TEST_CASE("options of zero say the same as the loss without options") {
  const Tensor z = naive::random({5, 7}, DType::f32, 2);
  const Tensor labels = Tensor::from({0, 6, 3, 3, 1}, {5}, DType::i32);
  CHECK(cross_entropy(z, labels, CrossEntropyOptions{}).item() ==
        doctest::Approx(cross_entropy(z, labels).item()).epsilon(1e-6));
}

TEST_CASE("wrong operands are named with the rule they break") {
  const Tensor x = Tensor::zeros({2, 4, 6, 3});
  CHECK(message_of([&] { slice(x, 1, 3, 3, -2); }) ==
        "slice: 3 elements from 3 in steps of -2 along dimension 1 end at -1, outside f32[2, 4, 6, "
        "3]@cpu");
  CHECK(message_of([&] { pad(x, 1, 1, 4, PadMode::reflect); }) ==
        "pad: reflecting (1, 4) elements along dimension 1 needs more than that many in f32[2, 4, "
        "6, 3]@cpu");
  CHECK(message_of([&] {
          take_along(x, Tensor::zeros({2, 1}, DType::i32), 1);
        }) ==
        "take_along: indices i32[2, 1]@cpu and x f32[2, 4, 6, 3]@cpu must have the same sizes but "
        "along dimension 1");
  CHECK(message_of([&] {
          max_pool2d(x, {.kernel = {2, 3}, .padding = {0, 2, 0, 0}});
        }) ==
        "max_pool2d: with padding (top 0, bottom 2, left 0, right 0) a window of (2, 3) on f32[2, "
        "4, 6, 3]@cpu holds no pixel; pad by less than the kernel");
  CHECK(message_of([&] { avg_pool2d(x, {.dilation = 2}); }) ==
        "avg_pool2d: windows have no dilation, not 2");
  CHECK(message_of([&] { where(x, x, x); }) ==
        "where: the mask is u8, as comparisons make it, not f32[2, 4, 6, 3]@cpu");
  CHECK(message_of([&] { eq(x, Tensor::zeros({5})); }) ==
        "eq: shapes do not broadcast: a is f32[2, 4, 6, 3]@cpu, b is f32[5]@cpu");
  CHECK(message_of([&] { interpolate(x, 0); }) ==
        "interpolate: can not make 0x0 pixels of x f32[2, 4, 6, 3]@cpu");
}

TEST_CASE("transposed convolutions and attention name what does not fit") {
  const Tensor x = Tensor::zeros({2, 4, 6, 3}), w = Tensor::zeros({3, 2, 2, 5});
  CHECK(message_of([&] { conv_transpose2d(x, w, {}, {.stride = 2, .output_padding = 2}); }) ==
        "conv_transpose2d: output padding 2 must be less than the stride, 2, or the dilation, 1");
  CHECK(message_of([&] {
          conv_transpose2d(x, Tensor::zeros({4, 2, 2, 5}));
        }) ==
        "conv_transpose2d: channels mismatch: x f32[2, 4, 6, 3]@cpu has 3, weight f32[4, 2, 2, "
        "5]@cpu takes 4");
  const Tensor q = Tensor::zeros({1, 4, 3, 2}), k = Tensor::zeros({1, 3, 5, 2});
  CHECK(message_of([&] { scaled_dot_product_attention(q, k, k); }) ==
        "scaled_dot_product_attention: the 3 heads of k f32[1, 3, 5, 2]@cpu do not divide the 4 of "
        "q f32[1, 4, 3, 2]@cpu");
  CHECK(message_of([&] {
          scaled_dot_product_attention(q, q, q, Tensor::zeros({2, 3}));
        }) ==
        "scaled_dot_product_attention: mask f32[2, 3]@cpu does not stretch to the scores [1, 4, 3, "
        "3] of q f32[1, 4, 3, 2]@cpu");
}

}  // namespace
}  // namespace passband
