// Gives the device a batch and a step's work, and collects what comes back.
#include "train/training_step.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "models/layer_decay.h"
#include "models/parameter_groups.h"
#include "models/update_rule.h"
#include "models/whitening.h"
#include "nn/context.h"
#include "tensor/core/batch_parts.h"
#include "tensor/core/timeline.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/gather.h"
#include "tensor/ops/interpolate.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/training/score.h"

namespace passband {
namespace {

// The learning rates of batch norms' biases; what these lose by weight decay stays as it is.
void scale_biases(OptimizerOptions& options, const ParameterStore& store, double scale) {
  const std::vector<bool> biases = batch_norm_biases(store);
  options.lr_scales.resize(biases.size(), 1);
  options.decay_scales.resize(biases.size(), 1);
  for (size_t i = 0; i < biases.size(); ++i) {
    if (!biases[i]) continue;
    options.lr_scales[i] *= scale;
    options.decay_scales[i] = scale > 0 ? 1 / scale : 0;
  }
}

// What it loses by weight decay at its peak is what the others lose at theirs.
void set_whiten_bias_apart(OptimizerOptions& options, const RunSettings& config,
                           const Model& model) {
  const ParameterRef bias = bias_of_first_convolution(model);
  if (!bias) return;
  options.apart = &*bias;
  options.decay_scales.resize(model.store().parameters().size(), 1);
  const double lr = std::visit([](const auto& rule) { return rule.lr; }, update_rule(config));
  for (size_t i = 0; i < options.decay_scales.size(); ++i)
    if (&*model.store().parameters()[i] == options.apart)
      options.decay_scales[i] = lr / config.whiten_bias_lr;
}

}  // namespace

OptimizerOptions optimizer_options(const RunSettings& config, const Model& model,
                                   WeightAverage* average) {
  const ParameterStore& store = model.store();
  OptimizerOptions options{
      .clip_norm = config.clip_grad, .decay_all = config.decay_all, .average = average};
  if (config.layer_decay < 1) options.lr_scales = layer_scales(store, config.layer_decay);
  if (config.bias_lr_scale != 1) scale_biases(options, store, config.bias_lr_scale);
  if (config.whiten && config.whiten_bias_lr > 0) set_whiten_bias_apart(options, config, model);
  if (config.opt == OptimizerKind::lars || config.opt == OptimizerKind::lamb)
    options.layerwise = {.trust = config.lars_trust};
  if (config.opt == OptimizerKind::muon) {
    options.muon = {.lr = config.muon_lr,
                    .momentum = config.muon_momentum,
                    .steps = config.muon_steps,
                    .rescale = config.muon_rescale,
                    .weight_decay = config.muon_weight_decay,
                    .products = compute_type(config, store.values().device())};
    options.matrices = hidden_matrices(store);
  }
  return options;
}

TrainingStep::TrainingStep(const RunSettings& config, Model& model, Optimizer& optimizer,
                           Device device, const BatchSource& source, Proxy* proxy)
    : config_(config),
      model_(model),
      optimizer_(optimizer),
      device_(device),
      source_(source),
      proxy_(proxy),
      compute_(compute_type(config, device)),
      soft_(config.mixup > 0 || config.cutmix > 0 || config.bce_loss),
      image_upload_(device),
      label_upload_(device),
      side_(model.options().image_size),
      score_(empty_score(device)),
      momentum_(config.momentum) {
  if (compute_ == DType::bf16 && device.is_cuda()) model.store().keep_half();
  if (config.opt == OptimizerKind::sam) ascent_.emplace(model.store(), config.sam_rho);
  if (process_count() == 1) return;
  exchange_.emplace(model.store());
  if (device.is_cuda()) {
    report_table_ = Tensor::zeros({process_count(), kReportWidth}, DType::f64, device);
    own_report_ = Tensor::zeros({2}, DType::f64, device);
    report_upload_.emplace(device);
  } else {
    buffers_before_ = Tensor::empty_like(model.store().buffer_values());
  }
  met_ = std::chrono::steady_clock::now();
}

void TrainingStep::set_momentum(double momentum) {
  steady_ = momentum == momentum_;
  momentum_ = momentum;
  optimizer_.set_momentum(momentum);
  if (proxy_) proxy_->set_momentum(momentum);
}

void TrainingStep::record_anew() {
  for (std::unique_ptr<Recording>& recording : recordings_)
    if (recording) recording = make_recording(device_);
}

void TrainingStep::settle_whitening(double epochs) {
  if (!config_.whiten) return;
  const double left = 1 - epochs / config_.whiten_bias_epochs;
  optimizer_.set_rate_apart(config_.whiten_bias_lr * std::max(0.0, left));
  if (epochs < config_.whiten_bias_epochs) return;
  if (const ParameterRef bias = bias_of_first_convolution(model_)) freeze(*bias);
}

void TrainingStep::freeze(const Parameter& parameter) {
  if (parameter.frozen) return;
  model_.store().freeze([&](const Parameter& p) { return &p == &parameter; });
  optimizer_.refresh_frozen();
  record_anew();
}

void TrainingStep::set_side(int64_t side) {
  if (side == side_) return;
  side_ = side;
  shown_ = {};
  record_anew();
}

// The tables of a scaling are made on the host, so it is no part of a recording.
void TrainingStep::scale_images() {
  if (side_ == images_.size(1)) {
    shown_ = images_;
    return;
  }
  const NoGrad no_graph;
  const Tensor scaled = interpolate(images_, side_, {.antialias = true});
  if (shown_ && shown_.shape() == scaled.shape()) copy_(shown_, scaled);
  else shown_ = scaled;
}

// A batch of another size gets other memory, and a recording reads the batch where it was.
void TrainingStep::allocate(const Batch& batch) {
  const int64_t n = batch.size, size = model_.options().image_size;
  if (images_ && images_.size(0) == n) return;
  images_ =
      source_.pictures || device_.is_cuda()
          ? Tensor::empty({n, size, size, 3}, source_.pictures ? compute_ : DType::f32, device_)
          : batch.images;
  labels_ = Tensor::empty({n}, DType::i32, device_);
  if (soft_) targets_ = Tensor::empty({n, model_.options().classes}, DType::f32, device_);
  if (config_.graph && device_.is_cuda())
    for (std::unique_ptr<Recording>& recording : recordings_) recording = make_recording(device_);
}

void TrainingStep::bring_images(const Batch& batch, const Mixing& mixing) {
  if (source_.pictures) {
    const RandomKey key = augment_key(static_cast<uint64_t>(config_.seed), batch.epoch);
    return source_.pictures->make_batch(images_, batch.indices, source_.crop, key, mixing);
  }
  mix(batch.images, mixing);
  if (device_.is_cuda()) image_upload_(images_, batch.images);
  else images_ = batch.images;
}

void TrainingStep::bring_answers(const Batch& batch, const Mixing& mixing) {
  Tensor host = Tensor::empty(labels_.shape(), DType::i32);
  std::copy(batch.labels.begin(), batch.labels.end(), host.data<int32_t>());
  label_upload_(labels_, host);
  if (soft_) mix_targets(targets_, labels_, mixing.label_weight, config_.smoothing);
}

Tensor TrainingStep::loss_of(const Tensor& logits, const Tensor& labels,
                             const Tensor& targets) const {
  if (!soft_) return cross_entropy(logits, labels, config_.smoothing);
  if (!config_.bce_loss) return soft_cross_entropy(logits, targets);
  if (config_.bce_target_thresh == 0) return binary_cross_entropy(logits, targets);
  return binary_cross_entropy(logits, relu(sign(add(targets, -config_.bce_target_thresh))));
}

TrainingStep::Lesson TrainingStep::choose_lesson(uint64_t step) {
  if (!proxy_) return {shown_, labels_, targets_};
  const Tensor rows = proxy_->choose(shown_, labels_, step);
  return {gather(shown_, rows), gather(labels_, rows), {}};
}

// Of the gradients that become whole in a backward pass, after which nothing is added to them where
// it is the last one. Nothing where nobody has to hear; on a GPU, times of the host say nothing of
// single gradients.
WholeGradient TrainingStep::listener(bool last) {
  const bool timed = recording_timeline() && !device_.is_cuda();
  if (!timed && !(exchange_ && last)) return {};
  return [this, timed, last, begin = timeline_now()](const Tensor& memory) mutable {
    const Tensor all = model_.store().gradients();
    if (timed) add_span(Activity::gradient, memory.data<float>() - all.data<float>(), begin);
    if (exchange_ && last) exchange_->whole(memory);
    if (timed) begin = timeline_now();
  };
}

// In as many parts as settings ask for, each with random numbers of its own; of several processes,
// the sum of theirs. Losses weigh as much as they have pictures.
void TrainingStep::add_gradients(const Lesson& lesson, uint64_t step, bool scored) {
  const int64_t parts = config_.grad_accum_steps, rows = lesson.images.size(0) / parts;
  const int64_t of_all = exchange_ ? source_.share.whole * parts : lesson.images.size(0);
  const double weight = static_cast<double>(rows) / static_cast<double>(of_all);
  const BatchPartsGuard cut(config_.deterministic && !device_.is_cuda()
                                ? parts_of_batch(of_all / parts, process_count())
                                : BatchParts{});
  if (exchange_) exchange_->begin();
  const auto part_of = [&](const Tensor& whole, int64_t part) {
    if (parts == 1 || !whole) return whole;
    Shape shape = whole.shape();
    shape[0] = rows;
    return whole.view(part * rows * whole.numel() / whole.size(0), shape);
  };
  for (int64_t part = 0; part < parts; ++part) {
    constexpr uint64_t kOther = 0x9E3779B97F4A7C15ull;
    ContextGuard mode({.training = true,
                       .seed = static_cast<uint64_t>(config_.seed) + kOther * part,
                       .step = step,
                       .share = source_.share,
                       .compute = compute_});
    const Tensor labels = part_of(lesson.labels, part);
    const auto [logits, loss] = [&] {
      const SpanTimer timer(Activity::forward);
      const Tensor outputs = model_(part_of(lesson.images, part));
      return std::pair(outputs, loss_of(outputs, labels, part_of(lesson.targets, part)));
    }();
    if (scored) add_to_score(score_, loss.detach(), logits.detach(), labels);
    const SpanTimer timer(Activity::backward);
    backward(weight == 1 ? loss : mul(loss, weight), {}, listener(part + 1 == parts));
  }
  if (exchange_) exchange_->finish();
}

// Before anything is changed: a step that went wrong in one process is none in any.
void TrainingStep::meet_others() {
  const SpanTimer waiting(Activity::report_wait);
  const Score own = read_score(score_.data<double>());
  const double since =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - met_).count();
  reports_ = exchange_reports({.loss = own.loss_sum / own.rows,
                               .seconds = std::max(0.0, since - take_waiting_seconds()),
                               .signal = signal_},
                              score_);
  take_waiting_seconds();
  met_ = std::chrono::steady_clock::now();
}

