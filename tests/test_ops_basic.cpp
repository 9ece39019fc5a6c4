// What the op table does not reach of the basic operations: messages, in-place operations, special
// values, accuracy of long sums, statistics of random removal.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>

#include "tensor/autograd/engine.h"
#include "tensor/core/parallel.h"
#include "tensor/core/random.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/attention/lambda.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/dropout.h"
#include "tensor/ops/fft.h"
#include "tensor/ops/gather.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"
#include "tests/message_of.h"
#include "tests/worst.h"

namespace passband {
namespace {

using Values = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Tensor vector_of(const Values& values, DType dtype = DType::f32) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())}, dtype);
}

// An action and a part of the message it must throw.
using Case = std::pair<std::function<void()>, const char*>;

void check_messages(const std::vector<Case>& cases) {
  for (const auto& [action, want] : cases) {
    const std::string message = message_of(action);
    INFO("got: ", message, ", want: ", std::string(want));
    CHECK(message.find(want) != std::string::npos);
  }
}

TEST_CASE("the largest difference that tests judge does not pass over NaN") {
  double worst = 0;
  for (const double difference : {1e-9, kNan, 2e-9}) worst = numeric::worse(worst, difference);
  CHECK(worst == kInfinity);
}

TEST_CASE("messages of arithmetic and shape operations name the op, the rule and the operands") {
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({4});
  const Tensor wide = Tensor::zeros({2, 3}, DType::f64);
  check_messages({
      {[&] { add(a, b); }, "add: shapes do not broadcast: a is f32[2, 3]@cpu, b is f32[4]@cpu"},
      {[&] { mul(a, wide); }, "mul: element types differ: a is f32[2, 3]@cpu, b is f64[2, 3]@cpu"},
      {[&] { add(a, Tensor{}); }, "add: an operand is undefined"},
      {[&] { clamp(a, 1, 0); }, "clamp: low 1 is above high 0"},
      {[&] { add_(a, b); }, "add_: shapes differ: y is f32[2, 3]@cpu, x is f32[4]@cpu"},
      {[&] {
         sum(a, {0, -2});
       },
       "sum: dimension -2 is named twice for f32[2, 3]@cpu"},
      {[&] { sum(a, {2}); }, "dim 2 is out of range for [2, 3]"},
      {[&] {
         expand(a, {2, 4});
       },
       "expand: f32[2, 3]@cpu does not stretch to [2, 4]"},
      {[&] {
         max(Tensor::zeros({2, 0}), 1);
       },
       "max: dimension 1 of f32[2, 0]@cpu is empty"},
      {[&] {
         reshape(a, std::vector<int64_t>{4, -1});
       },
       "reshape: 6 elements of f32[2, 3]@cpu do not divide by 4"},
      {[&] { reshape(a, Shape{7}); }, "reshape: f32[2, 3]@cpu has 6 elements, [7] needs 7"},
      {[&] {
         permute(a, {0, 0});
       },
       "permute: dimension 0 is named twice"},
      {[&] {
         concat({a, b}, 0);
       },
       "concat: along dimension 0 f32[4]@cpu does not fit f32[2, 3]@cpu"},
      {[&] { slice(a, 1, 2, 2); },
       "slice: elements 2 to 4 of dimension 1 are outside f32[2, 3]@cpu"},
      {[&] { pad(a, 0, -1, 0); }, "pad: negative padding"},
  });
}

TEST_CASE("messages of losses, selection and the rest name the op, the rule and the operands") {
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({4});
  const Tensor wide = Tensor::zeros({2, 3}, DType::f64);
  const Tensor labels = Tensor::from({0, 3}, {2}, DType::i32);
  const Tensor index = Tensor::from({1, -1}, {2}, DType::i32);
  check_messages({
      {[&] {
         softmax(Tensor::zeros({2, 0}));
       },
       "softmax: dimension -1 of f32[2, 0]@cpu is empty"},
      {[&] { cross_entropy(a, labels); }, "cross_entropy: labels: index 1 is 3, outside [0, 3)"},
      {[&] { cross_entropy(a, Tensor::zeros({2})); },
       "cross_entropy: labels must be i32 of shape [2]"},
      {[&] { cross_entropy(b, labels); },
       "cross_entropy: logits must be (N, classes), not f32[4]@cpu"},
      {[&] { soft_cross_entropy(a, wide); }, "soft_cross_entropy: targets are f64[2, 3]@cpu"},
      {[&] { gather(a, index); }, "gather: index 1 is -1, outside [0, 2)"},
      {[&] { scatter_add(a, labels, 3); }, "scatter_add: index 1 is 3, outside [0, 3)"},
      {[&] { one_hot(labels, 3); }, "one_hot: index 1 is 3, outside [0, 3)"},
      {[&] { dropout(a, 1, {}); }, "dropout: p must be in [0, 1), not 1"},
      {[&] { fft2_magnitude(a); },
       "fft2_magnitude: needs feature maps (N, H, W, C), not f32[2, 3]@cpu"},
      {[&] { exp(labels); }, "takes f32, bf16 or f64, not i32"},
      {[&] { set_thread_count(0); }, "threads: needs at least 1, not 0"},
  });
}

