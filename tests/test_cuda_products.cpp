// Products and convolutions on the GPU, real or emulated: shapes the op table does not have (whole
// tiles, tails, sums in parts, strides with dilation, groups of whole runs), every source of
// kernels, and the same bits under any schedule.
#include "tensor/cuda/kernel_choice.h"
#include "tensor/ops/conv_kernels.h"
#include "tensor/ops/matmul_kernels.h"
#include "tests/device_check.h"
#include "tests/naive.h"
#include "tests/worst.h"

namespace passband {
namespace {

using namespace device_check;

// As naive::check_close, for operands rounded to 10 bits of mantissa.
void check_close_tf32(const Tensor& actual, const std::vector<double>& wanted, int64_t terms) {
  const std::vector<double> values = actual.values();
  double largest = 0, worst = 0;
  for (const double value : wanted) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < wanted.size(); ++i)
    worst = numeric::worse(worst, std::abs(values[i] - wanted[i]));
  INFO(actual, " with ", terms, " terms");
  CHECK(worst <= 0x1p-9 * std::sqrt(static_cast<double>(terms)) * largest);
}

// --- products ---

struct Product {
  int64_t batch, m, n, k;
  bool transpose_a = false, transpose_b = false;
  bool bias = false, residual = false;
};

struct ProductData {
  ProductShape shape;
  Tensor a, b, bias, residual;
  std::vector<double> wanted;

  ProductData(const Product& p, DType dtype)
      : shape{.batch = p.batch,
              .m = p.m,
              .n = p.n,
              .k = p.k,
              .transpose_a = p.transpose_a,
              .transpose_b = p.transpose_b},
        a(naive::random({p.batch, p.m, p.k}, dtype, 1)),
        b(naive::random({p.batch, p.k, p.n}, dtype, 2)) {
    if (p.bias) bias = naive::random({p.n}, dtype, 3);
    if (p.residual) residual = naive::random({p.batch, p.m, p.n}, dtype, 4);
    wanted =
        naive::matmul(a.values(), b.values(), p.batch, p.m, p.n, p.k, p.transpose_a, p.transpose_b);
    const std::vector<double> added =
        p.bias ? bias.values() : std::vector<double>(static_cast<size_t>(p.n));
    const std::vector<double> more =
        p.residual ? residual.values() : std::vector<double>(wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i)
      wanted[i] += added[i % static_cast<size_t>(p.n)] + more[i];
  }

  Tensor run() const {
    const auto there = [](const Tensor& x) { return x.defined() ? x.to(kDevice) : Tensor{}; };
    Tensor c = Tensor::empty({shape.batch, shape.m, shape.n}, a.dtype(), kDevice);
    cuda::matmul_forward(c, there(a), there(b), {there(bias), there(residual)}, shape);
    return c.to({});
  }
};

const std::vector<Product>& products() {
  static const std::vector<Product> list = {
      {1, 1, 1, 1},
      {1, 65, 63, 33, false, true, true, false},
      {1, 64, 64, 64, false, true},
      {1, 72, 136, 200, false, false, true,
       true},  // whole runs of 16 bytes, tiles that end in the middle
      {2, 72, 40, 96, true, false},
      {1, 40, 72, 136, true, true, false, true},
      {3, 17, 19, 23, true, false, true},
      {1, 24, 40, 1100, true, false, true, true},  // the sum in parts
      {2, 9, 7, 1030, false, true, false, true},
  };
  return list;
}

void check_products(DType dtype) {
  for (const Product& p : products()) {
    const ProductData data(p, dtype);
    CAPTURE(p.m);
    CAPTURE(p.n);
    CAPTURE(p.k);
    naive::check_close(data.run(), data.wanted, p.k + 2);
  }
}

TEST_CASE("products of all layouts and tails equal the naive ones") {
  SUBCASE("f32") { check_products(DType::f32); }
  SUBCASE("bf16") { check_products(DType::bf16); }
  SUBCASE("f64") { check_products(DType::f64); }
}

TEST_CASE("products in tf32 are as exact as 10 bits of mantissa allow, and no more") {
  const KernelSourceGuard guard(KernelSource::native);
  allow_tf32(true);
  for (const Product& p : products()) {
    const ProductData data(p, DType::f32);
    check_close_tf32(data.run(), data.wanted, p.k + 2);
  }
  const ProductData data({1, 64, 64, 64}, DType::f32);
  const std::vector<double> values = data.run().values();
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i)
    worst = numeric::worse(worst, std::abs(values[i] - data.wanted[i]));
  CHECK(worst > 1e-4);
}