// What is to be told of the step by its beginning; the rest of it may be recorded.
void TrainingStep::bring_own_report() {
  if (!report_upload_) return;
  const auto now = std::chrono::steady_clock::now();
  const double since = std::chrono::duration<double>(now - met_).count();
  const double seconds = std::max(0.0, since - take_waiting_seconds());
  met_ = now;
  (*report_upload_)(own_report_,
                    Tensor::from({seconds, static_cast<double>(signal_)}, {2}, DType::f64));
}

void TrainingStep::meet_others_on_device() {
  constexpr int64_t kScore = kReportWidth - 2;
  const int64_t row = process_rank() * kReportWidth;
  fill_(report_table_, 0);
  copy_(report_table_.view(row, Shape{kScore}), score_);
  copy_(report_table_.view(row + kScore, Shape{2}), own_report_);
  sum_over_processes(report_table_);
}

void TrainingStep::undo() {
  if (!exchange_ || device_.is_cuda()) return;
  if (climbed_) ascent_->climb_back();
  climbed_ = false;
  if (buffers_before_ && buffers_before_.numel() > 0)
    copy_(model_.store().buffer_values(), buffers_before_);
}

// What a recording holds.
void TrainingStep::work(uint64_t step) {
  const Lesson lesson = choose_lesson(step);
  model_.store().zero_gradients();
  fill_(score_, 0);
  add_gradients(lesson, step, /*scored=*/true);
  if (report_table_) meet_others_on_device();
  else if (exchange_) meet_others();
  if (first_nonfinite(reports_) >= 0) return;
  if (ascent_) {
    ascent_->climb();
    climbed_ = true;
    add_gradients(lesson, step, /*scored=*/false);
    ascent_->climb_back();
    climbed_ = false;
  }
  const SpanTimer timer(Activity::optimiser);
  optimizer_.update();
}

