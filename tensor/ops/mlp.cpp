// The MLP: checks, the fused first-order gradient, the composed one for higher orders.
#include "tensor/ops/mlp.h"

#include "tensor/core/batch_parts.h"
#include "tensor/core/device.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/mlp_kernels.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

struct Mlp {
  static constexpr auto name = "mlp";
  static constexpr auto saves = Save::input;
  GeluForm form;
  bool recorded;        // a backward may follow
  Buffer kept, active;  // what linear_gelu_backward needs of h, and gelu(h), (..., hidden)

  Attributes attributes() const { return {{"tanh", {form == GeluForm::tanh ? 1.0 : 0.0}}}; }
  Tensor forward(const Tensor& x, const Tensor& w1, const Tensor& b1, const Tensor& w2,
                 const Tensor& b2, const Tensor& residual) {
    Tensor hidden = Tensor::empty(x.shape().with(-1, w1.size(0)), x.dtype(), x.device());
    if (recorded) kept.memory = Tensor::empty_like(hidden);
    DISPATCH(x.device(), linear_gelu_forward, hidden, kept.memory, x, w1, b1, form);
    if (recorded) active.memory = hidden;
    return linear(hidden, w2, b2, residual);
  }

  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor rows = as_rows(dy);
    const bool hidden = s.needs(0) || s.needs(1) || s.needs(2);
    Grads grads = recording() ? composed(s, rows, hidden) : fused(s, rows, hidden);
    if (s.needs(4)) grads[4] = bias_gradient(s, 4, rows);
    if (s.needs(5)) grads[5] = dy;
    return grads;
  }

  void release() { kept = active = {}; }

 private:
  Grads fused(const Saved& s, const Tensor& dy, bool hidden) const {
    Grads grads(6);
    if (s.needs(3)) grads[3] = weight_gradient(s, 3, dy, as_rows(active.memory));
    if (!hidden) return grads;
    const Tensor rows = as_rows(kept.memory), dh = Tensor::empty_like(rows);
    const bool cut = batch_parts().cut(dh.size(0));
    if (s.needs(2) && !cut) grads[2] = Tensor::empty({dh.size(1)}, dh.dtype(), dh.device());
    Tensor parts;
    DISPATCH(dy.device(), linear_gelu_backward, dh, grads[2], s.takes_parts(2) ? &parts : nullptr,
             dy, s.input(3), rows, form);
    if (parts.defined()) grads[2] = parts;
    else if (s.needs(2) && cut) grads[2] = sum(dh, {0});
    add_first_layer(grads, s, dh);
    return grads;
  }

  Grads composed(const Saved& s, const Tensor& dy, bool hidden) const {
    Grads grads(6);
    const Tensor h = linear(as_rows(s.input(0)), s.input(1), s.input(2));
    const Tensor active_again = form == GeluForm::tanh ? gelu_tanh(h) : gelu(h);
    if (s.needs(3)) grads[3] = matmul(dy, active_again, {.transpose_a = true});
    if (!hidden) return grads;
    const Tensor dh = gelu_gradient(h, matmul(dy, s.input(3)), form);
    if (s.needs(2)) grads[2] = sum(dh, {0});
    add_first_layer(grads, s, dh);
    return grads;
  }

  static void add_first_layer(Grads& grads, const Saved& s, const Tensor& dh) {
    if (s.needs(0)) grads[0] = reshape(multiply_weight(dh, s.input(1)), s.edge(0).shape);
    if (s.needs(1)) grads[1] = weight_gradient(s, 1, dh, as_rows(s.input(0)));
  }
};

}  // namespace

Tensor mlp(const Tensor& x, const Tensor& w1, const Tensor& b1, const Tensor& w2, const Tensor& b2,
           const Tensor& residual, GeluForm form) {
  check_linear("mlp", x, w1, b1, {});
  CHECK(w2.defined() && w2.rank() == 2 && w2.size(1) == w1.size(0), "mlp: the second weight is ",
        w2, ", the first ", w1, "; it has one column per row of the first");
  const bool recorded = recording() && (x.tracked() || w1.tracked() || b1.tracked() ||
                                        w2.tracked() || b2.tracked() || residual.tracked());
  return apply(Mlp{form, recorded, {}, {}}, x, w1, b1, w2, b2, residual);
}

}  // namespace passband
