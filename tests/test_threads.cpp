// Results do not depend on the number of threads: shapes on both sides of every limit at which a
// kernel cuts its work or hands it to another, and layers of real networks, with their gradients.
// (The op table checks every operation at small sizes.)
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <thread>
#include <vector>

#include "tensor/core/cpu_quota.h"
#include "tensor/core/parallel.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/attention/lambda.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/fft.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/mlp.h"
#include "tensor/ops/norm.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/softmax.h"
#include "tests/numeric.h"

namespace passband {
namespace {

using numeric::Tensors;
using Function = std::function<Tensor(const Tensors&)>;

Tensor random(const Shape& shape, DType dtype, uint64_t seed) {
  return numeric::random_tensor(shape, seed, dtype);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.numel() * size_of(a.dtype()))) == 0;
}

Tensors run(int threads, const Function& f, const Tensors& inputs, const Tensor& seed) {
  const int before = thread_count();
  set_thread_count(threads);
  const Tensors leaves = numeric::leaves(inputs);
  const Tensor y = f(leaves);
  Tensors results = grad(y, leaves, {.seed = seed});
  results.push_back(y.detach());
  set_thread_count(before);
  return results;
}

// f(inputs) and its gradients have the same bits on 1, 2, 3 and 5 threads.
void check(const std::string& name, const Function& f, const Tensors& inputs) {
  const Tensor y = f(inputs);
  const Tensor seed = random(y.shape(), y.dtype(), 99);
  const Tensors one = run(1, f, inputs, seed);
  for (const int threads : {2, 3, 5}) {
    const Tensors many = run(threads, f, inputs, seed);
    for (size_t i = 0; i < one.size(); ++i)
      CHECK_MESSAGE(same_bits(many[i], one[i]), name, ", ", name_of(inputs[0].dtype()), ": ",
                    i + 1 < one.size() ? concat_text("gradient ", i) : std::string("result"),
                    " on ", threads, " threads");
  }
}

// --- products ---

struct Product {
  int64_t batch, m, n, k;
};

const Product kProducts[] = {
    {1, 1, 1, 1},        {1, 5, 3, 7},       {1, 33, 31, 17},     {3, 4, 2, 5},
    {6, 1, 2, 5},        {1, 1, 1000, 512},  {1, 1000, 1, 512},   {1, 3, 7, 9000},
    {1, 100, 100, 5000}, {1, 70, 130, 8191}, {1, 511, 64, 64},    {1, 512, 64, 64},
    {1, 513, 64, 15},    {1, 700, 48, 16},   {1, 700, 64, 768},   {1, 700, 64, 769},
    {1, 520, 512, 512},  {1, 520, 513, 512}, {1, 520, 1040, 256}, {1, 16, 64, 4095},
    {1, 17, 64, 4096},   {1, 48, 192, 4100}, {1, 96, 90, 4096},   {1, 200, 96, 700},
    {1, 129, 257, 1030}, {1, 2050, 33, 65},  {1, 33, 2050, 65},   {12, 65, 65, 64},
    {500, 8, 8, 8},      {2, 197, 197, 64},  {2, 300, 400, 130},  {1, 64, 10, 192},
    {1, 1040, 512, 256}, {1, 64, 2048, 512}, {1, 4100, 64, 576},  {1, 576, 64, 4100},
};

TEST_CASE("products have the same bits on any number of threads") {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64})
    for (const Product& p : kProducts) {
      if (dtype != DType::f32 && p.batch * p.m * p.n * p.k > (1 << 21)) continue;
      for (const bool ta : {false, true})
        for (const bool tb : {false, true}) {
          const Shape a = ta ? Shape{p.batch, p.k, p.m} : Shape{p.batch, p.m, p.k};
          const Shape b = tb ? Shape{p.batch, p.n, p.k} : Shape{p.batch, p.k, p.n};
          check(concat_text("matmul ", a, b, ta ? " ta" : "", tb ? " tb" : ""),
                [=](const Tensors& t) {
                  return matmul(t[0], t[1], {.transpose_a = ta, .transpose_b = tb});
                },
                {random(a, dtype, 1), random(b, dtype, 2)});
        }
    }
}