void TrainingStep::run(const Batch& batch, int64_t step, double lr, int signal) {
  signal_ = signal;
  if (buffers_before_ && buffers_before_.numel() > 0)
    copy_(buffers_before_, model_.store().buffer_values());
  const int64_t size = model_.options().image_size;
  const MixingOptions options{config_.mixup, config_.cutmix, config_.mixup_prob,
                              config_.mixup_switch_prob};
  const Mixing mixing = draw_mixing(
      size, size, options,
      {static_cast<uint64_t>(config_.seed), static_cast<uint64_t>(step), site_of("mixing")});
  allocate(batch);
  bring_images(batch, mixing);
  scale_images();
  bring_answers(batch, mixing);
  bring_own_report();
  model_.store().refresh_half();
  const auto number = static_cast<uint64_t>(step);
  optimizer_.begin(lr);
  if (proxy_) proxy_->begin(number, lr);
  const auto work = [&] { this->work(number); };
  Recording* recording = recordings_[proxy_ && proxy_->learns_at(number) ? 1 : 0].get();
  if (recording && steady_) recording->run(work);
  else work();
  optimizer_.end();
  if (proxy_) proxy_->end(number);
  pending_.push_back({{.step = step, .lr = lr, .reports = reports_},
                      Download(report_table_ ? report_table_ : score_)});
}

