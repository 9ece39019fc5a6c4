// Gradients of parameters on the GPU, real or emulated, that come in parts and are summed where all
// gradients are collected: against f64, through casts and where paths meet, and in the order in
// which they become whole.
#include "tensor/autograd/sum.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/mlp.h"
#include "tensor/ops/norm.h"
#include "tests/device_check.h"

namespace passband {
namespace {

using namespace numeric;

using device_check::kDevice, device_check::on;

struct SumShape {
  int64_t parts, n;  // parts 0: in one piece
};

// Memory of all sums in a row, the first at an odd place, before and after what is added.
struct SumsOfParts {
  Tensor memory;
  std::vector<double> expected;
  std::vector<InPlaceSum> sums;

  explicit SumsOfParts(const std::vector<SumShape>& shapes) {
    int64_t total = 1;
    for (const SumShape& shape : shapes) total += shape.n;
    const Tensor start = random_tensor({total}, 5, DType::f32);
    expected = start.values();
    memory = start.to(kDevice);
    int64_t at = 1;
    for (const auto& [parts, n] : shapes) {
      const int64_t rows = std::max<int64_t>(parts, 1);
      const DType dtype = parts == 0 && n % 2 ? DType::bf16 : DType::f32;
      const Tensor x = random_tensor({rows, n}, static_cast<uint64_t>(at), dtype);
      const std::vector<double> values = x.values();
      for (int64_t i = 0; i < n; ++i) {
        double sum = 0;
        for (int64_t part = 0; part < rows; ++part) sum += values[part * n + i];
        expected[at + i] += sum;
      }
      sums.push_back({memory.view(at, {n}), parts ? x.to(kDevice) : x.viewed_as({n}).to(kDevice)});
      at += n;
    }
  }
};

TEST_CASE("sums of parts on the GPU are those in f64, rounded twice, under every schedule") {
  std::vector<SumShape> shapes;
  for (const int64_t parts : {0, 1, 2, 8, 9, 64, 65, 300})
    for (const int64_t n : {1, 3, 4, 31, 64, 260}) shapes.push_back({parts, n});
  shapes.insert(shapes.end(), {{0, 2049}, {2, 1025}, {17, 513}});
  device_check::check_same_bits_under_every_schedule([&] {
    const SumsOfParts all(shapes);
    add_all_(all.sums);
    const Tensor got = all.memory.to(Device{});
    const std::vector<double> values = got.values();
    double worst = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double error = std::abs(values[i] - all.expected[i]);
      worst = worse(worst, error / (1 + std::abs(all.expected[i])));
    }
    CHECK(worst < 4 * 0x1p-24);
    return Tensors{got};
  });
}

TEST_CASE("more sums than one launch takes are all added") {
  const SumsOfParts all(std::vector<SumShape>(250, {2, 3}));
  add_all_(all.sums);
  CHECK(max_error(all.memory.to(Device{}), Tensor::from(all.expected, all.memory.shape())) < 1e-6);
}

// Gradients of all but the first input, which is data, in f64 on the CPU. On the device parameters
// are f32 and have memory for their gradients; norms take them so, products cast to `compute`.
Tensors exact_gradients(const Function& f, const Tensors& inputs) {
  const Tensors x = leaves(device_check::in_f64(inputs));
  return grad(sum(f(x)), {x.begin() + 1, x.end()});
}

Tensors collected_gradients(const Function& f, const Tensors& inputs, DType compute) {
  Tensors given{cast(inputs[0], compute).to(kDevice)}, memories;
  for (size_t i = 1; i < inputs.size(); ++i) {
    const Tensor parameter = inputs[i].to(kDevice).leaf();
    memories.push_back(Tensor::zeros(inputs[i].shape(), DType::f32, kDevice));
    bind_grad(parameter, memories.back());
    given.push_back(parameter);
  }
  backward(sum(cast(f(given), DType::f32)));
  return on({}, memories);
}

void check_collected(const Function& f, const Tensors& inputs, DType compute, double tolerance) {
  const Tensors want = exact_gradients(f, inputs), got = collected_gradients(f, inputs, compute);
  for (size_t i = 0; i < want.size(); ++i) {
    double largest = 0;
    for (const double value : want[i].values()) largest = std::max(largest, std::abs(value));
    INFO("gradient of parameter ", i, ", ", name_of(compute));
    CHECK(max_error(got[i], want[i]) <= tolerance * largest);
  }
}

// Multiples of 1/16 up to 2: exact in bf16, as are products of two of them in f32.
Tensor short_numbers(const Shape& shape, uint64_t seed) {
  RandomSequence random({.seed = seed, .site = site_of("short numbers")});
  std::vector<float> values;
  for (int64_t i = 0; i < shape.numel(); ++i)
    values.push_back(static_cast<float>(random.below(65)) / 16.0f - 2.0f);
  return Tensor::from(values, shape);
}

Tensor in(const Tensor& parameter, const Tensor& x) { return cast(parameter, x.dtype()); }

// What multiplies the result, so that gradients differ from row to row; exact in bf16.
Tensor weighed(const Tensor& y) {
  return y * cast(short_numbers(y.shape(), 9), y.dtype()).to(y.device());
}

TEST_CASE("weight gradients that are split along their sum reach their memory in f32, unrounded") {
  const auto layer = [](const Tensors& t) {
    return weighed(linear(t[0], in(t[1], t[0]), in(t[2], t[0])));
  };
  const auto conv = [](const ConvOptions& options) {
    return [options](const Tensors& t) {
      return weighed(conv2d(t[0], in(t[1], t[0]), in(t[2], t[0]), options));
    };
  };
  for (const DType compute : {DType::f32, DType::bf16}) {
    check_collected(
        layer, {short_numbers({1500, 24}, 1), short_numbers({40, 24}, 2), short_numbers({40}, 3)},
        compute, 1e-6);
    check_collected(layer,
                    {short_numbers({700, 13}, 1), short_numbers({7, 13}, 2), short_numbers({7}, 3)},
                    compute, 1e-6);
    const Tensor pictures = short_numbers({5, 12, 11, 8}, 4);
    check_collected(conv({}), {pictures, short_numbers({16, 1, 1, 8}, 5), short_numbers({16}, 6)},
                    compute, 1e-6);
    check_collected(conv({.padding = 1}),
                    {pictures, short_numbers({16, 3, 3, 8}, 5), short_numbers({16}, 6)}, compute,
                    1e-6);
    check_collected(conv({.padding = 1, .groups = 2}),
                    {pictures, short_numbers({6, 3, 3, 4}, 5), short_numbers({6}, 6)}, compute,
                    1e-6);
  }
}

TEST_CASE("parameters of layer norm and MLP get their gradients from parts") {
  const auto norm = [](const Tensors& t) {
    const bool wide = t[0].dtype() == DType::f64;
    return weighed(layer_norm(t[0], t[1], wide ? t[2] : cast(t[2], DType::f32)));
  };
  const auto network = [](const Tensors& t) {
    return weighed(mlp(t[0], in(t[1], t[0]), in(t[2], t[0]), in(t[3], t[0]), in(t[4], t[0])));
  };
  for (const DType compute : {DType::f32, DType::bf16}) {
    check_collected(norm,
                    {short_numbers({333, 40}, 1), short_numbers({40}, 2), short_numbers({40}, 3)},
                    compute, 1e-5);
    check_collected(network,
                    {short_numbers({600, 8}, 1), short_numbers({24, 8}, 2), short_numbers({24}, 3),
                     short_numbers({8, 24}, 4), short_numbers({8}, 5)},
                    compute, compute == DType::f32 ? 1e-5 : 1e-2);
  }
}

// y = 3 x, whose gradient comes in two parts where it may: dy and 2 dy.
struct TripleInParts {
  static constexpr auto name = "triple";
  static constexpr auto saves = Save::none;
  int* in_parts;
  Tensor forward(const Tensor& x) const { return mul(x, 3.0); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    if (!s.takes_parts(0)) return {mul(dy, 3.0)};
    ++*in_parts;
    const Tensor parts = concat({reshape(dy, {1, 2}), reshape(mul(dy, 2.0), {1, 2})}, 0);
    return {cast(parts, DType::f32)};
  }
};

TEST_CASE("a gradient in parts is summed where it arrives, and given only to who takes it so") {
  int in_parts = 0;
  const Tensor x = Tensor::from({1.0f, 2.0f}, {2}, DType::f32, kDevice).leaf(),
               by = Tensor::from({1.0f, -4.0f}, {2}, DType::f32, kDevice);
  const auto triple = [&](const Tensor& t) { return apply(TripleInParts{&in_parts}, t); };
  const auto used = [&] { return sum(triple(x) * by); };
  CHECK(grad(used(), {x})[0].values() == std::vector<double>{3, -12});
  CHECK(in_parts == 0);  // not bound
  Tensor memory = Tensor::full({2}, 0.5, DType::f32, kDevice);
  bind_grad(x, memory);
  backward(used());
  CHECK(in_parts == 1);
  CHECK(memory.values() == std::vector<double>{3.5, -11.5});
  backward(used() + sum(x * by) + used());  // meets one in one piece, and other parts
  CHECK(in_parts == 3);
  CHECK(memory.values() == std::vector<double>{10.5, -39.5});
  backward(sum(cast(triple(cast(x, DType::bf16)), DType::f32) * by));  // through a cast
  CHECK(in_parts == 4);
  CHECK(memory.values() == std::vector<double>{13.5, -51.5});
  const Tensor half = cast(x, DType::bf16);
  const std::vector<Tensor> both = grad(sum(cast(triple(half), DType::f32) * by), {x, half});
  CHECK(in_parts == 5);
  CHECK(both[0].dtype() == DType::f32);
  CHECK(both[0].values() == std::vector<double>{3, -12});
  CHECK(both[1].dtype() == DType::bf16);
  CHECK(both[1].values() == std::vector<double>{3, -12});
  const Tensor twice = sum(square(triple(x)));  // 9 x^2
  CHECK(grad(sum(grad(twice, {x}, {.create_graph = true})[0]), {x})[0].values() ==
        std::vector<double>{18, 18});
  CHECK(memory.values() == std::vector<double>{13.5, -51.5});
}

TEST_CASE("who listens is told of a gradient on the GPU when it is whole, once, last layer first") {
  const Tensor x = short_numbers({900, 16}, 1).to(kDevice);
  const Tensor first = short_numbers({16, 16}, 2).to(kDevice).leaf(),
               second = short_numbers({8, 16}, 3).to(kDevice).leaf();
  Tensor memory = Tensor::zeros({16 * 16 + 8 * 16}, DType::f32, kDevice);
  bind_grad(first, memory.view(0, {16, 16}));
  bind_grad(second, memory.view(16 * 16, {8, 16}));
  std::vector<std::pair<int64_t, std::vector<double>>> told;
  const auto used = [&] { return sum(square(linear(linear(x, first), second))); };
  backward(used() + sum(first), {},
           [&](const Tensor& gradient) { told.emplace_back(gradient.numel(), gradient.values()); });
  REQUIRE(told.size() == 2);
  CHECK(told[0].first == 8 * 16);
  CHECK(told[1].first == 16 * 16);
  CHECK(told[0].second == grad_of(second).values());
  CHECK(told[1].second == grad_of(first).values());
}

}  // namespace
}  // namespace passband
