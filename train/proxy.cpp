#include "train/proxy.h"

#include "models/update_rule.h"
#include "models/whitening.h"
#include "nn/context.h"
#include "tensor/autograd/engine.h"
#include "tensor/core/error.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/gather.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/training/hardest.h"
#include "train/beginning.h"
#include "train/training_step.h"

namespace passband {
namespace {

// The proxy begins at random, as the network of the run does when nothing else is said.
RunSettings settings_of_proxy(RunSettings config) {
  config.model = config.proxy;
  config.weights.clear();
  config.pretrained_from.clear();
  config.freeze.clear();
  config.head_only = false;
  config.layer_decay = 1;
  return config;
}

}  // namespace

Proxy::Proxy(const RunSettings& config, const Dataset& train, const ModelOptions& of, Device device)
    : config_(config),
      interval_(config.proxy_interval),
      compute_(compute_type(config, device)),
      model_(make_model(config.proxy, {.classes = of.classes,
                                       .image_size = of.image_size,
                                       .seed = of.seed,
                                       .bn_momentum = of.bn_momentum,
                                       .bn_eps = of.bn_eps,
                                       .bn_fixed_scale = of.bn_fixed_scale})) {
  const RunSettings own = settings_of_proxy(config);
  begin_weights(own, train.classes, *model_);
  whiten_as_settings_say(own, train, *model_);
  if (own.whiten) {
    const ParameterRef weight = first_convolution(*model_);
    const ParameterRef bias = bias_of_first_convolution(*model_);
    model_->store().freeze(
        [&](const Parameter& p) { return &p == &*weight || (bias && &p == &*bias); });
  }
  model_->to(device);
  if (compute_ == DType::bf16 && device.is_cuda()) model_->store().keep_half();
  optimizer_ = std::make_unique<Optimizer>(model_->store(), update_rule(own),
                                           optimizer_options(own, *model_, nullptr));
}

Tensor Proxy::choose(const Tensor& images, const Tensor& labels, uint64_t step) {
  const bool learns = learns_at(step);
  ContextGuard mode({.training = true,
                     .seed = static_cast<uint64_t>(config_.seed),
                     .step = step,
                     .compute = compute_});
  const RecordGuard recording(learns);
  const Tensor losses =
      cross_entropy((*model_)(images), labels,
                    {.smoothing = config_.smoothing, .reduction = LossReduction::none});
  const Tensor rows = hardest_rows(losses.detach(), learned_of(config_, labels.numel()));
  if (learns) {
    model_->store().zero_gradients();
    backward(mean(gather(losses, rows)));
    optimizer_->update();
  }
  return rows;
}

void Proxy::begin(uint64_t step, double lr) {
  model_->store().refresh_half();
  if (learns_at(step)) optimizer_->begin(lr);
}

void Proxy::end(uint64_t step) {
  if (learns_at(step)) optimizer_->end();
}

}  // namespace passband