TEST_CASE("a batch of many products, which the large tiles serve, equals the naive one") {
  const ProductData data({33, 130, 150, 24, false, true, true, false}, DType::bf16);
  naive::check_close(data.run(), data.wanted, 26);
}

TEST_CASE("products that the large tile of warp groups serves equal the naive ones") {
  for (const Product& p : std::vector<Product>{{132, 256, 128, 64, false, true},
                                               {33, 257, 136, 72, false, true, true, true},
                                               {33, 264, 129, 8, false, true},
                                               {33, 264, 136, 200, false, false, true}}) {
    const ProductData data(p, DType::bf16);
    CAPTURE(p.m);
    CAPTURE(p.k);
    naive::check_close(data.run(), data.wanted, p.k + 2);
  }
}

TEST_CASE("an empty sum is what is added, an empty result is nothing") {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    const ProductData data({2, 3, 5, 0, false, false, true, true}, dtype);
    naive::check_close(data.run(), data.wanted, 2);
    CHECK(ProductData({0, 3, 5, 4}, dtype).run().numel() == 0);
  }
}

// --- convolutions ---

struct Convolution {
  Shape x, w;  // (N, H, W, C), (O, kh, kw, C / groups)
  ConvOptions options;

  Shape y() const {
    const auto& [stride, padding, dilation, groups] = options;
    const int64_t height = x[1] + padding.top + padding.bottom - dilation.height * (w[1] - 1) - 1,
                  width = x[2] + padding.left + padding.right - dilation.width * (w[2] - 1) - 1;
    return {x[0], height / stride.height + 1, width / stride.width + 1, w[0]};
  }
};

struct ConvolutionData {
  Convolution c;
  Tensor x, w, dy, bias;
  std::vector<double> y_wanted, dx_wanted, dw_wanted;

  ConvolutionData(const Convolution& conv, DType dtype)
      : c(conv),
        x(naive::random(conv.x, dtype, 1)),
        w(naive::random(conv.w, dtype, 2)),
        dy(naive::random(conv.y(), dtype, 3)),
        bias(naive::random({conv.w[0]}, dtype, 4)),
        y_wanted(static_cast<size_t>(dy.numel())),
        dx_wanted(static_cast<size_t>(x.numel())),
        dw_wanted(static_cast<size_t>(w.numel())) {
    const std::vector<double> vx = x.values(), vw = w.values(), vdy = dy.values(),
                              vb = bias.values();
    for (size_t i = 0; i < y_wanted.size(); ++i) y_wanted[i] = vb[i % vb.size()];
    naive::for_conv_products(c.x, c.y(), c.w, c.options, [&](int64_t yi, int64_t xi, int64_t wi) {
      const auto i = static_cast<size_t>(yi), j = static_cast<size_t>(xi),
                 k = static_cast<size_t>(wi);
      y_wanted[i] += vx[j] * vw[k];
      dx_wanted[j] += vdy[i] * vw[k];
      dw_wanted[k] += vdy[i] * vx[j];
    });
  }

  // y, dx and dw.
  std::vector<Tensor> run() const {
    Tensor y = Tensor::empty(c.y(), x.dtype(), kDevice),
           dx = Tensor::empty(c.x, x.dtype(), kDevice), dw = Tensor::empty(c.w, x.dtype(), kDevice);
    cuda::conv2d_forward(y, x.to(kDevice), w.to(kDevice), bias.to(kDevice), c.options);
    cuda::conv2d_backward_input(dx, dy.to(kDevice), w.to(kDevice), c.options);
    cuda::conv2d_backward_weight(dw, nullptr, dy.to(kDevice), x.to(kDevice), c.options);
    return {y.to({}), dx.to({}), dw.to({})};
  }

