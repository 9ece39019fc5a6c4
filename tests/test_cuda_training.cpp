// Training on a device, real or emulated, against the CPU: whole steps and curves of each family, recorded steps
// against steps as they come, memory of the device.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "tensor/core/device_choice.h"
#include "train/training_step.h"

using namespace passband;

namespace {

constexpr int64_t kSide = 8, kBatch = 4, kClasses = 5;
constexpr Device kDevice{DeviceType::cuda, 0};

// A small member of each family.
const std::vector<std::string> kFamilies = {
    "C.C:width=8,stride=1",
    "C.C:width=8,preact",
    "C.CL:width=8,head_dim=4,heads=2,scope=3",
    "C.CM:width=8,head_dim=4,heads=1",
    "vit",
};

TrainConfig config_for(const std::string& model) {
  TrainConfig config;
  config.model = model;
  config.precision = "f32";
  config.lr = 0.02;
  config.smoothing = 0.1;
  if (model == "vit") config.opt = "adamw", config.lr = 1e-3;
  return config;
}

// Pictures of a few classes: noise around a colour of each class.
Batch make_batch(int64_t step) {
  Batch batch;
  batch.size = kBatch;
  RandomSequence random({.seed = 9, .step = static_cast<uint64_t>(step), .site = site_of("pictures")});
  for (int64_t i = 0; i < kBatch; ++i) {
    const auto label = static_cast<int32_t>(random.below(kClasses));
    batch.labels.push_back(label);
    for (int64_t j = 0; j < kSide * kSide * 3; ++j)
      batch.images.push_back(std::sin(static_cast<float>(label + j % 3)) + 0.5f * random.normal());
  }
  return batch;
}

struct Outcome {
  std::vector<double> losses, values, buffers;
  std::vector<int64_t> correct;
};

Outcome train(const TrainConfig& config, Device device, int64_t steps) {
  const auto model = make_model(config.model, {.classes = kClasses,
                                               .image_size = kSide,
                                               .drop_path = config.drop_path,
                                               .dropout = config.dropout,
                                               .seed = 3});
  model->to(device);
  Optimizer optimizer(config, model->store());
  std::optional<WeightAverage> average;
  TrainingStep step(config, *model, optimizer, average, device);
  Outcome outcome;
  for (int64_t i = 0; i < steps; ++i) step.run(make_batch(i), i, config.lr);
  while (const auto result = step.next_result(/*wait=*/true)) {
    outcome.losses.push_back(result->loss);
    outcome.correct.push_back(result->correct);
  }
  outcome.values = model->store().values().values();
  outcome.buffers = model->store().buffer_values().values();
  return outcome;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace

TEST_CASE("one training step of each family on the device equals the CPU's") {
  for (const std::string& family : kFamilies) {
    CAPTURE(family);
    const TrainConfig config = config_for(family);
    const Outcome cpu = train(config, {}, 1), device = train(config, kDevice, 1);
    CHECK(largest_difference(cpu.losses, device.losses) < 1e-5);
    CHECK(largest_difference(cpu.buffers, device.buffers) < 1e-5);
    // AdamW's first step is lr * sign(g): a gradient near zero may go either way.
    CHECK(largest_difference(cpu.values, device.values) < (config.opt == "adamw" ? 2.1 * config.lr : 1e-5));
  }
}

TEST_CASE("twenty training steps of each family on the device follow the CPU's curve") {
  for (const std::string& family : kFamilies) {
    CAPTURE(family);
    const TrainConfig config = config_for(family);
    const Outcome cpu = train(config, {}, 20), device = train(config, kDevice, 20);
    REQUIRE(device.losses.size() == 20);
    CHECK(largest_difference(cpu.losses, device.losses) < 2e-3);
    CHECK(device.losses.back() < device.losses.front());
  }
}

TEST_CASE("a step in bf16 on the device is near the CPU's") {
  for (const std::string& family : kFamilies) {
    CAPTURE(family);
    TrainConfig config = config_for(family);
    config.precision = "bf16";
    CHECK(largest_difference(train(config, {}, 2).losses, train(config, kDevice, 2).losses) < 0.05);
  }
}

TEST_CASE("recorded steps have the bits of steps as they come, dropout and drop path included") {
  for (const std::string& family : kFamilies) {
    CAPTURE(family);
    TrainConfig config = config_for(family);
    config.dropout = config.drop_path = 0.2;
    config.clip_grad = 1;
    config.graph = false;
    const Outcome eager = train(config, kDevice, 5);
    config.graph = true;
    const Outcome recorded = train(config, kDevice, 5);
    CHECK(eager.losses == recorded.losses);
    CHECK(eager.correct == recorded.correct);
    CHECK(eager.values == recorded.values);
    CHECK(eager.buffers == recorded.buffers);
  }
}

TEST_CASE("mixed batches train on the device as on the CPU") {
  TrainConfig config = config_for(kFamilies[0]);
  config.mixup = 0.8;
  config.cutmix = 1;
  CHECK(largest_difference(train(config, {}, 4).losses, train(config, kDevice, 4).losses) < 1e-4);
}

TEST_CASE("a loss that is not finite is reported with its step") {
  TrainConfig config = config_for(kFamilies[0]);
  config.lr = 1e30;
  CHECK_THROWS_AS(train(config, kDevice, 6), NonFiniteLoss);
}

TEST_CASE("tensors move to the device and back without a change, and are counted there") {
  const MemoryStatistics before = memory_statistics(kDevice);
  {
    const Tensor x = Tensor::from({1, 2.5, -3, 0}, {2, 2}, DType::bf16, kDevice);
    CHECK(x.device() == kDevice);
    CHECK(x.values() == std::vector<double>{1, 2.5, -3, 0});
    CHECK(x.to({}).values() == x.values());
    CHECK(Tensor::full({3}, 7, DType::i32, kDevice).values() == std::vector<double>{7, 7, 7});
    CHECK(Tensor::zeros({}, DType::f64, kDevice).item() == 0);
    CHECK(memory_statistics(kDevice).live_bytes > before.live_bytes);
  }
  CHECK(memory_statistics(kDevice).live_bytes == before.live_bytes);
}

TEST_CASE("memory that does not exist is refused with the modules that hold the most") {
  const ScopeGuard stage("stage3"), block("block2");
  const Tensor held = Tensor::empty({1 << 20}, DType::f32, kDevice);
  try {
    const Tensor huge = Tensor::empty({int64_t{1} << 50}, DType::u8, kDevice);
    FAIL("2^50 bytes were allocated");
  } catch (const OutOfMemory& error) {
    const std::string text = error.what();
    CAPTURE(text);
    CHECK(text.find("out of device memory") != std::string::npos);
    CHECK(text.find("stage3.block2 (4 MiB in 1)") != std::string::npos);
  }
}