TEST_CASE("operations in place change the memory they are given and its version") {
  const Tensor y = vector_of({1, 2, 3}), x = vector_of({10, 20, 30});
  const uint64_t version = y.version();
  add_(y, x);
  CHECK(y.values() == Values{11, 22, 33});
  add_scaled_(y, x, -0.5);
  CHECK(y.values() == Values{6, 12, 18});
  scale_(y, 0.5);
  CHECK(y.values() == Values{3, 6, 9});
  copy_(y, vector_of({1.5, -2, 7}, DType::f64));
  CHECK(y.values() == Values{1.5, -2, 7});
  fill_(y, 4);
  CHECK(y.values() == Values{4, 4, 4});
  CHECK(y.version() == version + 5);
}

TEST_CASE("a view filled in place leaves its neighbours alone") {
  const Tensor flat = Tensor::zeros({70});
  fill_(flat.view(3, {64}), 1);
  CHECK(sum(flat).item() == 64);
  CHECK(flat.values()[2] == 0);
  CHECK(flat.values()[67] == 0);
}

TEST_CASE("filling memory that holds NaN leaves no NaN") {
  const Tensor y = vector_of({kNan, kInfinity});
  fill_(y, 2);
  CHECK(y.values() == Values{2, 2});
}

TEST_CASE("conversion keeps whole numbers, rounds bf16 to nearest even and keeps NaN") {
  CHECK(cast(vector_of({16777217}, DType::i32), DType::f64).item() == 16777217);
  CHECK(cast(vector_of({0, 128, 255}, DType::u8), DType::f32).values() == Values{0, 128, 255});
  CHECK(cast(vector_of({1 + 0x1p-8, 1 + 3 * 0x1p-8}), DType::bf16).values() ==
        Values{1, 1 + 0x1p-6});
  for (const double value : cast(vector_of(Values(100, kNan)), DType::bf16).values())
    CHECK(std::isnan(value));
}

TEST_CASE("NaN passes through, infinities have their limits") {
  Tensor x = vector_of({kNan, kInfinity, -kInfinity, 100, -100});
  const auto limits = [&](Tensor (*op)(const Tensor&)) {
    const Values y = op(x).values();
    CHECK(std::isnan(y[0]));
    return Values(y.begin() + 1, y.begin() + 3);
  };
  CHECK(limits(exp) == Values{kInfinity, 0});
  CHECK(limits(tanh) == Values{1, -1});
  CHECK(limits(erf) == Values{1, -1});
  CHECK(limits(sigmoid) == Values{1, 0});
  CHECK(limits(relu) == Values{kInfinity, 0});
  CHECK(exp(vector_of({89, -104})).values() == Values{kInfinity, 0});
  // a subnormal number
  CHECK(exp(vector_of({-100})).item() == doctest::Approx(std::exp(-100.0)).epsilon(0.02));
  CHECK(std::isnan(maximum(x, vector_of(Values(5, 1))).values()[0]));
  CHECK(std::isnan(max(x, 0).item()));
  CHECK(argmax(x, 0).item() == 0);
}

TEST_CASE("gradients at the kinks are those the headers state") {
  const auto slope = [](const std::function<Tensor(const Tensor&)>& op, double at) {
    Tensor x = vector_of({at}).leaf();
    return grad(op(x), {x})[0].item();
  };
  CHECK(slope(relu, 0) == 0);
  CHECK(slope(abs, 0) == 0);
  CHECK(slope([](const Tensor& x) { return clamp(x, 0, 1); }, 1) == 0);
  CHECK(slope([](const Tensor& x) { return pow(x, 0); }, 0) == 0);
  CHECK(slope([](const Tensor& x) { return pow(x, 1); }, 0) == 1);
  const Tensor a = vector_of({2}).leaf(), b = vector_of({2}).leaf();
  const auto tie = grad(maximum(a, b), {a, b});
  CHECK(tie[0].item() == 1);
  CHECK(tie[1].item() == 0);
  const Tensor row = vector_of({1, 7, 7, 0}).leaf();
  CHECK(grad(max(row, 0), {row})[0].values() == Values{0, 1, 0, 0});
}