  template <class F> void check(F&& close) const {
    INFO("x ", c.x, ", w ", c.w, ", stride ", c.options.stride, ", dilation ", c.options.dilation);
    const std::vector<Tensor> got = run();
    const int64_t taps = c.w[1] * c.w[2];
    close(got[0], y_wanted, taps * c.w[3] + 1);
    close(got[1], dx_wanted, taps * c.w[0] / c.options.groups);
    close(got[2], dw_wanted, dy.numel() / c.w[0]);
  }
};

const std::vector<Convolution>& convolutions() {
  static const std::vector<Convolution> list = {
      {{2, 7, 6, 16}, {24, 3, 3, 16}, {.padding = 1}},  // whole runs of 16 bytes
      {{1, 9, 11, 3}, {10, 3, 3, 3}, {.padding = 1}},   // a stem
      {{1, 9, 8, 8}, {16, 3, 3, 8}, {.stride = 2, .padding = 1}},
      {{2, 8, 8, 16}, {8, 1, 1, 16}, {.stride = 2}},  // pixels that no output sees
      {{1, 10, 9, 8}, {8, 3, 2, 8}, {.stride = 2, .padding = 2, .dilation = 3}},
      {{1, 11, 10, 5}, {4, 5, 4, 5}, {.stride = 3, .padding = 2}},
      {{1, 9, 9, 4}, {6, 3, 3, 4}, {.stride = 4, .padding = 3, .dilation = 2}},
      {{1, 4, 4, 32}, {16, 3, 3, 16}, {.padding = 1, .groups = 2}},
      {{1, 3, 2, 6}, {9, 3, 3, 2}, {.padding = 2, .groups = 3}},
      {{2, 16, 16, 8}, {16, 3, 3, 8}, {.padding = 1}},  // the sum of dw in parts
      {{2, 4, 4, 40}, {24, 1, 1, 40}, {}},
      {{2, 8, 7, 16}, {8, 2, 5, 16}, {.stride = {1, 3}, .padding = {0, 1, 3, 2}}},
      {{1, 11, 6, 5}, {6, 3, 2, 5}, {.stride = {3, 2}, .padding = {2, 0}, .dilation = {2, 3}}},
  };
  return list;
}

const std::vector<Convolution>& depthwise() {
  static const std::vector<Convolution> list = {
      {{2, 6, 7, 24}, {24, 3, 3, 1}, {.padding = 1, .groups = 24}},
      {{1, 9, 8, 72}, {72, 5, 5, 1}, {.stride = 2, .padding = 2, .groups = 72}},
      {{2, 7, 7, 5}, {5, 3, 2, 1}, {.padding = 2, .dilation = 2, .groups = 5}},
      {{1, 24, 24, 8}, {8, 7, 7, 1}, {.padding = 3, .groups = 8}},
      {{2, 8, 9, 12},
       {12, 2, 3, 1},
       {.stride = {1, 2}, .padding = {1, 0, 2, 3}, .dilation = {3, 1}, .groups = 12}},
      {{1, 6, 6, 4}, {8, 3, 3, 1}, {.padding = 1, .groups = 4}},  // two filters for each channel
  };
  return list;
}

void check_convolutions(const std::vector<Convolution>& list, DType dtype) {
  for (const Convolution& c : list) ConvolutionData(c, dtype).check(naive::check_close);
}

TEST_CASE("convolutions and their gradients equal the naive ones") {
  SUBCASE("f32") { check_convolutions(convolutions(), DType::f32); }
  SUBCASE("bf16") { check_convolutions(convolutions(), DType::bf16); }
  SUBCASE("f64") { check_convolutions(convolutions(), DType::f64); }
}

