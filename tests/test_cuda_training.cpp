// Training on a device, real or emulated, against the CPU: whole steps and curves of each family,
// recorded steps against steps as they come, batches of pictures that stay there, evaluation,
// memory of the device.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "models/update_rule.h"
#include "models/whitening.h"
#include "nn/lookahead.h"
#include "tensor/core/asynchronous.h"
#include "tensor/core/storage.h"
#include "tensor/cuda/device_memory.h"
#include "tensor/device_choice.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/training/hardest.h"
#include "tensor/ops/training/score.h"
#include "tests/numeric.h"
#include "train/evaluation.h"
#include "train/training_step.h"

using namespace passband;
using numeric::max_difference;

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

RunSettings config_for(const std::string& model) {
  RunSettings config;
  config.model = model;
  config.precision = "f32";
  config.lr = 0.02;
  config.smoothing = 0.1;
  if (model == "vit") config.opt = OptimizerKind::adamw, config.lr = 1e-3;
  return config;
}

// Pictures of a few classes: noise around a colour of each class.
Batch make_batch(int64_t step) {
  Batch batch;
  batch.size = kBatch;
  RandomSequence random(
      {.seed = 9, .step = static_cast<uint64_t>(step), .site = site_of("pictures")});
  std::vector<float> pixels;
  for (int64_t i = 0; i < kBatch; ++i) {
    const auto label = static_cast<int32_t>(random.below(kClasses));
    batch.labels.push_back(label);
    for (int64_t j = 0; j < kSide * kSide * 3; ++j)
      pixels.push_back(std::sin(static_cast<float>(label + j % 3)) + 0.5f * random.normal());
  }
  batch.images = Tensor::from(pixels, {kBatch, kSide, kSide, 3});
  return batch;
}

std::unique_ptr<Model> model_for(const RunSettings& config, Device device, int64_t side = kSide) {
  auto model = make_model(config.model, {.classes = kClasses,
                                         .image_size = side,
                                         .drop_path = config.drop_path,
                                         .dropout = config.dropout,
                                         .seed = 3});
  model->to(device);
  return model;
}

struct Outcome {
  std::vector<double> losses, values, buffers, state, average;
  std::vector<int64_t> correct;
};

void append(std::vector<double>& to, const Tensor& from) {
  const std::vector<double> values = from.values();
  to.insert(to.end(), values.begin(), values.end());
}

// With a learning rate that changes from step to step, and a source of pictures that may be empty.
template <class NextBatch> Outcome train(const RunSettings& config, Device device, int64_t steps,
                                         const BatchSource& source, NextBatch&& next,
                                         int64_t side = kSide) {
  const auto model = model_for(config, device, side);
  std::optional<WeightAverage> average;
  if (config.model_ema) average.emplace(model->store(), config.model_ema_decay);
  Optimizer optimizer(model->store(), update_rule(config),
                      optimizer_options(config, *model, average ? &*average : nullptr));
  std::optional<Lookahead> lookahead;
  if (config.lookahead) lookahead.emplace(model->store());
  std::unique_ptr<Proxy> proxy;
  if (config.select_hard < 1)
    proxy = std::make_unique<Proxy>(config, Dataset{}, model->options(), device);
  TrainingStep step(config, *model, optimizer, device, source, proxy.get());
  Outcome outcome;
  for (int64_t i = 0; i < steps; ++i) {
    step.run(next(i), i, config.lr * (1 - 0.02 * static_cast<double>(i)));
    if (lookahead) lookahead->follow(i + 1, steps);
  }
  while (const auto result = step.next_result(/*wait=*/true)) {
    outcome.losses.push_back(result->loss);
    outcome.correct.push_back(result->correct);
  }
  const ParameterStore& store = model->store();
  outcome.values = store.values().values();
  outcome.buffers = store.buffer_values().values();
  for (const auto& [name, tensor] : optimizer.state()) append(outcome.state, tensor);
  if (average) append(outcome.average, average->values), append(outcome.state, average->buffers);
  if (proxy) append(outcome.state, proxy->model().store().values());
  if (store.half_values() && !lookahead)
    CHECK(store.half_values().values() == cast(store.values(), DType::bf16).values());
  return outcome;
}

