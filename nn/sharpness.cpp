#include "nn/sharpness.h"

#include "tensor/autograd/node.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

namespace passband {
namespace {

Tensor room_for(const Tensor& tensor) {
  return tensor.defined() ? Tensor::empty_like(tensor) : Tensor{};
}

void take_over(const Tensor& to, const Tensor& from) {
  if (to.defined() && to.numel() > 0) copy_(to, from);
}

}  // namespace

SharpnessAscent::SharpnessAscent(ParameterStore& store, double rho)
    : store_(store),
      rho_(rho),
      values_(room_for(store.values())),
      buffers_(room_for(store.buffer_values())) {
  CHECK(store.values().defined(), "SAM: the store has no parameters yet; call its build() first");
}

void SharpnessAscent::climb() {
  const NoGrad guard;
  take_over(values_, store_.values());
  take_over(buffers_, store_.buffer_values());
  const Tensor norm = sqrt(sum(square(store_.gradients())));
  const Tensor scale = mul(reciprocal(add(norm, 1e-12)), rho_);
  add_scaled_(store_.values(), mul(store_.gradients(), scale), 1);
  store_.refresh_half();
  store_.zero_gradients();
}

void SharpnessAscent::climb_back() {
  take_over(store_.values(), values_);
  take_over(store_.buffer_values(), buffers_);
}

}  // namespace passband