TEST_CASE("convolutions that the large tiles serve equal the naive ones") {
  // In turn the forward pass, the input gradient and the weight gradient have enough tiles for
  // every multiprocessor.
  check_convolutions({{{1, 130, 130, 8}, {72, 1, 2, 8}, {}},
                      {{2, 129, 131, 8}, {72, 1, 2, 8}, {}},
                      {{1, 130, 130, 72}, {8, 1, 2, 72}, {}},
                      {{1, 4, 5, 132 * 40}, {132 * 72, 1, 2, 40}, {.groups = 132}}},
                     DType::bf16);
}

TEST_CASE("depthwise convolutions and their gradients equal the naive ones") {
  SUBCASE("f32") { check_convolutions(depthwise(), DType::f32); }
  SUBCASE("bf16") { check_convolutions(depthwise(), DType::bf16); }
  SUBCASE("f64") { check_convolutions(depthwise(), DType::f64); }
}

TEST_CASE("convolutions in tf32 are as exact as 10 bits of mantissa allow") {
  const KernelSourceGuard guard(KernelSource::native);
  allow_tf32(true);
  for (const Convolution& c : convolutions())
    ConvolutionData(c, DType::f32).check(check_close_tf32);
}

// --- sources of kernels ---

TEST_CASE("the library gives the same results, and auto chooses one of the two for each shape") {
  for (const KernelSource source : {KernelSource::library, KernelSource::automatic}) {
    const KernelSourceGuard guard(source);
    CAPTURE(name_of(source));
    for (const DType dtype : {DType::f32, DType::bf16}) {
      for (const Product& p : products()) {
        const ProductData data(p, dtype);
        naive::check_close(data.run(), data.wanted, p.k + 2);
      }
      for (const Convolution& c : convolutions())
        ConvolutionData(c, dtype).check(naive::check_close);
    }
  }
}

TEST_CASE(
    "the choice of a kernel is made once for each shape, and never while a graph is recorded") {
  cuda::KernelChoice choice;
  int native = 0, library = 0;
  const auto run = [&](int64_t shape, bool possible) {
    native = library = 0;
    choice.run(
        KernelSource::automatic, {shape}, [&] { ++native; },
        [&] { return library += possible, possible; });
  };
  run(1, true);
  CHECK(native > 0);
  CHECK(library > 0);
  run(1, true);
  CHECK(native + library == 1);
  run(2, false);
  CHECK(native == 1);
  CHECK(choice.size() == 2);
  const cuda::RecordingScope recording;
  run(3, true);
  CHECK(native == 1);
  CHECK(library == 0);
  CHECK(choice.size() == 2);
}

TEST_CASE("sources of kernels are known by name") {
  CHECK(kernel_source_from("native") == KernelSource::native);
  CHECK(kernel_source_from("cudnn") == KernelSource::library);
  CHECK(kernel_source_from("auto") == KernelSource::automatic);
  CHECK(kernel_source_from("onednn") == KernelSource::onednn);
  CHECK_THROWS_WITH_AS(kernel_source_from("fast"),
                       doctest::Contains("there are native, library, auto and onednn"), UsageError);
}

// --- schedules ---

TEST_CASE("products and convolutions give the same bits under every schedule") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const ProductData parts({1, 24, 40, 1100, true, false, true, true}, dtype),
        tail({1, 65, 63, 33}, dtype);
    check_same_bits_under_every_schedule([&] { return std::vector{parts.run(), tail.run()}; });
    const ConvolutionData strided({{1, 9, 8, 8}, {16, 3, 3, 8}, {.stride = 2, .padding = 1}},
                                  dtype);
    const ConvolutionData by_channel({{1, 20, 20, 8}, {8, 3, 3, 1}, {.padding = 1, .groups = 8}},
                                     dtype);
    check_same_bits_under_every_schedule([&] { return strided.run(); });
    check_same_bits_under_every_schedule([&] { return by_channel.run(); });
  }
}

}  // namespace
}  // namespace passband