Outcome train(const RunSettings& config, Device device, int64_t steps) {
  return train(config, device, steps, {}, make_batch);
}

// Random pictures with two pixels to spare on each side.
Dataset stored_pictures(int64_t count) {
  Dataset data{
      .name = "noise", .split = "train", .count = count, .height = kSide + 2, .width = kSide + 2};
  data.mean = {0.4f, 0.5f, 0.6f};
  data.std = {0.2f, 0.25f, 0.3f};
  data.classes.resize(kClasses, "class");
  RandomSequence random({.seed = 5, .site = site_of("stored")});
  for (int64_t i = 0; i < count * data.image_bytes(); ++i)
    data.images.push_back(static_cast<uint8_t>(random.next()));
  for (int64_t i = 0; i < count; ++i)
    data.labels.push_back(static_cast<int32_t>(random.below(kClasses)));
  return data;
}

}  // namespace

TEST_CASE("one training step of each family on the device equals the CPU's") {
  for (const std::string& family : kFamilies) {
    CAPTURE(family);
    const RunSettings config = config_for(family);
    const Outcome cpu = train(config, {}, 1), device = train(config, kDevice, 1);
    CHECK(max_difference(cpu.losses, device.losses) < 1e-5);
    CHECK(max_difference(cpu.buffers, device.buffers) < 1e-5);
    // AdamW's first step is lr * sign(g): a gradient near zero may go either way.
    CHECK(max_difference(cpu.values, device.values) <
          (config.opt == OptimizerKind::adamw ? 2.1 * config.lr : 1e-5));
  }
}

TEST_CASE(
    "twenty training steps of each family on the device follow "
    "the CPU's curve, clipped and averaged") {
  for (const std::string& family : kFamilies) {
    CAPTURE(family);
    RunSettings config = config_for(family);
    config.clip_grad = 2;
    config.model_ema = true;
    const Outcome cpu = train(config, {}, 20), device = train(config, kDevice, 20);
    REQUIRE(device.losses.size() == 20);
    CHECK(max_difference(cpu.losses, device.losses) < 2e-3);
    CHECK(device.losses.back() < device.losses.front());
    CHECK(max_difference(cpu.average, device.average) < 2e-3);
    CHECK(max_difference(cpu.average, cpu.values) > 1e-3);
  }
}

TEST_CASE("a step with each mixer equals the CPU's, and recorded ones with drop path eager ones") {
  for (const char* const model :
       {"C.DWU:width=8,head_dim=4,heads=2,window=4,kernel=5",
        "C.SBPIH:preact,width=8,head_dim=4,heads=2,window=2", "C.C:bit,width=8"}) {
    CAPTURE(model);
    RunSettings config = config_for(model);
    const Outcome cpu = train(config, {}, 1), device = train(config, kDevice, 1);
    CHECK(max_difference(cpu.losses, device.losses) < 1e-5);
    CHECK(max_difference(cpu.values, device.values) < 1e-5);
    config.drop_path = 0.5;
    config.graph = false;
    const Outcome eager = train(config, kDevice, 3);
    config.graph = true;
    CHECK(eager.losses == train(config, kDevice, 3).losses);
  }
}

TEST_CASE("twenty steps of the other optimiser follow the CPU's curve") {
  for (const std::string& family : {kFamilies[0], kFamilies[4]}) {
    CAPTURE(family);
    RunSettings config = config_for(family);
    const bool adamw = config.opt != OptimizerKind::adamw;
    config.opt = adamw ? OptimizerKind::adamw : OptimizerKind::sgd;
    config.lr = adamw ? 1e-3 : 0.02;
    config.weight_decay = 0.05;
    config.layer_decay = 0.7;
    const Outcome cpu = train(config, {}, 20), device = train(config, kDevice, 20);
    CHECK(max_difference(cpu.losses, device.losses) < 2e-3);
  }
}

