// Cross-entropy with hard or soft targets: the forward pass makes the gradient too, while it has
// the softmax at hand; composed gradients for higher orders.
#include "tensor/ops/cross_entropy.h"

#include "tensor/ops/cross_entropy_kernels.h"
#include "tensor/ops/gather.h"
#include "tensor/ops/gather_kernels.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"

namespace passband {
namespace {

DType loss_type(const Tensor& logits) {
  return logits.dtype() == DType::f64 ? DType::f64 : DType::f32;
}

// dloss / N in the type of the logits.
Tensor per_row(const Tensor& dloss, const Tensor& logits) {
  return cast(mul(dloss, 1.0 / static_cast<double>(logits.size(0))), logits.dtype());
}

// What the forward pass has found: dloss / dlogits. Absent where nobody asks for it.
struct LossGradient {
  Buffer values;

  Tensor scaled(const Tensor& dloss) const {
    const Tensor dlogits = Tensor::empty_like(values.memory);
    DISPATCH(dlogits.device(), scale_gradient, dlogits, values.memory, dloss);
    return dlogits;
  }
};

LossGradient make_gradient(const Tensor& logits) {
  return {{recording() && logits.tracked() ? Tensor::empty_like(logits) : Tensor{}}};
}

struct CrossEntropy {
  static constexpr auto name = "cross_entropy";
  static constexpr auto saves = Save::input;
  double smoothing;
  LossGradient gradient;

  Tensor forward(const Tensor& logits, const Tensor& labels) const {
    const Tensor loss = Tensor::empty({}, loss_type(logits), logits.device());
    DISPATCH(logits.device(), cross_entropy, loss, gradient.values.memory, logits, labels,
             smoothing);
    return loss;
  }
  Grads backward(const Saved& s, const Tensor& dloss) const {
    const Tensor &logits = s.input(0), &labels = s.input(1);
    if (!recording()) return {gradient.scaled(dloss), {}};
    const int64_t classes = logits.size(1);
    const Tensor target = one_hot(labels, classes, logits.dtype()) * (1.0 - smoothing) +
                          smoothing / static_cast<double>(classes);
    return {(softmax(logits) - target) * per_row(dloss, logits), {}};
  }
  void release() { gradient = {}; }
};

struct SoftCrossEntropy {
  static constexpr auto name = "soft_cross_entropy";
  static constexpr auto saves = Save::input;
  LossGradient gradient;

  Tensor forward(const Tensor& logits, const Tensor& targets) const {
    const Tensor loss = Tensor::empty({}, loss_type(logits), logits.device());
    DISPATCH(logits.device(), soft_cross_entropy, loss, gradient.values.memory, logits, targets);
    return loss;
  }
  Grads backward(const Saved& s, const Tensor& dloss) const {
    const Tensor &logits = s.input(0), &targets = s.input(1), scale = per_row(dloss, logits);
    const auto composed = [&] {
      return (softmax(logits) * sum(targets, {1}, true) - targets) * scale;
    };
    return {!s.needs(0)   ? Tensor{}
            : recording() ? composed()
                          : gradient.scaled(dloss),
            s.needs(1) ? -log_softmax(logits) * scale : Tensor{}};
  }
  void release() { gradient = {}; }
};

void check_logits(const char* op, const Tensor& logits) {
  CHECK(logits.rank() == 2 && logits.numel() > 0, op, ": logits must be (N, classes), not ",
        logits);
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& labels, double smoothing) {
  check_logits("cross_entropy", logits);
  CHECK(labels.dtype() == DType::i32 && labels.shape() == Shape{logits.size(0)},
        "cross_entropy: labels must be i32 of shape [", logits.size(0), "], not ", labels);
  CHECK(labels.device() == logits.device(), "cross_entropy: devices differ: labels are ", labels,
        ", logits are ", logits);
  CHECK(smoothing >= 0 && smoothing < 1, "cross_entropy: smoothing must be in [0, 1), not ",
        smoothing);
  DISPATCH(labels.device(), check_indices, "cross_entropy: labels", labels, logits.size(1));
  return apply(CrossEntropy{smoothing, make_gradient(logits)}, logits, labels);
}

Tensor soft_cross_entropy(const Tensor& logits, const Tensor& targets) {
  check_logits("soft_cross_entropy", logits);
  CHECK(targets.shape() == logits.shape() && targets.dtype() == logits.dtype() &&
            targets.device() == logits.device(),
        "soft_cross_entropy: targets are ", targets, ", logits are ", logits);
  return apply(SoftCrossEntropy{make_gradient(logits)}, logits, targets);
}

}  // namespace passband
