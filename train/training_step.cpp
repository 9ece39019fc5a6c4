// Gives the device a batch and a step's work, and collects what comes back.
#include "train/training_step.h"

#include <fmt/format.h>

#include <cmath>

#include "nn/context.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/reduce.h"
#include "train/mixing.h"

namespace passband {
namespace {

// Gives `tensor` the shape of `like`, keeping its memory when it has it already. Returns whether it had not.
bool fit(Tensor& tensor, const Tensor& like, Device device) {
  if (tensor.defined() && tensor.shape() == like.shape()) return false;
  tensor = Tensor::empty(like.shape(), like.dtype(), device);
  return true;
}

}  // namespace

TrainingStep::TrainingStep(const TrainConfig& config, Model& model, Optimizer& optimizer,
                           std::optional<WeightAverage>& average, Device device)
    : config_(config), model_(model), optimizer_(optimizer), average_(average), device_(device),
      compute_(compute_type(config, device)), mixes_(config.mixup > 0 || config.cutmix > 0), upload_(device) {
}

// Mixing happens on the host, before the copy.
void TrainingStep::upload(const Batch& batch, uint64_t step) {
  const int64_t n = batch.size, size = model_.options().image_size;
  const Tensor images = Tensor::empty({n, size, size, 3}), labels = Tensor::empty({n}, DType::i32);
  std::copy(batch.images.begin(), batch.images.end(), images.data<float>());
  std::copy(batch.labels.begin(), batch.labels.end(), labels.data<int32_t>());
  const MixingOptions options{config_.mixup, config_.cutmix, config_.mixup_prob, config_.mixup_switch_prob};
  const double weight = mix(images, options, {static_cast<uint64_t>(config_.seed), step, site_of("mixing")});
  const Tensor host = mixes_ ? mixed_targets(labels, model_.options().classes, weight, config_.smoothing) : labels;
  Tensor& answers = mixes_ ? targets_ : labels_;
  const bool other_images = fit(images_, images, device_), other_answers = fit(answers, host, device_);
  if (config_.graph && device_.is_cuda() && (other_images || other_answers))
    recording_ = make_recording(device_);  // it reads the batch where it was
  upload_(images_, images);
  upload_(answers, host);
}

void TrainingStep::pass_forward_and_back(uint64_t step) {
  ContextGuard mode(
      {.training = true, .seed = static_cast<uint64_t>(config_.seed), .step = step, .compute = compute_});
  model_.store().zero_gradients();
  loss_ = guesses_ = {};  // their memory is free again, in the rehearsal of a recording as in the recording
  const Tensor logits = model_(images_);
  const Tensor loss =
      mixes_ ? soft_cross_entropy(logits, targets_) : cross_entropy(logits, labels_, config_.smoothing);
  loss_ = loss.detach();
  guesses_ = argmax(logits.detach(), 1);
  backward(loss);
}

void TrainingStep::run(const Batch& batch, int64_t step, double lr) {
  upload(batch, static_cast<uint64_t>(step));
  const auto passes = [&] { pass_forward_and_back(static_cast<uint64_t>(step)); };
  if (recording_) recording_->run(passes);
  else passes();
  pending_.push_back({{step, 0, lr, 0, batch.size}, Download(loss_), Download(guesses_), batch.labels});
  optimizer_.step(lr);
  if (average_) average_->update(model_.store(), step);
}

std::optional<StepResult> TrainingStep::next_result(bool wait) {
  if (pending_.empty()) return {};
  const Pending& oldest = pending_.front();
  if (!wait && !oldest.guesses.arrived()) return {};
  StepResult result = oldest.known;
  result.loss = static_cast<double>(*oldest.loss.data<float>());
  const int32_t* guesses = oldest.guesses.data<int32_t>();
  for (size_t i = 0; i < oldest.labels.size(); ++i) result.correct += guesses[i] == oldest.labels[i];
  pending_.pop_front();
  if (!std::isfinite(result.loss))
    throw NonFiniteLoss(fmt::format("the loss became {} at step {} (lr {:.4g}): lower --lr or set --clip-grad 1",
                                    result.loss, result.step + 1, result.lr));
  return result;
}

}  // namespace passband