TEST_CASE(
    "steps of Muon and lookahead are the CPU's, and recorded ones have the bits of eager ones") {
  for (const bool adamw : {false, true}) {
    CAPTURE(adamw);
    RunSettings config = config_for(kFamilies[adamw ? 3 : 0]);
    config.opt = OptimizerKind::muon;
    config.muon_rest = adamw ? BaseOptimizerKind::adamw : BaseOptimizerKind::sgd;
    if (adamw) config.lr = 1e-3, config.precision = "bf16";
    config.muon_rescale = !adamw;
    config.muon_weight_decay = 0.1;
    config.bias_lr_scale = 4;
    config.lookahead = config.model_ema = true;
    config.clip_grad = 2;
    const Outcome cpu = train(config, {}, 5);
    config.graph = false;
    const Outcome eager = train(config, kDevice, 5);
    config.graph = true;
    const Outcome recorded = train(config, kDevice, 5);
    CHECK(eager.losses == recorded.losses);
    CHECK(eager.values == recorded.values);
    CHECK(eager.state == recorded.state);
    CHECK(eager.average == recorded.average);
    CHECK(max_difference(cpu.losses, eager.losses) < (adamw ? 0.05 : 1e-3));
    CHECK(max_difference(cpu.values, eager.values) < (adamw ? 0.1 : 5e-3));
  }
}

TEST_CASE("steps on what a proxy chooses are the CPU's, and recorded ones have the same bits") {
  RunSettings config = config_for(kFamilies[0]);
  config.select_hard = 0.5;
  config.proxy = "C:width=8,stride=1";
  config.proxy_interval = 2;
  const Outcome cpu = train(config, {}, 6);
  config.graph = false;
  const Outcome eager = train(config, kDevice, 6);
  config.graph = true;
  const Outcome recorded = train(config, kDevice, 6);
  CHECK(eager.losses == recorded.losses);
  CHECK(eager.values == recorded.values);
  CHECK(eager.state == recorded.state);
  CHECK(max_difference(cpu.losses, eager.losses) < 1e-4);
  CHECK(max_difference(cpu.state, eager.state) < 1e-3);
}

TEST_CASE("the device finds the hardest rows that the CPU finds, around its blocks of 256") {
  RandomSequence random({.seed = 4, .site = site_of("losses")});
  for (const int64_t n : {1, 255, 256, 257, 1000})
    for (const DType dtype : {DType::f32, DType::f64}) {
      std::vector<double> losses;
      for (int64_t i = 0; i < n; ++i) losses.push_back(static_cast<double>(random.below(40)) / 8);
      if (n > 5) losses[3] = std::nan(""), losses[5] = -HUGE_VAL;
      const Tensor host = Tensor::from(losses, {n}, dtype), there = host.to(kDevice);
      for (const int64_t k : {int64_t{1}, (n + 1) / 2, n})
        CHECK(hardest_rows(there, k).values() == hardest_rows(host, k).values());
    }
}

TEST_CASE("a step in bf16 on the device is near the CPU's") {
  for (const std::string& family : kFamilies) {
    CAPTURE(family);
    RunSettings config = config_for(family);
    config.precision = "bf16";
    CHECK(max_difference(train(config, {}, 2).losses, train(config, kDevice, 2).losses) < 0.05);
  }
}

TEST_CASE(
    "recorded steps have the bits of steps as they come: dropout, "
    "drop path, optimiser, layer decay, average, bf16 copy") {
  for (size_t i = 0; i < kFamilies.size(); ++i) {
    const std::string& family = kFamilies[i];
    RunSettings config = config_for(family);
    if (i % 2) config.precision = "bf16", config.opt = OptimizerKind::adamw;
    CAPTURE(family);
    CAPTURE(config.precision);
    config.dropout = config.drop_path = 0.2;
    config.clip_grad = 1;
    config.layer_decay = i % 2 ? 0.7 : 1;
    config.model_ema = true;
    config.graph = false;
    const Outcome eager = train(config, kDevice, 5);
    config.graph = true;
    const Outcome recorded = train(config, kDevice, 5);
    CHECK(eager.losses == recorded.losses);
    CHECK(eager.correct == recorded.correct);
    CHECK(eager.values == recorded.values);
    CHECK(eager.buffers == recorded.buffers);
    CHECK(eager.state == recorded.state);
    CHECK(eager.average == recorded.average);
  }
}

