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

Optimizer::Optimizer(const TrainConfig& config, ParameterStore& store) : config_(config), store_(store) {
  const Tensor& values = store.values();
  decay_mask_ = config.decay_all ? Tensor::full(values.shape(), 1, DType::f32, values.device()) : store.decay_mask();
  if (config.opt == "adamw") {
    state_["first"] = Tensor::zeros_like(values);
    state_["second"] = Tensor::zeros_like(values);
  } else {
    state_["momentum"] = Tensor::zeros_like(values);
  }
}

void Optimizer::step(double lr) {
  StepExtras extras;
  if (config_.clip_grad > 0) extras.scale = clip_scale(store_.gradients(), config_.clip_grad);
  ++steps_;
  if (config_.opt == "adamw") {
    adamw_step(store_.values(), state_["first"], state_["second"], store_.gradients(), decay_mask_,
               {.lr = lr, .weight_decay = config_.weight_decay, .step = steps_}, extras);
  } else {
    sgd_step(store_.values(), state_["momentum"], store_.gradients(), decay_mask_,
             {.lr = lr, .momentum = config_.momentum, .weight_decay = config_.weight_decay, .nesterov = true}, extras);
  }
}

void Optimizer::restore(const std::map<std::string, Tensor>& saved, int64_t steps) {
  for (auto& [name, tensor] : state_) {
    const auto found = saved.find(name);
    if (found == saved.end()) throw DataError("checkpoint: optimiser state '" + name + "' is missing");
    if (found->second.numel() != tensor.numel())
      throw DataError(concat_text("checkpoint: optimiser state '", name, "' has ", found->second.numel(),
                                  " elements, the model has ", tensor.numel()));
    copy_(tensor, found->second.viewed_as(tensor.shape()));
  }
  steps_ = steps;
}

WeightAverage::WeightAverage(const ParameterStore& store, double decay)
    : values(copy_of(store.values())), buffers(copy_of(store.buffer_values())), decay_(decay) {}

void WeightAverage::update(const ParameterStore& store, int64_t step) {
  const double t = static_cast<double>(step), decay = std::min(decay_, (1 + t) / (10 + t));
  average_step(values, store.values(), decay);
  if (buffers.numel() > 0) average_step(buffers, store.buffer_values(), decay);
}

}  // namespace passband
