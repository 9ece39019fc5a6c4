// Norms and pooling on the GPU, real or emulated, at shapes the op table does not have: sums over
// several blocks, rows longer than a warp holds, whole runs of 16 bytes and tails, windows that
// overlap and overhang.
#include "tensor/ops/norm.h"
#include "tensor/ops/pool.h"
#include "tests/device_check.h"

namespace passband {
namespace {

using namespace numeric;

using device_check::everything, device_check::in_f64, device_check::kDevice, device_check::on;

// Against f64 on the CPU from the same inputs; `tolerance` in units of 1 + |result|.
void check_against_f64(const Function& f, const Tensors& inputs, double tolerance) {
  const Tensors got = everything(f, on(kDevice, inputs)), want = everything(f, in_f64(inputs));
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("result ", i, " of ", inputs[0]);
    CHECK(max_error(got[i], want[i]) <= tolerance);
  }
}

// x, gamma, beta.
Tensors norm_inputs(const Shape& shape, DType dtype, double mean = 0) {
  return {random_tensor(shape, 1, dtype, mean - 1, mean + 1),
          random_tensor({shape[-1]}, 2, DType::f32, 0.5, 2),
          random_tensor({shape[-1]}, 3, DType::f32)};
}

TEST_CASE("batch norm on the GPU joins the statistics of many blocks, far from zero as well") {
  const auto plain = [](const Tensors& t) { return batch_norm(t[0], t[1], t[2], {}, {}); };
  check_against_f64(plain, norm_inputs({1500, 40}, DType::f32), 3e-4);
  check_against_f64(plain, norm_inputs({1500, 40}, DType::bf16), 2e-2 * 40);
  check_against_f64(plain, norm_inputs({700, 21}, DType::f32, 50), 2e-2);
  const auto gated = [](const Tensors& t) {
    return batch_norm(t[0], t[1], t[2], {}, {}, {.relu = true}, t[3]);
  };
  Tensors inputs = norm_inputs({5, 7, 9, 24}, DType::f32);
  inputs.push_back(random_tensor({5, 7, 9, 24}, 4, DType::f32));
  check_against_f64(gated, inputs, 3e-4);
}

// 35 blocks: they are joined in six groups, the last of which has fewer.
TEST_CASE("batch norm on the GPU joins groups of blocks, with the same bits under every schedule") {
  const Tensors inputs = norm_inputs({2200, 256}, DType::f32, 3);
  const auto plain = [](const Tensors& t) { return batch_norm(t[0], t[1], t[2], {}, {}); };
  check_against_f64(plain, inputs, 3e-4);
  const auto gated = [](const Tensors& t) {
    return batch_norm(t[0], t[1], t[2], {}, {}, {.relu = true});
  };
  device_check::check_same_bits_under_every_schedule(
      [&] { return everything(gated, on(kDevice, inputs)); });
}

// Rows at which rounding up the rows of a block would leave blocks without any; ResNet-50's third
// stage at 224 has 50,176 rows of 256 for a batch of 256.
TEST_CASE("batch norm on the GPU takes batches whose rows its blocks do not divide") {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{8449, 1024}, {50176, 256}}) {
    const Tensors inputs = norm_inputs({rows, columns}, DType::f32, 8);
    const auto forward = [](const Tensors& t) { return batch_norm(t[0], t[1], t[2], {}, {}); };
    INFO(rows, " rows of ", columns);
    CHECK(max_error(forward(on(kDevice, inputs)), forward(in_f64(inputs))) < 3e-5);
  }
}

TEST_CASE("group norm on the GPU takes pictures whose rows its blocks do not divide") {
  const Tensors inputs = norm_inputs({1, 92, 92, 1024}, DType::f32, 8);
  const auto forward = [](const Tensors& t) { return group_norm(t[0], t[1], t[2], 32); };
  CHECK(max_error(forward(on(kDevice, inputs)), forward(in_f64(inputs))) < 3e-5);
}