TEST_CASE("batches made on the device of pictures that stay there train as batches of the host") {
  const Dataset data = stored_pictures(18);
  LoaderOptions options{
      .batch_size = kBatch, .image_size = kSide, .drop_last = true, .seed = 42, .prefetch = false};
  // cropped at a position, or from a padded picture
  for (const int64_t side : {kSide, kSide + 2}) {
    RunSettings config = config_for(kFamilies[0]);
    options.image_size = side;
    options.augment = {.pad = 2,
                       .crop_mode = side == kSide ? CropMode::zero : CropMode::reflect,
                       .flip = 0.5f,
                       .cutout = 3};
    for (const bool mixes : {false, true}) {
      CAPTURE(mixes);
      config.mixup = mixes ? 0.8 : 0;
      config.cutmix = mixes ? 1 : 0;
      BatchLoader host(data, options);
      LoaderOptions without = options;
      without.pixels = false;
      BatchLoader indices(data, without);
      const auto pictures = ResidentPictures::upload(data, kDevice);
      REQUIRE(pictures);
      const auto run = [&](Device device, const BatchSource& source, BatchLoader& loader) {
        return train(
            config, device, 6, source, [&](int64_t) -> const Batch& { return loader.next(); },
            side);
      };
      const Outcome cpu = run({}, {}, host);
      const Outcome device =
          run(kDevice, {pictures.get(), crop_options(data, options.augment, side)}, indices);
      CHECK(max_difference(cpu.losses, device.losses) < 1e-4);
      CHECK(cpu.correct == device.correct);
    }
  }
}

TEST_CASE(
    "an evaluation on the device counts as one on the CPU, from pictures there or brought there") {
  const Dataset data = stored_pictures(23);
  const RunSettings config = config_for(kFamilies[0]);
  const auto there = model_for(config, kDevice), here = model_for(config, {});
  const auto pictures = ResidentPictures::upload(data, kDevice);
  REQUIRE(pictures);
  CHECK_FALSE(ResidentPictures::upload(data, {}));
  for (const int64_t count : {0, 7}) {
    const EvaluationOptions options{.pictures = count, .batch_size = 5};
    EvaluationOptions resident = options;
    resident.resident = pictures.get();
    const Evaluation cpu = evaluate(*here, data, options);
    CHECK(cpu.count == (count ? count : data.count));
    for (const Evaluation& device :
         {evaluate(*there, data, options), evaluate(*there, data, resident)}) {
      CHECK(device.loss == doctest::Approx(cpu.loss).epsilon(1e-5));
      CHECK(device.top1 == cpu.top1);
      CHECK(device.top5 == cpu.top5);
      CHECK(device.count == cpu.count);
    }
  }
}

TEST_CASE(
    "the records' network, options and views train and evaluate on the device as on the CPU") {
  const Dataset data = stored_pictures(18);
  constexpr int64_t kLarger = kSide + 2;
  LoaderOptions options{.batch_size = kBatch,
                        .image_size = kLarger,
                        .drop_last = true,
                        .augment = {.pad = 2,
                                    .crop_mode = CropMode::reflect,
                                    .alternating_flip = true,
                                    .brightness = 0.14f,
                                    .contrast = 0.13f},
                        .seed = 42,
                        .prefetch = false};
  RunSettings config = config_for("airbench_8_8_8_residual");
  config.whiten = true;
  config.whiten_bias_lr = 0.5;
  config.whiten_bias_epochs = 0.5;
  BatchLoader host(data, options);
  LoaderOptions without = options;
  without.pixels = false;
  BatchLoader indices(data, without);
  const auto pictures = ResidentPictures::upload(data, kDevice);
  const auto run = [&](Device device, const BatchSource& source, BatchLoader& loader) {
    const auto model = model_for(config, device, kLarger);
    whiten_first_convolution(*model, data, 1);
    Optimizer optimizer(model->store(), update_rule(config),
                        optimizer_options(config, *model, nullptr));
    TrainingStep step(config, *model, optimizer, device, source);
    std::vector<double> losses;
    for (int64_t i = 0; i < 6; ++i) {
      if (i == 0) step.freeze(*first_convolution(*model));
      step.settle_whitening(static_cast<double>(i) / 6);  // from i = 3 on recorded anew
      step.run(loader.next(), i, config.lr);
    }
    while (const auto result = step.next_result(/*wait=*/true)) losses.push_back(result->loss);
    const Evaluation seen = evaluate(*model, data, {.batch_size = 9, .tta = TtaKind::shift});
    losses.insert(losses.end(), {seen.loss, seen.views->loss});
    return losses;
  };
  const std::vector<double> cpu = run({}, {}, host);
  const std::vector<double> device =
      run(kDevice, {pictures.get(), crop_options(data, options.augment, kLarger)}, indices);
  CHECK(max_difference(cpu, device) < 1e-4);
}