TEST_CASE("linear layers and MLPs have the same bits on any number of threads") {
  struct Layer {
    int64_t rows, in, out;
  };
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const auto& [rows, in, out] : {Layer{1, 5, 3},
                                        {65, 192, 576},
                                        {520, 192, 768},
                                        {700, 96, 200},
                                        {1040, 784, 100},
                                        {64, 2048, 1000}}) {
      const Shape y{rows, in};
      check(concat_text("linear ", rows, " x ", in, " -> ", out),
            [](const Tensors& t) { return linear(t[0], t[1], t[2], t[3]); },
            {random({rows, in}, dtype, 1), random({out, in}, dtype, 2), random({out}, dtype, 3),
             random({rows, out}, dtype, 4)});
      check(concat_text("mlp ", rows, " x ", in, " x ", out),
            [](const Tensors& t) { return mlp(t[0], t[1], t[2], t[3], t[4], t[5]); },
            {random({rows, in}, dtype, 1), random({out, in}, dtype, 2), random({out}, dtype, 3),
             random({in, out}, dtype, 4), random({in}, dtype, 5), random(y, dtype, 6)});
    }
}

// --- convolutions ---

struct Layer {
  int64_t n, side, c, o, kernel;
  ConvOptions options;
};

const Layer kLayers[] = {
    {3, 5, 2, 3, 3, {.padding = 1}},
    {2, 9, 17, 23, 3, {.padding = 1}},
    {1, 32, 3, 64, 3, {.padding = 1}},  // ResNet's stem at 32 x 32
    {5, 32, 3, 64, 3, {.padding = 1}},
    {2, 64, 3, 64, 7, {.stride = 2, .padding = 3}},  // and at 64 x 64
    {1, 16, 64, 64, 3, {.padding = 1}},
    {5, 16, 64, 64, 3, {.padding = 1}},
    {3, 16, 64, 128, 3, {.stride = 2, .padding = 1}},
    {8, 8, 128, 128, 3, {.padding = 1}},
    {17, 4, 128, 128, 3, {.padding = 1}},
    {17, 2, 256, 256, 3, {.padding = 1}},
    {5, 16, 64, 256, 1, {}},
    {5, 15, 64, 128, 1, {.stride = 2}},
    {4, 9, 40, 24, 3, {.padding = 2, .dilation = 2}},
    {6, 16, 64, 64, 3, {.padding = 1, .groups = 64}},   // depthwise
    {7, 14, 48, 48, 7, {.padding = 3, .groups = 48}},   // ConvNeXt
    {6, 8, 128, 128, 3, {.padding = 1, .groups = 32}},  // ResNeXt
    {3, 32, 3, 96, 4, {.stride = 4}},                   // patches
    {3, 64, 3, 192, 16, {.stride = 16}},
};

TEST_CASE("convolutions and their gradients have the same bits on any number of threads") {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Layer& l : kLayers) {
      const Shape x{l.n, l.side, l.side, l.c};
      const Shape w{l.o, l.kernel, l.kernel, l.c / l.options.groups};
      check(concat_text("conv2d ", x, w, ", stride ", l.options.stride),
            [options = l.options](const Tensors& t) { return conv2d(t[0], t[1], t[2], options); },
            {random(x, dtype, 1), random(w, dtype, 2), random({l.o}, dtype, 3)});
    }
}

// --- everything else that sums ---

TEST_CASE("attention and lambda layers have the same bits on any number of threads") {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    for (const int64_t tokens : {1, 15, 16, 17, 64, 65, 129, 197})
      check(concat_text("attention over ", tokens),
            [](const Tensors& t) { return attention(t[0], {}, {.heads = 3}); },
            {random({5, tokens, 3 * 3 * 32}, dtype, 1)});
    check("attention in windows",
          [](const Tensors& t) {
            return attention(t[0], t[1], {.heads = 2, .window = 4, .shift = 2});
          },
          {random({6, 12, 12, 3 * 2 * 16}, dtype, 1), random({49, 2}, dtype, 2)});
    for (const LambdaOrder order : {LambdaOrder::lambda_first, LambdaOrder::score_first})
      check("lambda layer",
            [=](const Tensors& t) {
              return lambda_layer(t[0], t[1], t[2], t[3], {},
                                  {.heads = 4, .depth = 16, .window = 7, .order = order});
            },
            {random({9, 8, 8, 64}, dtype, 1), random({9, 8, 8, 16}, dtype, 2),
             random({9, 8, 8, 24}, dtype, 3), random({7, 7, 16, 1}, dtype, 4)});
  }
}

