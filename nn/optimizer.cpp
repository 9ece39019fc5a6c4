#include "nn/optimizer.h"

#include <algorithm>

#include "tensor/ops/pointwise.h"
#include "tensor/ops/training/optimizer.h"

namespace passband {
namespace {

Tensor copy_of(const Tensor& tensor) {
  Tensor copy = Tensor::empty_like(tensor);
  copy_(copy, tensor);
  return copy;
}

// What the rates of a step do not replace.
SgdOptions numbers_of(const Sgd& rule) {
  return {.lr = rule.lr,
          .momentum = rule.momentum,
          .weight_decay = rule.weight_decay,
          .nesterov = rule.nesterov};
}

AdamwOptions numbers_of(const Adamw& rule) {
  return {.lr = rule.lr,
          .beta1 = rule.beta1,
          .beta2 = rule.beta2,
          .eps = rule.eps,
          .weight_decay = rule.weight_decay};
}

}  // namespace

WeightAverage::WeightAverage(const ParameterStore& store, double decay)
    : values(copy_of(store.values())), buffers(copy_of(store.buffer_values())), decay_(decay) {}

double WeightAverage::decay_at(int64_t step) const {
  const auto t = static_cast<double>(step);
  return std::min(decay_, (1 + t) / (10 + t));
}

Optimizer::Optimizer(ParameterStore& store, const UpdateRule& rule, const OptimizerOptions& options)
    : store_(store), rule_(rule), options_(options) {
  const Tensor& values = store.values();
  CHECK(values.defined(), "optimizer: the store has no parameters yet; call its build() first");
  rates_ = empty_rates(values.device());
  decay_mask_ = options.decay_all ? store.trained_mask() : store.decay_mask();
  if (std::holds_alternative<Adamw>(rule)) {
    state_["first"] = Tensor::zeros_like(values);
    state_["second"] = Tensor::zeros_like(values);
  } else {
    state_["momentum"] = Tensor::zeros_like(values);
  }
}

void Optimizer::step() {
  step(std::visit([](const auto& rule) { return rule.lr; }, rule_));
}

void Optimizer::step(double lr) {
  begin(lr);
  update();
  end();
  store_.zero_gradients();
  count_step();
}

void Optimizer::set_momentum(double momentum) {
  if (auto* sgd = std::get_if<Sgd>(&rule_)) sgd->momentum = momentum;
}

void Optimizer::begin(double lr) {
  const double decay = options_.average ? options_.average->decay_at(steps_) : 0;
  ++steps_;
  if (const auto* adamw = std::get_if<Adamw>(&rule_)) {
    AdamwOptions numbers = numbers_of(*adamw);
    numbers.lr = lr;
    numbers.step = steps_;
    set_rates(rates_, numbers, decay);
  } else {
    set_rates(rates_, SgdOptions{.lr = lr}, decay);
  }
}

void Optimizer::update() {
  StepExtras extras{.half = store_.half_values(), .rates = rates_};
  if (options_.clip_norm > 0) extras.scale = clip_scale(store_.gradients(), options_.clip_norm);
  WeightAverage* average = options_.average;
  if (average) extras.average = average->values;
  if (const auto* adamw = std::get_if<Adamw>(&rule_)) {
    adamw_step(store_.values(), state_["first"], state_["second"], store_.gradients(), decay_mask_,
               numbers_of(*adamw), extras);
  } else {
    sgd_step(store_.values(), state_["momentum"], store_.gradients(), decay_mask_,
             numbers_of(std::get<Sgd>(rule_)), extras);
  }
  if (average && average->buffers.numel() > 0)
    average_step(average->buffers, store_.buffer_values(), 0, rates_);
}

void Optimizer::end() {
  store_.touch_with_half();
  for (auto& [name, tensor] : state_) tensor.bump_version();
  if (store_.buffer_values()) store_.buffer_values().bump_version();
  WeightAverage* average = options_.average;
  if (!average) return;
  average->values.bump_version();
  if (average->buffers) average->buffers.bump_version();
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
