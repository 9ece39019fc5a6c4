// The parameter store: registration, the flat vectors, initial values.
#include "nn/parameters.h"

#include <cmath>

#include "nn/truncated_normal.h"
#include "tensor/autograd/engine.h"
#include "tensor/autograd/node.h"
#include "tensor/core/parallel.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// One element of an initial value.
double draw(const Init& init, const RandomKey& key, uint64_t index) {
  switch (init.kind) {
    case Init::Kind::constant: return init.a;
    case Init::Kind::normal: return init.a * static_cast<double>(random_normal(key, index));
    case Init::Kind::uniform:
      return init.a * (2.0 * static_cast<double>(random_uniform(key, index)) - 1.0);
    case Init::Kind::truncated_normal: break;
  }
  return truncated_normal(key, index, init.a);
}

void initialise(Tensor value, const Init& init, const RandomKey& key) {
  dispatch_floating(value.dtype(), "initialise", [&]<class T>() {
    T* out = value.data<T>();
    const int64_t count = value.numel();
    parallel_for(count, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        out[i] = static_cast<T>(draw(init, key, static_cast<uint64_t>(i)));
    });
  });
}

}  // namespace

Init Init::fan_in_uniform(int64_t fan_in) {
  return uniform(1.0 / std::sqrt(static_cast<double>(fan_in)));
}
Init Init::fan_out_normal(int64_t fan_out) {
  return normal(std::sqrt(2.0 / static_cast<double>(fan_out)));
}

Tensor Parameter::as(DType dtype) const {
  CHECK(value.defined(), "parameter ", name,
        " has no memory: the model was made without building it");
  if (value.dtype() == dtype) return value;
  // products are slower on what does not begin at a multiple of 16 bytes
  constexpr int64_t kRun = 16 / sizeof(bf16);
  if (dtype == DType::bf16 && half && half->version == value.version() && offset % kRun == 0)
    return cast_as(value, half->values.view(offset, shape));
  if (recording()) return cast(value, dtype);
  if (!converted.defined() || converted.dtype() != dtype || converted_version != value.version()) {
    converted = cast(value.detach(), dtype);
    converted_version = value.version();
  }
  return converted;
}

void ParameterStore::claim(const std::string& name) {
  CHECK(!values_.defined(), "parameter ", name, " was registered after the store was built");
  CHECK(names_.insert(name).second, "two parameters are called ", name);
}

ParameterRef ParameterStore::add_parameter(Parameter parameter) {
  claim(parameter.name);
  return parameters_.emplace_back(std::make_shared<Parameter>(std::move(parameter)));
}

BufferRef ParameterStore::add_buffer(BufferState buffer) {
  claim(buffer.name);
  return buffers_.emplace_back(std::make_shared<BufferState>(std::move(buffer)));
}

int64_t ParameterStore::parameter_count() const {
  int64_t count = 0;
  for (const ParameterRef& parameter : parameters_) count += parameter->shape.numel();
  return count;
}

void ParameterStore::build(uint64_t seed, DType dtype) {
  CHECK(!values_.defined(), "the parameter store is built already");
  const int64_t count = parameter_count();
  values_ = Tensor::empty({count}, dtype);
  gradients_ = Tensor::zeros({count}, dtype);
  decay_mask_ = Tensor::empty({count});
  int64_t offset = 0;
  for (const ParameterRef& parameter : parameters_) {
    const int64_t size = parameter->shape.numel();
    parameter->offset = offset;
    initialise(values_.view(offset, parameter->shape), parameter->init,
               {seed, 0, site_of(parameter->name)});
    const bool decays = parameter->decay && !parameter->frozen;
    std::fill_n(decay_mask_.data<float>() + offset, size, decays ? 1.0f : 0.0f);
    offset += size;
  }

  int64_t buffered = 0;
  for (const BufferRef& buffer : buffers_) buffered += buffer->shape.numel();
  buffer_values_ = Tensor::empty({buffered}, dtype);
  make_views();
  for (const BufferRef& buffer : buffers_)
    initialise(buffer->value, Init::constant(buffer->initial), {});
}