TEST_CASE("layer norm on the GPU takes rows shorter and longer than a warp holds") {
  const auto f = [](const Tensors& t) { return layer_norm(t[0], t[1], t[2]); };
  for (const int64_t columns : {8, 192, 384, 513, 1024, 1100, 1504})
    check_against_f64(f, norm_inputs({9, columns}, DType::f32), 1e-4);
  check_against_f64(f, norm_inputs({9, 1504}, DType::bf16), 5e-2);
}

TEST_CASE("a shortcut's gradient is added where a norm on the GPU makes its own") {
  const auto batch = [](const Tensors& t) {
    return add(batch_norm(t[0], t[1], t[2], {}, {}, {.relu = true}), t[0]);
  };
  const auto layer = [](const Tensors& t) { return add(layer_norm(t[0], t[1], t[2]), t[0]); };
  for (const int64_t columns : {21, 40}) {
    check_against_f64(batch, norm_inputs({300, columns}, DType::f32), 3e-4);
    check_against_f64(layer, norm_inputs({300, columns}, DType::f32), 1e-4);
    check_against_f64(layer, norm_inputs({300, columns}, DType::bf16), 5e-2);
  }
  check_against_f64(layer, norm_inputs({9, 1100}, DType::f32), 1e-4);  // longer than a warp holds
}

TEST_CASE("group norm on the GPU joins channels and blocks") {
  const auto f = [](const Tensors& t) { return group_norm(t[0], t[1], t[2], 4); };
  check_against_f64(f, norm_inputs({2, 20, 30, 32}, DType::f32), 3e-4);
  check_against_f64(f, norm_inputs({3, 5, 4, 12}, DType::f32, 20), 1e-2);
}

TEST_CASE("pooling on the GPU: windows that overlap, overhang, and are padded") {
  for (const int64_t channels : {5, 24})
    for (const PoolOptions& o :
         {PoolOptions{}, PoolOptions{.kernel = 3, .stride = 2, .padding = 1},
          PoolOptions{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true},
          PoolOptions{.kernel = 2, .stride = 3, .ceil_mode = true, .count_include_pad = false},
          PoolOptions{.kernel = {3, 2}, .stride = {1, 2}, .padding = {2, 0, 1, 1}},
          PoolOptions{.kernel = 3, .stride = 1, .padding = 1, .count_include_pad = false}})
      for (const DType dtype : {DType::f32, DType::bf16}) {
        const Tensors x{random_tensor({2, 8, 7, channels}, 1, dtype)};
        const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-2;
        check_against_f64([o](const Tensors& t) { return max_pool2d(t[0], o); }, x, tolerance);
        check_against_f64([o](const Tensors& t) { return avg_pool2d(t[0], o); }, x, tolerance);
      }
  Tensor x = random_tensor({3, 17, 19, 40}, 1, DType::f32);
  CHECK(max_error(global_avg_pool(x.to(kDevice)), global_avg_pool(x)) < 1e-6);
}

TEST_CASE("the maximum of a window with a NaN is NaN on the GPU as well") {
  Tensor x = random_tensor({1, 4, 4, 8}, 1, DType::f32);
  x.data<float>()[3] = NAN;
  const Tensor y = max_pool2d(x.to(kDevice)).to(Device{});
  for (int64_t c = 0; c < 8; ++c) CHECK(std::isnan(y.data<float>()[c]) == (c == 3));
}

TEST_CASE("norms on the GPU say what they take") {
  const Tensors t = norm_inputs({4, 6}, DType::f64);
  Tensor x = t[0].to(kDevice), one = Tensor::full({6}, 1, DType::f64).to(kDevice);
  CHECK(error_of([&] { layer_norm(x, one, one); }) ==
        "layer_norm: takes f32 or bf16 on a GPU, not f64; compute in f32, or on the CPU");
}

}  // namespace
}  // namespace passband
