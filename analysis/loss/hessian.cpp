// Products with the Hessian: <gradient, v>, differentiated once more.
#include "analysis/loss/hessian.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>

#include "analysis/study/finite.h"
#include "analysis/study/own_part.h"
#include "nn/context.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/vecdot.h"

namespace passband {
namespace {

// What the loss is a function of: not what stays as it is.
std::vector<ParameterRef> variables(const ParameterStore& store) {
  std::vector<ParameterRef> result;
  for (const ParameterRef& p : store.parameters())
    if (!p->frozen) result.push_back(p);
  return result;
}

std::vector<Tensor> leaves(const Model& model) {
  std::vector<Tensor> result;
  for (const ParameterRef& p : variables(model.store())) result.push_back(p->value);
  return result;
}

// One flat vector from a tensor for each variable; 0 elsewhere.
Tensor flattened(const ParameterStore& store, const std::vector<Tensor>& parts) {
  Tensor flat = Tensor::zeros_like(store.values());
  const std::vector<ParameterRef> of = variables(store);
  for (size_t i = 0; i < parts.size(); ++i) {
    const Parameter& p = *of[i];
    copy_(flat.view(p.offset, p.shape), parts[i].detach());
  }
  return flat;
}

bool decays(const Parameter& p, const LossTerms& terms) {
  if (p.frozen) return false;
  return p.decay || terms.decay_all || terms.rule == LossTerms::Decay::norms;
}

// Over all elements, a tensor of one.
Tensor summed_product(const Tensor& a, const Tensor& b) {
  return vecdot(reshape(a, Shape{a.numel()}), reshape(b, Shape{b.numel()}));
}

}  // namespace

int64_t LossBatches::count() const { return (std::ssize(indices) + batch_size - 1) / batch_size; }

LossBatch LossBatches::batch(int64_t i) const {
  const int64_t begin = i * batch_size, n = std::min(batch_size, std::ssize(indices) - begin);
  CHECK(begin >= 0 && n > 0, "batch ", i, " of ", count(), " does not exist");
  const std::span<const int64_t> chosen(indices.data() + begin, static_cast<size_t>(n));
  Tensor images = Tensor::empty({n, image_size, image_size, 3}),
         labels = Tensor::empty({n}, DType::i32);
  if (augmented) make_train_batch(*data, chosen, augment, key, image_size, images.data<float>());
  else make_eval_batch(*data, chosen, image_size, images.data<float>());
  for (int64_t k = 0; k < n; ++k)
    labels.data<int32_t>()[k] = data->labels[static_cast<size_t>(chosen[static_cast<size_t>(k)])];
  if (!augmented || (mixing.mixup <= 0 && mixing.cutmix <= 0))
    return {images.to(device), labels.to(device)};
  const Mixing drawn = draw_mixing(image_size, image_size, mixing,
                                   {key.seed, static_cast<uint64_t>(i), site_of("mixing")});
  mix(images, drawn);
  const Tensor targets = Tensor::empty({n, data->num_classes()});
  mix_targets(targets, labels, drawn.label_weight, smoothing);
  return {images.to(device), labels.to(device), targets.to(device)};
}

Tensor LossBatch::cross_entropy_of(const Tensor& logits, double smoothing) const {
  return targets.defined() ? soft_cross_entropy(logits, targets)
                           : cross_entropy(logits, labels, smoothing);
}

double decay_loss(const ParameterStore& store, const LossTerms& terms) {
  NoGrad no_grad;
  if (terms.decay == 0) return 0;
  const Tensor total = Tensor::zeros(Shape{}, DType::f64, store.values().device());
  for (const ParameterRef& p : store.parameters()) {
    if (!decays(*p, terms)) continue;
    const Tensor squares = cast(summed_product(p->value.detach(), p->value.detach()), DType::f64);
    add_(total, terms.rule == LossTerms::Decay::norms ? sqrt(squares) : squares / 2);
  }
  return terms.decay * total.item();
}

Tensor decay_gradient(const ParameterStore& store, const LossTerms& terms) {
  NoGrad no_grad;
  Tensor result = Tensor::zeros_like(store.values());
  for (const ParameterRef& p : store.parameters()) {
    if (terms.decay == 0 || !decays(*p, terms)) continue;
    const double length =
        terms.rule == LossTerms::Decay::norms ? std::sqrt(inner_product(p->value, p->value)) : 1;
    if (length > 0)
      add_scaled_(result.view(p->offset, p->shape), p->value.detach(), terms.decay / length);
  }
  return result;
}

Tensor decay_hessian_times(const ParameterStore& store, const LossTerms& terms, const Tensor& v) {
  NoGrad no_grad;
  Tensor result = Tensor::zeros_like(v);
  for (const ParameterRef& p : store.parameters()) {
    if (terms.decay == 0 || !decays(*p, terms)) continue;
    const Tensor from = v.view(p->offset, p->shape), to = result.view(p->offset, p->shape);
    if (terms.rule == LossTerms::Decay::squared) {
      add_scaled_(to, from, terms.decay);
      continue;
    }
    // d2 |w| = (I - u u') / |w| along u = w / |w|
    const Tensor w = p->value.detach();
    const double squares = inner_product(w, w), length = std::sqrt(squares);
    if (length == 0) continue;
    add_scaled_(to, from, terms.decay / length);
    add_scaled_(to, w, -terms.decay * inner_product(w, from) / (length * squares));
  }
  return result;
}

BatchHessian::BatchHessian(const Model& model, const LossBatch& batch, const LossTerms& terms)
    : model_(&model), terms_(terms) {
  RecordGuard record(true);
  ContextGuard mode({.training = false, .compute = model.options().dtype});
  const Tensor loss = batch.cross_entropy_of(model(batch.images), terms.smoothing);
  loss_ = loss.item() + decay_loss(model.store(), terms);
  check_finite(model, std::span(&loss_, 1), "values of its loss");
  gradients_ = grad(loss, leaves(model), {.create_graph = true, .allow_unused = true});
}

Tensor BatchHessian::gradient() const {
  Tensor result = flattened(model_->store(), gradients_);
  add_(result, decay_gradient(model_->store(), terms_));
  return result;
}

Tensor BatchHessian::times(const Tensor& v) const {
  const ParameterStore& store = model_->store();
  CHECK(
      v.rank() == 1 && v.numel() == store.parameter_count() && v.dtype() == store.values().dtype(),
      "hessian: the vector is ", v, " for ", store.values(), " of parameters");
  Tensor result = decay_hessian_times(store, terms_, v);
  RecordGuard record(true);
  const std::vector<ParameterRef> of = variables(store);
  Tensor inner;  // <gradient, v>
  for (size_t i = 0; i < gradients_.size(); ++i) {
    if (!gradients_[i].tracked()) continue;
    const Parameter& p = *of[i];
    const Tensor term = summed_product(gradients_[i], v.view(p.offset, p.shape));
    inner = inner ? inner + term : term;
  }
  if (!inner) return result;
  const std::vector<Tensor> products =
      grad(inner, leaves(*model_), {.retain_graph = true, .allow_unused = true});
  add_(result, flattened(store, products));
  if (!all_finite(result)) throw NotFinite(*model_, "products with its Hessian are not finite");
  return result;
}

SymmetricMap BatchHessian::map() const {
  const Tensor& values = model_->store().values();
  return {values.numel(), values.dtype(), [this](const Tensor& v) { return times(v); },
          values.device()};
}

SymmetricMap hessian_over(const Model& model, const LossBatches& batches, const LossTerms& terms,
                          const Progress& progress, int64_t expected_products) {
  LossTerms plain = terms;
  plain.decay = 0;
  auto done = std::make_shared<int64_t>(0);
  const auto times = [=, &model](const Tensor& v) {
    Tensor total = decay_hessian_times(model.store(), terms, v);
    const auto n = static_cast<double>(batches.indices.size());
    const OwnPart part(batches.count());
    Tensor own = part.split ? Tensor::zeros_like(total) : total;
    part.run({&model}, [&] {
      for (int64_t i = part.begin; i < part.end; ++i) {
        const LossBatch batch = batches.batch(i);
        const double share = static_cast<double>(batch.labels.numel()) / n;
        add_scaled_(own, BatchHessian(model, batch, plain).times(v), share);
        progress(++*done, expected_products * (part.end - part.begin), "products");
      }
    });
    if (!part.split) return total;
    part.join(own);
    add_(total, own);
    return total;
  };
  const Tensor& values = model.store().values();
  return {values.numel(), values.dtype(), times, values.device()};
}

std::vector<double> kernel_density(const std::vector<double>& samples,
                                   const std::vector<double>& points) {
  CHECK(!samples.empty(), "kernel density: no samples");
  const auto n = static_cast<double>(samples.size());
  double mean = 0, squares = 0, largest = 0;
  for (const double x : samples) mean += x / n, largest = std::max(largest, std::abs(x));
  for (const double x : samples) squares += (x - mean) * (x - mean);
  const double spread = n > 1 ? std::sqrt(squares / (n - 1)) * std::pow(n, -0.2) : 0;
  const double width = std::max(spread, largest > 0 ? 1e-3 * largest : 1e-3);
  std::vector<double> result;
  for (const double point : points) {
    double total = 0;
    for (const double x : samples)
      total += std::exp(-(point - x) * (point - x) / (2 * width * width));
    result.push_back(total / (n * width * std::sqrt(2 * std::numbers::pi)));
  }
  return result;
}

SpectrumSummary summary_of(const std::vector<double>& eigenvalues) {
  double negative = 0, positive = 0, total = 0;
  for (const double value : eigenvalues) {
    negative += value < 0;
    positive += value > 0;
    total += std::max(value, 0.0);
  }
  const auto n = static_cast<double>(eigenvalues.size());
  return {n > 0 ? negative / n : 0, positive > 0 ? total / positive : 0};
}

}  // namespace passband
