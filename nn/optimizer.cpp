#include "nn/optimizer.h"

#include <algorithm>

#include "nn/layerwise.h"
#include "tensor/autograd/node.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
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
  add_ranges();
  decay_mask_ = scaled_decay_mask();
  if (std::holds_alternative<Adamw>(rule)) {
    state_["first"] = Tensor::zeros_like(values);
    state_["second"] = Tensor::zeros_like(values);
  } else {
    state_["momentum"] = Tensor::zeros_like(values);
  }
}

void Optimizer::add_ranges() {
  const auto& parameters = store_.parameters();
  const auto check = [&](const char* what, size_t count) {
    CHECK(count == 0 || count == parameters.size(), "optimizer: ", count, " ", what, " for ",
          parameters.size(), " parameters");
  };
  check("lr_scales", options_.lr_scales.size());
  check("decay_scales", options_.decay_scales.size());
  check("matrices", options_.matrices.size());
  bool extends = false;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const double scale = options_.lr_scales.empty() ? 1 : options_.lr_scales[i];
    const bool matrix = options_.muon && !options_.matrices.empty() && options_.matrices[i];
    const bool adapted = !matrix && adapts(*parameters[i]);
    const size_t rate = rate_of(scale, matrix, parameters[i].get() == options_.apart);
    if (matrix || adapted || !extends || ranges_.back().rate != rate)
      ranges_.push_back({.begin = parameters[i]->offset,
                         .rows = matrix ? parameters[i]->shape[0] : 0,
                         .rate = rate,
                         .adapted = adapted ? parameters[i] : nullptr});
    ranges_.back().count += parameters[i]->shape.numel();
    extends = !matrix && !adapted;
  }
}

bool Optimizer::adapts(const Parameter& parameter) const {
  const double decay = std::visit([](const auto& rule) { return rule.weight_decay; }, rule_);
  return options_.layerwise && decay > 0 && (parameter.decay || options_.decay_all);
}

size_t Optimizer::rate_of(double scale, bool of_muon, bool apart) {
  for (size_t i = 0; i < rates_.size(); ++i)
    if (rates_[i].scale == scale && rates_[i].of_muon == of_muon && rates_[i].apart == apart)
      return i;
  rates_.push_back({scale, of_muon, apart, empty_rates(store_.values().device())});
  return rates_.size() - 1;
}

Tensor Optimizer::scaled_decay_mask() const {
  const Tensor mask = options_.decay_all ? store_.trained_mask() : store_.decay_mask();
  if (options_.decay_scales.empty()) return mask;
  const Tensor scaled = copy_of(mask);
  for (size_t i = 0; i < options_.decay_scales.size(); ++i) {
    const Parameter& p = *store_.parameters()[i];
    if (options_.decay_scales[i] != 1)
      scale_(scaled.view(p.offset, p.shape), options_.decay_scales[i]);
  }
  return scaled;
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
  for (const Rate& rate : rates_) set_rate(rate, rate.apart ? rate_apart_ : lr * rate.scale, decay);
}

void Optimizer::set_rate(const Rate& rate, double lr, double decay) {
  if (rate.of_muon) {
    const double peak = std::visit([](const auto& rule) { return rule.lr; }, rule_);
    set_rates(rate.rates, SgdOptions{.lr = options_.muon->lr * lr / peak}, decay);
  } else if (const auto* adamw = std::get_if<Adamw>(&rule_)) {
    AdamwOptions numbers = numbers_of(*adamw);
    numbers.lr = lr;
    numbers.step = steps_;
    set_rates(rate.rates, numbers, decay);
  } else {
    set_rates(rate.rates, SgdOptions{.lr = lr}, decay);
  }
}

void Optimizer::update() {
  StepExtras extras;
  if (options_.clip_norm > 0) extras.scale = clip_scale(store_.gradients(), options_.clip_norm);
  for (const Range& range : ranges_)
    if (range.rows > 0) update_matrix(range, extras);
    else if (range.adapted && !range.adapted->frozen) update_layer(range, extras);
    else update_range(range, extras);
  WeightAverage* average = options_.average;
  if (average && average->buffers.numel() > 0)
    average_step(average->buffers, store_.buffer_values(), 0, rates_.front().rates);
}

void Optimizer::update_range(const Range& range, StepExtras extras) {
  extras.half = range.of(store_.half_values());
  extras.rates = rates_[range.rate].rates;
  if (options_.average) extras.average = range.of(options_.average->values);
  const Tensor values = range.of(store_.values()), gradients = range.of(store_.gradients()),
               decays = range.of(decay_mask_);
  if (const auto* adamw = std::get_if<Adamw>(&rule_)) {
    adamw_step(values, range.of(state_["first"]), range.of(state_["second"]), gradients, decays,
               numbers_of(*adamw), extras);
  } else {
    sgd_step(values, range.of(state_["momentum"]), gradients, decays,
             numbers_of(std::get<Sgd>(rule_)), extras);
  }
}

void Optimizer::update_matrix(const Range& range, const StepExtras& extras) {
  const NoGrad guard;
  const auto as_matrix = [&](const Tensor& flat) {
    return flat.view(range.begin, Shape{range.rows, range.count / range.rows});
  };
  const Tensor values = as_matrix(store_.values()), &rates = rates_[range.rate].rates;
  const auto one_number = [&](const Tensor& f64, int64_t index) {
    return cast(f64.view(index, Shape{1}), values.dtype());
  };
  Tensor gradient = as_matrix(store_.gradients());
  if (extras.scale) gradient = gradient * one_number(extras.scale, 1);
  const bool adamw = std::holds_alternative<Adamw>(rule_);
  muon_step(values, as_matrix(state_.at(adamw ? "first" : "momentum")), gradient,
            one_number(rates, 0), *options_.muon);
  if (store_.half_values()) copy_(as_matrix(store_.half_values()), values);
  if (options_.average) average_step(as_matrix(options_.average->values), values, 0, rates);
}

void Optimizer::update_layer(const Range& range, const StepExtras& extras) {
  const NoGrad guard;
  const Tensor values = range.of(store_.values()), &rates = rates_[range.rate].rates;
  Tensor gradient = range.of(store_.gradients());
  if (extras.scale) gradient = gradient * cast(extras.scale.view(1, Shape{1}), values.dtype());
  if (const auto* adamw = std::get_if<Adamw>(&rule_)) {
    lamb_step(values, range.of(state_["first"]), range.of(state_["second"]), gradient, rates,
              {.beta1 = adamw->beta1,
               .beta2 = adamw->beta2,
               .eps = adamw->eps,
               .weight_decay = adamw->weight_decay});
  } else {
    const Sgd& sgd = std::get<Sgd>(rule_);
    lars_step(values, range.of(state_["momentum"]), gradient,
              cast(rates.view(0, Shape{1}), values.dtype()),
              {.momentum = sgd.momentum,
               .weight_decay = sgd.weight_decay,
               .trust = options_.layerwise->trust});
  }
  if (store_.half_values()) copy_(range.of(store_.half_values()), values);
  if (options_.average) average_step(range.of(options_.average->values), values, 0, rates);
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

void Optimizer::refresh_frozen() {
  decay_mask_ = scaled_decay_mask();
  for (const ParameterRef& parameter : store_.parameters()) {
    if (!parameter->frozen) continue;
    for (auto& [name, tensor] : state_) fill_(tensor.view(parameter->offset, parameter->shape), 0);
  }
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
