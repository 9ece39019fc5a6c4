// Steps of training and of inference, timed one by one.
#include "train/speed.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "models/model.h"
#include "models/update_rule.h"
#include "nn/context.h"
#include "nn/optimizer.h"
#include "tensor/autograd/engine.h"
#include "tensor/core/parallel.h"
#include "tensor/device_choice.h"
#include "train/training_step.h"

namespace passband {
namespace {

constexpr double kMeasuredSeconds = 1;
constexpr size_t kLeastSteps = 3, kMostSteps = 50;

Batch noise_batch(int64_t size, int64_t classes, int64_t side) {
  Batch batch;
  batch.size = size;
  batch.images = Tensor::empty({size, side, side, 3});
  const RandomKey key{.site = site_of("speed.images")};
  for (int64_t i = 0; i < batch.images.numel(); ++i)
    batch.images.data<float>()[i] = random_normal(key, static_cast<uint64_t>(i));
  for (int64_t i = 0; i < size; ++i) batch.labels.push_back(static_cast<int32_t>(i % classes));
  return batch;
}

Rate rate_of(int64_t batch_size, const std::function<void()>& step) {
  std::vector<double> rates;
  double total = 0;
  step();
  while (rates.size() < kLeastSteps || (total < kMeasuredSeconds && rates.size() < kMostSteps)) {
    const auto begin = std::chrono::steady_clock::now();
    step();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    total += taken.count();
    rates.push_back(static_cast<double>(batch_size) / taken.count());
  }
  std::ranges::sort(rates);
  return {.median = rates[rates.size() / 2],
          .slowest = rates.front(),
          .fastest = rates.back(),
          .steps = std::ssize(rates)};
}

}  // namespace

Speed measure_speed(const RunSettings& settings, int64_t classes, int64_t image_size) {
  if (settings.threads > 0) set_thread_count(static_cast<int>(settings.threads));
  const Device device = choose_device(settings.device);
  const auto model = make_model(settings.model, {.classes = classes, .image_size = image_size});
  model->to(device);
  Optimizer optimizer(model->store(), update_rule(settings),
                      optimizer_options(settings, *model, nullptr));
  TrainingStep step(settings, *model, optimizer, device);
  const Batch batch = noise_batch(settings.batch_size, classes, image_size);
  int64_t count = 0;
  Speed speed;
  speed.training = rate_of(batch.size, [&] {
    step.run(batch, count++, 0);
    step.next_result(/*wait=*/true);
  });
  const ContextGuard evaluation({.training = false, .compute = compute_type(settings, device)});
  const NoGrad no_grad;
  const Tensor images = batch.images.to(device);
  speed.inference = rate_of(batch.size, [&] { (*model)(images).values(); });
  return speed;
}

}  // namespace passband
