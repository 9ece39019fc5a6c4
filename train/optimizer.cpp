#include "train/optimizer.h"

#include <algorithm>

#include "tensor/ops/optimizer.h"
#include "tensor/ops/pointwise.h"

namespace passband {
namespace {

Tensor copy_of(const Tensor& tensor) {
  Tensor copy = Tensor::empty_like(tensor);
  copy_(copy, tensor);
  return copy;
}

}  // namespace

WeightAverage::WeightAverage(const ParameterStore& store, double decay)
    : values(copy_of(store.values())), buffers(copy_of(store.buffer_values())), decay_(decay) {}

double WeightAverage::decay_at(int64_t step) const {
  const auto t = static_cast<double>(step);
  return std::min(decay_, (1 + t) / (10 + t));
}

Optimizer::Optimizer(const TrainConfig& config, ParameterStore& store,
                     std::optional<WeightAverage>& average)
    : config_(config),
      store_(store),
      average_(average),
      rates_(empty_rates(store.values().device())) {
  const Tensor& values = store.values();
  decay_mask_ = config.decay_all ? Tensor::full(values.shape(), 1, DType::f32, values.device())
                                 : store.decay_mask();
  if (config.opt == "adamw") {
    state_["first"] = Tensor::zeros_like(values);
    state_["second"] = Tensor::zeros_like(values);
  } else {
    state_["momentum"] = Tensor::zeros_like(values);
  }
}

void Optimizer::begin(double lr) {
  const double decay = average_ ? average_->decay_at(steps_) : 0;
  ++steps_;
  if (config_.opt == "adamw")
    set_rates(rates_, AdamwOptions{.lr = lr, .weight_decay = config_.weight_decay, .step = steps_},
              decay);
  else set_rates(rates_, SgdOptions{.lr = lr}, decay);
}

void Optimizer::update() {
  StepExtras extras{.half = store_.half_values(), .rates = rates_};
  if (config_.clip_grad > 0) extras.scale = clip_scale(store_.gradients(), config_.clip_grad);
  if (average_) extras.average = average_->values;
  if (config_.opt == "adamw") {
    adamw_step(store_.values(), state_["first"], state_["second"], store_.gradients(), decay_mask_,
               {}, extras);
  } else {
    sgd_step(store_.values(), state_["momentum"], store_.gradients(), decay_mask_,
             {.momentum = config_.momentum, .weight_decay = config_.weight_decay, .nesterov = true},
             extras);
  }
  if (average_ && average_->buffers.numel() > 0)
    average_step(average_->buffers, store_.buffer_values(), 0, rates_);
}

void Optimizer::end() {
  store_.touch_with_half();
  for (const auto& [name, tensor] : state_) tensor.bump_version();
  if (store_.buffer_values()) store_.buffer_values().bump_version();
  if (!average_) return;
  average_->values.bump_version();
  if (average_->buffers) average_->buffers.bump_version();
}

void Optimizer::restore(const std::map<std::string, Tensor>& saved, int64_t steps) {
  for (auto& [name, tensor] : state_) {
    const auto found = saved.find(name);
    if (found == saved.end())
      throw DataError("checkpoint: optimiser state '" + name + "' is missing");
    if (found->second.numel() != tensor.numel())
      throw DataError(concat_text("checkpoint: optimiser state '", name, "' has ",
                                  found->second.numel(), " elements, the model has ",
                                  tensor.numel()));
    copy_(tensor, found->second.viewed_as(tensor.shape()));
  }
  steps_ = steps;
}

}  // namespace passband