TEST_CASE("a sum over millions of f32 values is right to the last bits") {
  const int64_t n = (int64_t{1} << 22) + 3;
  Tensor x = Tensor::empty({n});
  double want = 0;
  for (int64_t i = 0; i < n; ++i) {
    x.data<float>()[i] = random_uniform({}, static_cast<uint64_t>(i));
    want += static_cast<double>(x.data<float>()[i]);
  }
  CHECK(std::abs(sum(x).item() / want - 1) < 1e-7);
  const Tensor columns = sum(reshape(slice(x, 0, 0, n - 3), Shape{(n - 3) / 16, 16}), {0});
  const Values sums = columns.values();
  double last = 0;
  for (int64_t i = n - 3; i < n; ++i) last += static_cast<double>(x.data<float>()[i]);
  CHECK(std::abs(std::accumulate(sums.begin(), sums.end(), last) / want - 1) < 1e-7);
}

TEST_CASE("softmax and the losses take logits of any size") {
  const Tensor huge = Tensor::from({1e4, 0, -1e4}, {1, 3});
  CHECK(softmax(huge).values() == Values{1, 0, 0});
  CHECK(log_softmax(huge).values() == Values{0, -1e4, -2e4});
  const Tensor label = Tensor::from({2}, {1}, DType::i32);
  CHECK(cross_entropy(huge, label).item() == 2e4);
}

TEST_CASE("cross-entropy with hard labels equals soft targets that hold the same smoothing") {
  const Tensor logits = Tensor::from({1, 2, 3, -1, 0, 4}, {2, 3}, DType::f64).leaf();
  const Tensor labels = Tensor::from({2, 0}, {2}, DType::i32);
  const Tensor target = one_hot(labels, 3, DType::f64) * 0.9 + 0.1 / 3;
  const Tensor hard = cross_entropy(logits, labels, 0.1), soft = soft_cross_entropy(logits, target);
  CHECK(hard.item() == doctest::Approx(soft.item()).epsilon(1e-14));
  const Values a = grad(hard, {logits})[0].values(), b = grad(soft, {logits})[0].values();
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-13));
}

TEST_CASE("the loss of bf16 logits is f32") {
  const Tensor logits = Tensor::zeros({2, 4}, DType::bf16), labels = Tensor::zeros({2}, DType::i32);
  const Tensor loss = cross_entropy(logits, labels);
  CHECK(loss.dtype() == DType::f32);
  CHECK(loss.item() == doctest::Approx(std::log(4.0)).epsilon(1e-6));
}

