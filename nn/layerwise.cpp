#include "nn/layerwise.h"

#include "tensor/autograd/node.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

Tensor length_of(const Tensor& x) { return sqrt(sum(square(x))); }

// ratio where both lengths are more than 0, else 1. `ratio` must be finite.
Tensor unless_zero(const Tensor& ratio, const Tensor& a, const Tensor& b) {
  const Tensor both = sign(a) * sign(b);
  return both * ratio + add(mul(both, -1), 1);
}

void check_shapes(const char* op, const Tensor& w, const Tensor& state, const Tensor& g) {
  CHECK(w.shape() == state.shape() && w.shape() == g.shape(), op, ": weights ", w, ", state ",
        state, " and gradient ", g, " must have one shape");
}

}  // namespace

void lars_step(Tensor w, Tensor m, const Tensor& g, const Tensor& rate,
               const LarsOptions& options) {
  check_shapes("lars_step", w, m, g);
  const NoGrad guard;
  const Tensor of_w = length_of(w), of_g = length_of(g);
  const Tensor below = add(of_g + mul(of_w, options.weight_decay), 1e-8);
  const Tensor ratio = unless_zero(mul(of_w, options.trust) * reciprocal(below), of_w, of_g);
  copy_(m, mul(m, options.momentum) + (g + mul(w, options.weight_decay)) * ratio);
  copy_(w, w - m * rate);
}

void lamb_step(Tensor w, Tensor first, Tensor second, const Tensor& g, const Tensor& rates,
               const LambOptions& options) {
  check_shapes("lamb_step", w, first, g);
  check_shapes("lamb_step", w, second, g);
  CHECK(options.weight_decay > 0, "lamb_step: adapts what is decayed; the weight decay is ",
        options.weight_decay);
  const NoGrad guard;
  const auto number = [&](int64_t i) { return cast(rates.view(i, Shape{1}), w.dtype()); };
  // as AdamW's rates have them: lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t), lr weight_decay
  const Tensor rate = number(0), correction = number(1), shrink = number(2);
  copy_(first, mul(first, options.beta1) + mul(g, 1 - options.beta1));
  copy_(second, mul(second, options.beta2) + mul(square(g), 1 - options.beta2));
  const Tensor below = add(sqrt(second) * correction, options.eps);
  const Tensor step = first * rate * reciprocal(below) + w * shrink;  // lr u
  const Tensor of_w = length_of(w), of_step = length_of(step);
  const Tensor safe = of_step + add(mul(sign(of_step), -1), 1);
  const Tensor of_lr = of_w * mul(shrink, 1 / options.weight_decay);
  copy_(w, w - step * unless_zero(of_lr * reciprocal(safe), of_w, of_step));
}

}  // namespace passband