TEST_CASE("ties of logits are counted on the device as on the CPU") {
  const std::vector<double> logits = {2, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0,
                                      9, 8, 7, 6, 1, 1, 9, 8, 7, 6, 1, 1};
  const Tensor score = empty_score(kDevice),
               labels = Tensor::from({1, 0, 5, 4}, {4}, DType::i32, kDevice);
  for (int batch = 0; batch < 2; ++batch)
    add_to_score(score, Tensor::full({}, 0.5, DType::f32, kDevice),
                 Tensor::from(logits, {4, 6}, DType::f32, kDevice), labels);
  CHECK(score.values() == std::vector<double>{4, 2, 6, 8});
}

TEST_CASE("rows of logits that are not finite are wrong on the device as on the CPU") {
  const double nan = std::nan(""), inf = HUGE_VAL;
  const std::vector<double> logits = {nan, nan, nan, nan, nan, nan, 9, 1, 1, 1, 1, nan,
                                      inf, 0,   0,   0,   0,   0,   9, 0, 0, 0, 0, 0};
  const Tensor score = empty_score(kDevice),
               labels = Tensor::from({0, 0, 0, 0}, {4}, DType::i32, kDevice);
  for (const DType dtype : {DType::f32, DType::bf16})
    add_to_score(score, Tensor::full({}, 0, DType::f32, kDevice),
                 Tensor::from(logits, {4, 6}, dtype, kDevice), labels);
  CHECK(score.values() == std::vector<double>{0, 2, 2, 8});
}

TEST_CASE("mixed batches train on the device as on the CPU") {
  RunSettings config = config_for(kFamilies[0]);
  config.mixup = 0.8;
  config.cutmix = 1;
  CHECK(max_difference(train(config, {}, 4).losses, train(config, kDevice, 4).losses) < 1e-4);
}

TEST_CASE("a loss that is not finite is reported with its step") {
  RunSettings config = config_for(kFamilies[0]);
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

TEST_CASE("a device gives back everything it was given") {
  if (cuda_backend() != CudaBackend::emulated) return;  // a driver keeps memory for itself
  cuda::close_device();
  const int64_t before = free_memory(kDevice);
  RunSettings config = config_for(kFamilies[0]);
  config.dropout = 0.1;
  train(config, kDevice, 3);
  CHECK(free_memory(kDevice) < before);
  cuda::close_device();
  CHECK(free_memory(kDevice) == before);
}

TEST_CASE("what a recording writes to is its own also when cached memory is given back") {
  constexpr int64_t kCount = 1 << 20;
  const Tensor x = Tensor::full({kCount}, 1, DType::f32, kDevice),
               sum = Tensor::zeros({kCount}, DType::f32, kDevice);
  const auto recording = make_recording(kDevice);
  const auto step = [&] { add_(sum, x + 1.0); };
  for (int i = 0; i < 2; ++i) recording->run(step);
  release_cached_memory(kDevice);
  const Tensor other = Tensor::full({kCount}, 7, DType::f32, kDevice);
  recording->run(step);
  CHECK(sum.values() == std::vector<double>(kCount, 6));
  CHECK(other.values() == std::vector<double>(kCount, 7));
}

TEST_CASE("memory that does not exist is refused with the modules that hold the most") {
  const ScopeGuard stage("stage3"), block("block2");
  Tensor held = Tensor::empty({1 << 20}, DType::f32, kDevice);
  try {
    Tensor huge = Tensor::empty({int64_t{1} << 50}, DType::u8, kDevice);
    FAIL("2^50 bytes were allocated");
  } catch (const OutOfMemory& error) {
    const std::string text = error.what();
    CAPTURE(text);
    CHECK(text.find("out of device memory") != std::string::npos);
    CHECK(text.find("stage3.block2 (4 MiB in 1)") != std::string::npos);
  }
}