TEST_CASE(
    "dropout keeps a share of 1 - p, keeps the mean, and depends on seed, step and site alone") {
  Tensor x = Tensor::full({100'003}, 1.0);
  const RandomKey key{.seed = 3, .step = 4, .site = 5};
  const Tensor y = dropout(x, 0.25, key);
  CHECK(mean(y).item() == doctest::Approx(1).epsilon(0.01));
  CHECK(max(y, 0).item() == doctest::Approx(1 / 0.75));
  CHECK(dropout(x, 0.25, key).values() == y.values());
  for (const RandomKey other : {RandomKey{4, 4, 5}, RandomKey{3, 5, 5}, RandomKey{3, 4, 6}})
    CHECK(dropout(x, 0.25, other).values() != y.values());
  CHECK(dropout(x, 0, key).shares_memory_with(x));
}

TEST_CASE("drop_path keeps or drops whole samples") {
  const Tensor y = drop_path(Tensor::full({500, 6}, 1.0), 0.5, {.seed = 9});
  const Tensor totals = sum(y, {1});
  int64_t kept = 0;
  for (const double total : totals.values()) {
    CHECK((total == 0 || total == 12));
    kept += total != 0;
  }
  CHECK(kept > 200);
  CHECK(kept < 300);
}

TEST_CASE("operations on no elements have the values and gradients of empty sums") {
  const auto ones = [](const Shape& shape) { return Tensor::full(shape, 1); };
  for (const Shape& shape : {Shape{0, 4, 6}, Shape{2, 0, 6}, Shape{2, 4, 0}}) {
    const Tensor qkv = Tensor::zeros(shape).leaf();
    const Tensor y = attention(qkv, {}, {.heads = 2});
    CHECK(y.shape() == shape.with(-1, shape[-1] / 3));
    CHECK(grad(y, {qkv}, {.seed = Tensor::zeros_like(y)})[0].shape() == shape);
  }
  for (const Shape& map : {Shape{0, 3, 3, 2}, Shape{2, 0, 3, 2}, Shape{2, 0, 0, 2}}) {
    const Tensor q = Tensor::zeros(map).leaf(), table = ones({3, 3, 2, 1}).leaf();
    const Tensor y = lambda_layer(q, q, q, table, {}, {.heads = 1, .depth = 2, .window = 3});
    const std::vector<Tensor> gradients = grad(y, {q, table}, {.seed = Tensor::zeros_like(y)});
    CHECK(gradients[0].shape() == map);
    CHECK(gradients[1].values() == std::vector<double>(18));
  }
  const Tensor bias = Tensor::from({2.0, 3.0}, {2}), none = Tensor::zeros({1, 2, 2, 0}).leaf();
  const Tensor y = conv2d(none, Tensor::zeros({2, 3, 3, 0}), bias, {.padding = 1});
  CHECK(y.values() == std::vector<double>{2, 3, 2, 3, 2, 3, 2, 3});
  CHECK(grad(y, {none}, {.seed = ones(y.shape())})[0].shape() == none.shape());

  const Tensor part = ones({2, 3}).leaf(), last = Tensor::zeros({2, 0}).leaf();
  const Tensor joined = concat({part, last, last}, 1);
  const std::vector<Tensor> halves = grad(joined, {part, last}, {.seed = ones({2, 3})});
  CHECK(halves[0].values() == std::vector<double>(6, 1));
  CHECK(halves[1].shape() == Shape{2, 0});
  CHECK(prod(last, 1).values() == std::vector<double>{1, 1});
  CHECK(grad(prod(last, 1), {last}, {.seed = ones({2})})[0].shape() == Shape{2, 0});
  CHECK(reshape(ones({6}), {2, 3}).shape() == Shape{2, 3});
  CHECK(reshape(ones({6}), {-1, 3}).shape() == Shape{2, 3});
}

TEST_CASE("scatter_add is the adjoint of gather, empty rows are zero") {
  const Tensor index = Tensor::from({3, 0, 3, 1}, {4}, DType::i32);
  Tensor x = Tensor::from({1, 2, 3, 4, 5, 6, 7, 8}, {4, 2}, DType::f64);
  const Tensor y = scatter_add(x, index, 5);
  CHECK(y.values() == Values{3, 4, 7, 8, 0, 0, 6, 8, 0, 0});
  const Tensor z = Tensor::from({2, 3, 5, 7, 11, 13, 17, 19, 23, 29}, {5, 2}, DType::f64);
  CHECK(sum(mul(y, z)).item() == sum(mul(x, gather(z, index))).item());
}

TEST_CASE("the Fourier magnitude of a plane wave is one pair of peaks, and Parseval's sum holds") {
  const int64_t height = 12, width = 10;
  Tensor x = Tensor::empty({1, height, width, 1}, DType::f64);
  for (int64_t i = 0; i < height * width; ++i) {
    const auto h = static_cast<double>(i / width), w = static_cast<double>(i % width);
    x.data<double>()[i] = std::cos(2 * M_PI * (3 * h / 12 + 2 * w / 10));
  }
  const Values y = fft2_magnitude(x).values();
  for (int64_t i = 0; i < height * width; ++i) {
    const bool peak = i == 3 * width + 2 || i == (height - 3) * width + width - 2;
    CHECK(y[static_cast<size_t>(i)] == doctest::Approx(peak ? 60 : 0).epsilon(1e-10));
  }
  const double energy = sum(square(x)).item(), spectrum = sum(square(fft2_magnitude(x))).item();
  CHECK(spectrum == doctest::Approx(energy * 120).epsilon(1e-12));
}

TEST_CASE("parallel_for covers every index once, on any thread count and length") {
  const int threads = thread_count();
  const SplitShortLoops guard;
  for (const int count : {1, 2, 3, 7}) {
    set_thread_count(count);
    for (const int64_t n : {0, 1, 5, 63, 64, 65, 127, 1000}) {
      std::vector<int> hits(static_cast<size_t>(n));
      parallel_for(n, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
      });
      CHECK(hits == std::vector<int>(static_cast<size_t>(n), 1));
    }
  }
  set_thread_count(threads);
}

}  // namespace
}  // namespace passband