void ParameterStore::make_views() {
  for (const ParameterRef& parameter : parameters_) {
    parameter->value = values_.view(parameter->offset, parameter->shape);
    if (!parameter->frozen) {
      parameter->value = parameter->value.leaf();
      bind_grad(parameter->value, gradients_.view(parameter->offset, parameter->shape));
    }
    parameter->converted = {};
    parameter->half = half_;
  }
  int64_t offset = 0;
  for (const BufferRef& buffer : buffers_) {
    buffer->value = buffer_values_.view(offset, buffer->shape);
    offset += buffer->shape.numel();
  }
}

void ParameterStore::freeze(const std::function<bool(const Parameter&)>& chosen) {
  CHECK(values_.defined(), "the parameter store has nothing to freeze: it was not built");
  Tensor mask = decay_mask_.to({});
  for (const ParameterRef& parameter : parameters_) {
    if (!chosen(*parameter)) continue;
    parameter->frozen = true;
    std::fill_n(mask.data<float>() + parameter->offset, parameter->shape.numel(), 0.0f);
  }
  decay_mask_ = mask.to(decay_mask_.device());
  make_views();
}

void ParameterStore::fix_batch_norm_scales() {
  CHECK(!values_.defined(), "the scales of batch norms were to be fixed before the store is built");
  for (const ParameterRef& scale : batch_norms_->scales) {
    scale->init = Init::constant(1);
    scale->frozen = true;
  }
}

std::shared_ptr<const BatchNormSettings> ParameterStore::add_batch_norm(const ParameterRef& scale) {
  batch_norms_->scales.push_back(scale);
  return batch_norms_;
}

Tensor ParameterStore::trained_mask() const {
  Tensor mask = Tensor::full(values_.shape(), 1);
  for (const ParameterRef& parameter : parameters_)
    if (parameter->frozen)
      std::fill_n(mask.data<float>() + parameter->offset, parameter->shape.numel(), 0.0f);
  return mask.to(values_.device());
}

void ParameterStore::to(Device device) {
  CHECK(values_.defined(), "the parameter store has no memory to move: it was not built");
  if (device == values_.device()) return;
  for (Tensor* tensor : {&values_, &gradients_, &decay_mask_, &buffer_values_})
    *tensor = tensor->to(device);
  half_ = nullptr;
  make_views();
}

void ParameterStore::keep_half() {
  if (half_) return;
  half_ = std::make_shared<HalfCopy>(HalfCopy{cast(values_, DType::bf16), values_.version()});
  for (const ParameterRef& parameter : parameters_) parameter->half = half_;
}

void ParameterStore::refresh_half() {
  if (!half_ || half_->version == values_.version()) return;
  copy_(half_->values, values_);
  half_->version = values_.version();
}

void ParameterStore::touch_with_half() {
  values_.bump_version();
  if (!half_) return;
  half_->values.bump_version();
  half_->version = values_.version();
}

void ParameterStore::zero_gradients() { fill_(gradients_, 0); }

Scope Scope::operator/(std::string_view name) const { return Scope(*store_, join(name)); }

std::string Scope::name() const {
  const size_t dot = path_.rfind('.');
  return dot == std::string::npos ? path_ : path_.substr(dot + 1);
}

std::string Scope::join(std::string_view name) const {
  return path_.empty() ? std::string(name) : concat_text(path_, '.', name);
}

ParameterRef Scope::parameter(std::string_view name, const Shape& shape, const Init& init,
                              Layout layout, bool decay) const {
  return store_->add_parameter(
      {.name = join(name), .shape = shape, .init = init, .layout = layout, .decay = decay});
}

BufferRef Scope::buffer(std::string_view name, const Shape& shape, double initial) const {
  return store_->add_buffer({.name = join(name), .shape = shape, .initial = initial});
}

}  // namespace passband
