// Cross-entropy with hard or soft targets: the forward pass makes the gradient too, while it has
// the softmax at hand; composed gradients for higher orders.
#include "tensor/ops/cross_entropy.h"

#include "tensor/ops/cross_entropy_kernels.h"
#include "tensor/ops/gather.h"
#include "tensor/ops/gather_kernels.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/reduce_kernels.h"
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
    Tensor dlogits = Tensor::empty_like(values.memory);
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
    Tensor loss = Tensor::empty({}, loss_type(logits), logits.device());
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

// The weights of the rows' labels in f64, and the labels that count; both (N).
struct LabelRows {
  Tensor weights, labels;

  LabelRows(const Tensor& given, const LabelTargets& targets, int64_t classes)
      : weights(Tensor::empty(given.shape(), DType::f64, given.device())),
        labels(Tensor::empty_like(given)) {
    DISPATCH(given.device(), label_weights, weights, labels, given, targets, classes);
  }
};

// Class weights, ignored labels and reductions. The mean divides by what depends on the labels
// alone.
struct LabelCrossEntropy {
  static constexpr auto name = "cross_entropy";
  static constexpr auto saves = Save::input;
  LabelTargets targets;
  LossReduction reduction;
  LossGradient gradient;
  Buffer divisor = {};

  Tensor forward(const Tensor& logits, const Tensor& labels) {
    const int64_t rows = logits.size(0);
    const Device device = logits.device();
    if (reduction == LossReduction::mean) {
      divisor.memory = Tensor::empty({}, DType::f64, device);
      const Tensor weights = LabelRows(labels, targets, logits.size(1)).weights;
      DISPATCH(device, sum, divisor.memory, weights, Reduction{.n = rows}, 1.0);
    }
    Tensor losses = Tensor::empty({rows}, DType::f64, device);
    DISPATCH(device, label_losses, losses, gradient.values.memory, logits, labels, targets,
             divisor.memory);
    if (reduction == LossReduction::none) return cast(losses, loss_type(logits));
    Tensor loss = Tensor::empty({}, loss_type(logits), device);
    DISPATCH(device, sum, loss, losses, Reduction{.n = rows}, 1.0);
    return loss;
  }

  // t (N, K), constants.
  Tensor composed_targets(const Tensor& logits, const Tensor& labels) const {
    const int64_t rows = logits.size(0), classes = logits.size(1);
    const DType dtype = logits.dtype();
    const LabelRows counted(labels, {.ignored = targets.ignored}, classes);
    const Tensor counts = reshape(cast(counted.weights, dtype), Shape{rows, 1});
    const Tensor hot = one_hot(counted.labels, classes, dtype) * (1.0 - targets.smoothing) +
                       targets.smoothing / static_cast<double>(classes);
    return hot * counts * (targets.weights ? cast(targets.weights, dtype) : counts);
  }
  Grads backward(const Saved& s, const Tensor& dloss) const {
    const Tensor& logits = s.input(0);
    if (!recording()) return {gradient.scaled(dloss), {}};
    const Tensor t = composed_targets(logits, s.input(1));
    const Tensor scale = divisor.memory ? dloss / cast(divisor.memory, dloss.dtype()) : dloss;
    const Tensor factor = cast(scale, logits.dtype());
    const Tensor by_row =
        reduction == LossReduction::none ? reshape(factor, Shape{logits.size(0), 1}) : factor;
    return {(softmax(logits) * sum(t, {1}, true) - t) * by_row, {}};
  }
  void release() {
    gradient = {};
    divisor = {};
  }
};

struct SoftCrossEntropy {
  static constexpr auto name = "soft_cross_entropy";
  static constexpr auto saves = Save::input;
  LossGradient gradient;

  Tensor forward(const Tensor& logits, const Tensor& targets) const {
    Tensor loss = Tensor::empty({}, loss_type(logits), logits.device());
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

Tensor cross_entropy(const Tensor& logits, const Tensor& labels,
                     const CrossEntropyOptions& options) {
  const char* const op = "cross_entropy";
  CHECK(logits.defined() && logits.rank() >= 1 && logits.numel() > 0, op,
        ": logits must be (..., classes), not ", logits);
  CHECK(labels.defined() && labels.dtype() == DType::i32 &&
            labels.shape() == logits.shape().without(-1) && labels.device() == logits.device(),
        op, ": labels must be i32 of the shape of the logits ", logits,
        " without their last dimension, on the same device, not ", labels);
  CHECK(options.smoothing >= 0 && options.smoothing < 1, op, ": smoothing must be in [0, 1), not ",
        options.smoothing);
  const int64_t classes = logits.size(-1);
  const Tensor& weights = options.class_weights;
  CHECK(!weights.defined() ||
            (weights.shape() == Shape{classes} && weights.dtype() == loss_type(logits) &&
             weights.device() == logits.device()),
        op, ": class weights are ", weights, ", for logits ", logits, " they must be ",
        name_of(loss_type(logits)), "[", classes, "] on the same device");
  CHECK(!weights.tracked(), op, ": class weights ", weights, " have no gradient; detach() them");
  const LabelTargets targets{options.smoothing, weights, options.ignore_index};
  const Tensor z = reshape(logits, Shape{labels.numel(), classes}),
               y = reshape(labels, Shape{labels.numel()});
  const Tensor counted = targets.ignored ? LabelRows(y, targets, classes).labels : y;
  DISPATCH(labels.device(), check_indices, "cross_entropy: labels", counted, classes);
  const Tensor loss = apply(LabelCrossEntropy{targets, options.reduction, make_gradient(z)}, z, y);
  return options.reduction == LossReduction::none ? reshape(loss, labels.shape()) : loss;
}

Tensor soft_cross_entropy(const Tensor& logits, const Tensor& targets) {
  check_logits("soft_cross_entropy", logits);
  CHECK(targets.shape() == logits.shape() && targets.dtype() == logits.dtype() &&
            targets.device() == logits.device(),
        "soft_cross_entropy: targets are ", targets, ", logits are ", logits);
  return apply(SoftCrossEntropy{make_gradient(logits)}, logits, targets);
}

// log(1 + e^z) = (z + |z|) / 2 + log(1 + e^-|z|): no overflow, and a derivative of 1/2 at 0.
Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets) {
  check_logits("binary_cross_entropy", logits);
  CHECK(targets.shape() == logits.shape() && targets.dtype() == loss_type(logits) &&
            targets.device() == logits.device(),
        "binary_cross_entropy: targets are ", targets, ", logits are ", logits);
  const Tensor z = cast(logits, loss_type(logits)), size = abs(z);
  const Tensor rest = log(add(exp(mul(size, -1)), 1));
  return mean(sub(add(mul(add(z, size), 0.5), rest), mul(z, targets)));
}

}  // namespace passband