TEST_CASE("norms, softmax and losses have the same bits on any number of threads") {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64})
    for (const int64_t rows : {1, 7, 65, 260})
      for (const int64_t columns : {1, 15, 33, 192, 1000}) {
        const std::string size = concat_text(" of ", rows, " x ", columns);
        const DType affine = dtype == DType::f64 ? DType::f64 : DType::f32;
        const Tensors inputs{random({rows, 2, 2, columns}, dtype, 1), random({columns}, affine, 2),
                             random({columns}, affine, 3)};
        check(
            "layer norm" + size, [](const Tensors& t) { return layer_norm(t[0], t[1], t[2]); },
            inputs);
        check(
            "batch norm" + size,
            [](const Tensors& t) { return batch_norm(t[0], t[1], t[2], {}, {}, {.relu = true}); },
            inputs);
        check(
            "group norm" + size,
            [=](const Tensors& t) {
              return group_norm(t[0], t[1], t[2], columns % 3 == 0 ? 3 : 1);
            },
            inputs);
        check("softmax" + size, [](const Tensors& t) { return softmax(t[0]); }, {inputs[0]});
        check("cross entropy" + size,
              [](const Tensors& t) { return soft_cross_entropy(t[0], t[1]); },
              {random({rows, columns}, dtype, 4), random({rows, columns}, dtype, 5)});
      }
}

TEST_CASE("sums and pools have the same bits on any number of threads") {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    for (const Shape& shape : {Shape{1, 1, 1},
                               {1, 4096, 1},
                               {3, 4097, 5},
                               {1, 32767, 3},
                               {2, 70000, 1},
                               {61, 17, 129}}) {
      for (const std::vector<int>& dims : {std::vector<int>{}, {0}, {1}, {2}, {0, 1}, {0, 2}})
        check(concat_text("sum of ", shape), [&](const Tensors& t) { return sum(t[0], dims); },
              {random(shape, dtype, 1)});
      check(concat_text("largest of ", shape), [](const Tensors& t) { return max(t[0], 1); },
            {random(shape, dtype, 1)});
    }
    const Tensors images{random({9, 17, 17, 33}, dtype, 1)};
    const PoolOptions overlap{.kernel = 3, .stride = 2, .padding = 1};
    check(
        "max pool", [=](const Tensors& t) { return max_pool2d(t[0], overlap); }, images);
    check(
        "average pool", [=](const Tensors& t) { return avg_pool2d(t[0], overlap); }, images);
    check(
        "global pool", [](const Tensors& t) { return global_avg_pool(t[0]); }, images);
    if (dtype != DType::bf16)
      check(
          "spectrum", [](const Tensors& t) { return fft2_magnitude(t[0]); }, images);
  }
}

TEST_CASE("a loop visits every index once, from several callers at a time, and loops in it go on") {
  const int before = thread_count();
  set_thread_count(3);
  std::vector<std::thread> callers;
  std::atomic<int64_t> visits{0}, inner{0};
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round)
        for_each_index(17, [&](int64_t i) {
          visits += 1 + i;
          for_each_index(3, [&](int64_t) { ++inner; });
        });
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(visits == 4 * 200 * (17 + 17 * 16 / 2));
  CHECK(inner == 4 * 200 * 17 * 3);
  set_thread_count(before);
}

TEST_CASE(
    "what a loop throws reaches its caller, on whatever thread it was, and the next loop runs") {
  const int before = thread_count();
  set_thread_count(3);
  for (int64_t thrower = 0; thrower < 12; ++thrower) {
    CHECK_THROWS_AS(for_each_index(12,
                                   [&](int64_t i) {
                                     if (i == thrower) throw std::bad_alloc();
                                   }),
                    std::bad_alloc);
    std::atomic<int64_t> visits{0};
    for_each_index(12, [&](int64_t) { ++visits; });
    CHECK(visits == 12);
  }
  set_thread_count(before);
}

TEST_CASE("the quota of a container is the least that its group and those above it allow") {
  namespace fs = std::filesystem;
  const fs::path root =
      fs::temp_directory_path() / ("passband-groups-" + std::to_string(::getpid()));
  const auto put = [&](const std::string& file, const std::string& text) {
    fs::create_directories((root / file).parent_path());
    std::ofstream(root / file) << text;
  };
  const auto quota = [&](const std::string& membership) {
    put("membership", membership);
    return cpu_quota(root / "v", root / "membership");
  };
  CHECK(!quota("0::/\n"));
  put("v/cpu.max", "max 100000\n");
  CHECK(!quota("0::/\n"));
  put("v/a/cpu.max", "150000 100000\n");
  put("v/a/b/cpu.max", "400000 100000\n");
  CHECK(quota("0::/a/b\n") == 1.5);
  CHECK(!quota("0::/of/the/host\n"));
  put("v/cpu/cpu.cfs_quota_us", "-1\n");
  put("v/cpu/cpu.cfs_period_us", "100000\n");
  CHECK(!quota("4:cpu:/\n3:memory:/a\n"));
  put("v/cpu,cpuacct/c/cpu.cfs_quota_us", "50000\n");
  put("v/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n");
  CHECK(quota("4:cpu,cpuacct:/c\n") == 0.5);
  fs::remove_all(root);
}

}  // namespace
}  // namespace passband