// Processes must hear of one step at one time, or they would not stop at the same one: each waits
// for what is some steps old.
bool TrainingStep::has_arrived(bool wait) {
  constexpr size_t kStepsBehind = 2;
  if (!report_table_) return wait || pending_.front().score.arrived();
  if (!wait && pending_.size() <= kStepsBehind) return false;
  wait_with_processes([&] { return pending_.front().score.arrived(); });
  return true;
}

std::optional<StepResult> TrainingStep::next_result(bool wait) {
  if (pending_.empty()) return {};
  if (!has_arrived(wait)) return {};
  const Pending& oldest = pending_.front();
  StepResult result = oldest.known;
  Score score;
  if (report_table_) {
    ReportTable table = read_table(oldest.score.data<double>());
    result.reports = std::move(table.reports);
    score = table.score;
  } else {
    score = read_score(oldest.score.data<double>());
  }
  result.loss = score.loss_sum / score.rows;
  result.correct = std::llround(score.top1);
  result.images = std::llround(score.rows);
  pending_.pop_front();
  if (!std::isfinite(result.loss)) {
    const int culprit = first_nonfinite(result.reports);
    double loss = culprit < 0 ? result.loss : result.reports[static_cast<size_t>(culprit)].loss;
    if (std::isnan(loss)) loss = std::abs(loss);
    throw NonFiniteLoss(fmt::format(
        "the loss became {} at step {}{} (lr {:.4g}): lower --lr or set --clip-grad 1", loss,
        result.step + 1, culprit < 0 ? "" : " in " + process_name(culprit), result.lr));
  }
  return result;
}

}  // namespace passband
