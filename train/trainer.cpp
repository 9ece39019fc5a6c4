#include "train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <iterator>

#include "models/update_rule.h"
#include "tensor/core/collective.h"
#include "tensor/core/kernel_source.h"
#include "tensor/core/tensor_sums.h"
#include "tensor/core/text.h"
#include "tensor/device_choice.h"
#include "tensor/ops/pointwise.h"
#include "train/beginning.h"
#include "train/say.h"
#include "train/shared_weights.h"

namespace passband {
namespace {

// The batches of all processes are one, of which a step takes as many as it has parts. One that is
// larger than the training set is as large as that, for rates by the picture too.
RunSettings with_whole_batches(RunSettings config, const Dataset& train) {
  const int64_t parts = config.grad_accum_steps;
  if (train.count < parts)
    throw UsageError(fmt::format("grad_accum_steps: {} parts of a step are more than the {}", parts,
                                 counted(train.count, "training picture")));
  config.batch_size = std::min(config.batch_size * config.processes, train.count / parts);
  config.processes = 1;
  return config;
}

// What this process takes of a batch of all.
BatchShare own_share(const RunSettings& whole) {
  const int processes = process_count();
  if (processes == 1) return {};
  if (whole.batch_size / 2 < processes)
    throw UsageError(fmt::format(
        "processes: {} share batches of {} by pairs of pictures, so some would have none; start "
        "{} at most",
        processes, counted(whole.batch_size, "picture"),
        std::max<int64_t>(1, whole.batch_size / 2)));
  return share_of_batch(whole.batch_size, process_rank(), processes);
}

void check_for_processes(const RunSettings& whole, Device device) {
  if (process_count() > 1 && whole.select_hard < 1)
    throw UsageError(
        "select_hard: the proxy chooses from the whole batch, of which each of several processes "
        "has a part; start one process");
  if (process_count() > 1 && device.is_cuda() && whole.sync_bn)
    throw UsageError(
        "sync_bn: statistics of several processes are found on the processor alone; leave it out, "
        "or add --device cpu");
}

LoaderOptions loader_options(const RunSettings& config, int64_t image_size, const Dataset& train) {
  LoaderOptions options;
  options.parts = config.grad_accum_steps;
  options.batch_size = config.batch_size * options.parts;
  options.share = own_share(config);
  options.image_size = image_size;
  options.drop_last = true;
  options.augment = augment_options(config, train.height, image_size);
  options.seed = static_cast<uint64_t>(config.seed);
  options.shuffle_buffer = config.shuffle_buffer;
  return options;
}

void check_sides(const RunSettings& config, const Model& model) {
  const int64_t least = config.progressive_resize, full = model.options().image_size;
  if (least == 0 || (least >= model.least_side() && least <= full)) return;
  if (model.least_side() == full)
    throw UsageError(fmt::format("progressive_resize: {} takes pictures of {} pixels alone",
                                 model.name(), full));
  throw UsageError(
      fmt::format("progressive_resize: {} is outside {} to {}, the sides that {} takes", least,
                  model.least_side(), full, model.name()));
}

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Puts averaged weights into the model for a scope.
class SwappedWeights {
 public:
  SwappedWeights(ParameterStore& store, const WeightAverage& average) : store_(store) {
    swap(store.values(), average.values, values_);
    if (store.buffer_values().defined()) swap(store.buffer_values(), average.buffers, buffers_);
  }
  ~SwappedWeights() {
    copy_(store_.values(), values_);
    if (buffers_.defined()) copy_(store_.buffer_values(), buffers_);
  }
  SwappedWeights(const SwappedWeights&) = delete;
  SwappedWeights& operator=(const SwappedWeights&) = delete;

 private:
  static void swap(const Tensor& own, const Tensor& other, Tensor& kept) {
    kept = Tensor::empty_like(own);
    copy_(kept, own);
    copy_(own, other);
  }
  ParameterStore& store_;
  Tensor values_, buffers_;
};

}  // namespace

Trainer::Trainer(const RunSettings& config, const DataSplits& data, bool resumes)
    : config_(with_whole_batches(config, data.train)),
      data_(data),
      device_(choose_device(config.device)) {
  const RunConfig run{.settings = config,
                      .image_size = dataset_info(dataset_request(config)).height,
                      .data = {.classes = data.train.classes}};
  model_ = make_model(config.model, run.model_options());
  notes_ = notes_on_form(config, *model_, data.train.height);
  if (!resumes) {
    std::ranges::move(begin_weights(config, data.train.classes, *model_),
                      std::back_inserter(notes_));
    whiten_as_settings_say(config, data.train, *model_);
  }
  freeze_weights(config, *model_, notes_);
  check_sides(config, *model_);
  check_for_processes(config_, device_);
  model_->store().batch_norms().synchronised = config.sync_bn;
  model_->to(device_);
  join_devices(device_);
  allow_tf32(config.precision == "tf32");
  set_conv_kernels(kernel_source_here(kernel_source_from(config.conv), device_));
  set_product_kernels(kernel_source_here(kernel_source_from(config.matmul), device_));
  if (config.model_ema) average_.emplace(model_->store(), config.model_ema_decay);
  optimizer_ = std::make_unique<Optimizer>(
      model_->store(), update_rule(config_),
      optimizer_options(config_, *model_, average_ ? &*average_ : nullptr));
  if (config_.lookahead) lookahead_.emplace(model_->store());
  if (config_.select_hard < 1) {
    proxy_ = std::make_unique<Proxy>(config_, data.train, model_->options(), device_);
    check_sides(config_, proxy_->model());
  }
  const int64_t size = model_->options().image_size;
  LoaderOptions stream = loader_options(config_, size, data.train);
  batch_size_ = stream.batch_size;
  check_augmentation(data.train, stream.augment, size);
  if (!made_on_host(stream.augment))
    train_pictures_ = ResidentPictures::upload(data.train, device_);
  test_pictures_ = ResidentPictures::upload(judges(), device_);
  stream.pixels = !train_pictures_;
  const BatchSource source{train_pictures_.get(), crop_options(data.train, stream.augment, size),
                           stream.share};
  step_ =
      std::make_unique<TrainingStep>(config_, *model_, *optimizer_, device_, source, proxy_.get());
  loader_ = std::make_unique<BatchLoader>(data.train, stream);
  schedule_ = schedule_of(config_, loader_->batches_per_epoch());
  last_step_ =
      config.steps > 0 ? std::min(config.steps, schedule_.total_steps) : schedule_.total_steps;
}

void Trainer::restore(const std::filesystem::path& run) {
  state_ = load_checkpoint(run, parts());
  const int64_t per_epoch = loader_->batches_per_epoch();
  if (state_.batch >= per_epoch || state_.step != state_.epoch * per_epoch + state_.batch)
    throw DataError(fmt::format(
        "{}: step {} is not batch {} of epoch {} with {} steps an epoch; "
        "its state is damaged, or the pictures are others",
        (run / "optim.safetensors").string(), state_.step, state_.batch, state_.epoch, per_epoch));
  loader_->seek({state_.epoch, state_.batch});
  first_step_ = state_.step;
}

TrainingPace Trainer::measure_pace(double budget, const StopSignals& signals) {
  constexpr double kShare = 0.02, kMost = 0.06, kLongest = 3;  // of the budget; seconds
  const int64_t untimed = device_.is_cuda() ? 3 : 1;  // the first steps find memory, and record
  TrainingPace pace;
  double timed = 0;
  for (int64_t step = 0; !signals.requested_anywhere(); ++step) {
    double took = seconds_of([&] {
      step_->run(loader_->next(), step, schedule_.at(step));
      step_->next_result(/*wait=*/true);
    });
    broadcast(&took, sizeof took);
    const int64_t count = std::max<int64_t>(0, step + 1 - untimed);
    if (count > 0) timed += took;
    pace.seconds += took;
    pace.step_seconds = count > 0 ? timed / static_cast<double>(count) : took;
    if (count >= 2 && timed >= std::min(kShare * budget, kLongest)) break;
    if (pace.seconds + took > kMost * budget) break;
  }
  pace.step_seconds *= cost_until(schedule_.total_steps);
  const EvaluationOptions few{.pictures = batch_size_,
                              .batch_size = config_.eval_batch_size,
                              .compute = compute_type(config_, device_),
                              .tta = config_.tta,
                              .resident = test_pictures_.get()};
  int64_t pictures = 0;
  double took = seconds_of([&] { pictures = evaluate(*model_, judges(), few).count; });
  broadcast(&took, sizeof took);
  pace.evaluation_seconds = took / static_cast<double>(pictures);
  return pace;
}

void Trainer::keep_to(const TimeBudget& budget) {
  budget_ = budget;
  state_.seconds = budget.pace.seconds;
  time_left_.evaluated(1, budget.pace.evaluation_seconds);
}

double Trainer::cost_until(int64_t end) const {
  if (config_.progressive_resize == 0) return 1;
  return mean_area(end, schedule_.total_steps, config_.progressive_resize,
                   model_->options().image_size);
}

// Up to the end of the warm-up, no learning rate depends on the number of epochs.
void Trainer::set_length(ProgressLine& progress) {
  broadcast(&session_seconds_, sizeof session_seconds_);
  broadcast(&state_.seconds, sizeof state_.seconds);
  const int64_t done = state_.step - first_step_;
  const double growth = cost_until(schedule_.total_steps) / cost_until(state_.step);
  const double step_seconds = growth * session_seconds_ / static_cast<double>(done);
  const double before = state_.seconds - session_seconds_;
  last_step_ = std::max(schedule_.warmup_steps + 1,
                        first_step_ + steps_within(budget_->seconds - before, step_seconds));
  config_.epochs = static_cast<double>(last_step_) / static_cast<double>(steps_per_epoch());
  schedule_ = schedule_of(config_, steps_per_epoch());
  if (writer_) writer_->set_epochs(config_.epochs);
  progress.note(fmt::format("{:.0f} pictures/s until now: {:.4g} epochs, {}, will end in time",
                            static_cast<double>(batch_size_) / step_seconds, config_.epochs,
                            counted(last_step_, "step")));
  budget_.reset();
}

void Trainer::account(bool wait) {
  while (const std::optional<StepResult> step = step_->next_result(wait)) {
    const auto images = static_cast<double>(step->images);
    state_.epoch_loss += step->loss * images;
    state_.epoch_correct += static_cast<double>(step->correct);
    state_.epoch_images += step->images;
    if (!step->reports.empty()) {
      rank_times_.add(step->reports);
      agreed_signal_ = std::ranges::max(step->reports, {}, &StepReport::signal).signal;
    }
    if (!writer_) continue;
    writer_->log().step(step->step + 1, state_.epoch + 1, step->loss,
                        static_cast<double>(step->correct) / images, step->lr);
  }
}

// A run of a few steps need not spend most of its time on evaluation.
int64_t Trainer::evaluated_pictures() const {
  constexpr int64_t kLeast = 100;
  if (config_.eval_pictures > 0) return config_.eval_pictures;
  return config_.steps > 0 ? std::max(kLeast, config_.steps * batch_size_) : 0;
}

Evaluation Trainer::evaluate_and_keep_best(int64_t epoch) {
  share_buffers();
  std::optional<SwappedWeights> averaged;
  if (average_) averaged.emplace(model_->store(), *average_);
  if (profile_) profile_->begin_evaluation();
  const Evaluation result = evaluate(*model_, judges(),
                                     {.pictures = evaluated_pictures(),
                                      .batch_size = config_.eval_batch_size,
                                      .compute = compute_type(config_, device_),
                                      .tta = config_.tta,
                                      .resident = test_pictures_.get()});
  if (profile_) profile_->end_evaluation();
  if (!std::isfinite(result.loss)) return result;
  // What few pictures say does not stand against what more of them say.
  if (result.top1 > state_.best_top1 || result.count > state_.best_count) {
    state_.best_top1 = result.top1;
    state_.best_tta = result.views ? result.views->top1 : -1;
    state_.best_count = result.count;
    state_.best_epoch = epoch;
    if (!writer_) return result;
    const KeepsOthersWaiting writing;
    writer_->save_best(
        *model_, {{"epoch", std::to_string(epoch)}, {"top1", fmt::format("{}", result.top1)}});
  }
  return result;
}

Evaluation Trainer::test_best_weights() {
  const std::unique_ptr<Model> best = make_model(model_->name(), model_->options());
  if (writer_) load_weights((directory() / "best.safetensors").string(), *best);
  broadcast_vector(best->store().values());
  broadcast_vector(best->store().buffer_values());
  best->to(device_);
  const Evaluation result = evaluate(*best, data_.test,
                                     {.pictures = evaluated_pictures(),
                                      .batch_size = config_.eval_batch_size,
                                      .compute = compute_type(config_, device_),
                                      .tta = config_.tta});
  if (writer_) writer_->log().evaluation(state_.step, state_.best_epoch, "test", result);
  return result;
}

// Weights along the run; averaged ones where the evaluation uses them.
void Trainer::keep_checkpoint(int64_t epoch) {
  if (!writer_) return;
  const KeepsOthersWaiting writing;
  std::optional<SwappedWeights> averaged;
  if (average_) averaged.emplace(model_->store(), *average_);
  writer_->keep_checkpoint(*model_, epoch);
}

void Trainer::show(int64_t epoch) {
  if (!writer_ || !watcher_) return;
  const KeepsOthersWaiting looking;
  std::optional<SwappedWeights> averaged;
  if (average_) averaged.emplace(model_->store(), *average_);
  watcher_(*model_, epoch);
}

TrainParts Trainer::parts() {
  return {*model_, *optimizer_, average_ ? &*average_ : nullptr,
          lookahead_ ? &*lookahead_ : nullptr, proxy_.get()};
}

void Trainer::save() {
  if (!writer_) return;
  const KeepsOthersWaiting writing;
  writer_->save_checkpoint(parts(), state_);
  last_save_ = std::chrono::steady_clock::now();
}

// Between evaluations, so that a kill costs minutes. What fails here is tried again; the last save
// must succeed.
void Trainer::save_when_due(ProgressLine& progress) {
  const std::chrono::duration<double> since = std::chrono::steady_clock::now() - last_save_;
  if (!writer_) return;
  if (config_.save_minutes == 0 || since.count() < 60 * config_.save_minutes) return;
  account(/*wait=*/true);
  try {
    save();
  } catch (const Error& error) {
    progress.finish();
    say(fmt::format("train: not saved: {}; training goes on, and the next save is due in {}\n",
                    error.what(), format_duration(60 * config_.save_minutes)));
    last_save_ = std::chrono::steady_clock::now();
  }
}

int64_t Trainer::pictures_still_to_evaluate() const {
  const int64_t between = config_.eval_interval * steps_per_epoch();
  const int64_t evaluations =
      last_step_ / between - state_.step / between + (last_step_ % between != 0 ? 1 : 0);
  const auto of = [&](const Dataset& pictures) {
    const int64_t wanted = evaluated_pictures();
    return wanted > 0 ? std::min(wanted, pictures.count) : pictures.count;
  };
  return evaluations * of(judges()) + (has_val() ? of(data_.test) : 0);
}

ProgressState Trainer::progress_state(double lr) const {
  const double images = static_cast<double>(std::max<int64_t>(1, state_.epoch_images));
  const int64_t steps = state_.step - first_step_;
  const SlowestRank slowest = rank_times_.slowest();
  return {.epoch = state_.epoch + 1,
          .epochs = static_cast<int64_t>(std::ceil(config_.epochs)),
          .step = state_.step,
          .steps = last_step_,
          .loss = state_.epoch_loss / images,
          .accuracy = state_.epoch_correct / images,
          .lr = lr,
          .images_per_second = static_cast<double>(steps * batch_size_) / session_seconds_,
          .seconds_left =
              time_left_.seconds(static_cast<double>((last_step_ - state_.step) * batch_size_),
                                 static_cast<double>(pictures_still_to_evaluate())),
          .slowest_rank = slowest.rank,
          .behind = slowest.behind};
}

// After the last step of an epoch, or of the run: evaluate when it is due, log, save, begin a new
// epoch's sums.
void Trainer::finish_epoch(ProgressLine& progress, TrainResult& result) {
  const bool done = finished();
  const bool whole_epoch = state_.batch == 0;
  const bool due = done || (whole_epoch && state_.epoch % config_.eval_interval == 0);
  const double images = static_cast<double>(std::max<int64_t>(1, state_.epoch_images));
  const double train_loss = state_.epoch_loss / images, lr = schedule_.at(state_.step - 1);
  const int64_t epoch = whole_epoch ? state_.epoch : state_.epoch + 1;
  if (due) {
    const double took = seconds_of([&] { result.last = evaluate_and_keep_best(epoch); });
    time_left_.evaluated(static_cast<double>(result.last.count), took);
    const char* const split = has_val() ? "val" : "test";
    if (writer_) {
      writer_->log().evaluation(state_.step, epoch, split, result.last);
      writer_->log().summary(epoch, train_loss, result.last, lr);
    }
    if (!std::isfinite(result.last.loss))
      throw NonFiniteLoss(
          fmt::format("the {} loss became {} after epoch {} (lr {:.4g}): lower --lr or set "
                      "--clip-grad 1",
                      split, result.last.loss, epoch, lr));
    const int64_t evaluated = result.last.count, of = judges().count;
    progress.note(fmt::format(
        "epoch {:3}  train loss {:.4f}  {} loss {:.4f}  top-1 "
        "{:.2f} %{}  top-5 {:.2f} %{}  after {}",
        epoch, train_loss, split, result.last.loss, 100 * result.last.top1, over_views(result.last),
        100 * result.last.top5,
        evaluated < of
            ? fmt::format(" ({} of {})", evaluated, counted(of, fmt::format("{} picture", split)))
            : "",
        format_duration(state_.seconds)));
  }
  if (whole_epoch) state_.epoch_loss = state_.epoch_correct = 0, state_.epoch_images = 0;
  if (due) save();
  if (due) show(epoch);
  const int64_t interval = config_.checkpoint_interval;
  if (interval > 0 && (done || (whole_epoch && epoch % interval == 0))) keep_checkpoint(epoch);
}

double Trainer::take_step(double lr, const StopSignals& signals) {
  return seconds_of([&] {
    step_->settle_whitening(static_cast<double>(state_.step) /
                            static_cast<double>(loader_->batches_per_epoch()));
    step_->set_side(side_at(state_.step, schedule_.total_steps, config_.progressive_resize,
                            model_->options().image_size));
    step_->set_momentum(schedule_.momentum_at(state_.step));
    step_->run(next_batch(), state_.step, lr, signals.requested());
    ++state_.step;
    if (lookahead_) lookahead_->follow(state_.step, schedule_.total_steps);
    account(/*wait=*/loader_->position().step == 0 || finished());
  });
}

void Trainer::train(const StopSignals& signals, ProgressLine& progress, TrainResult& result) {
  share_beginning();
  if (config_.checkpoint_interval > 0 && state_.step == 0) keep_checkpoint(0);
  agreed_signal_ = signals.requested_anywhere();
  // A kill of one process ends all: there is something to go on from.
  if (process_count() > 1 && state_.step == 0 && !stopped_by(signals)) save();
  while (!finished() && !stopped_by(signals)) {
    if (budget_ && schedule_.warmup_steps > 0 && state_.step == schedule_.warmup_steps)
      set_length(progress);
    const double lr = schedule_.at(state_.step);
    if (profile_) profile_->begin_step(state_.step + 1);
    const double seconds = take_step(lr, signals);
    if (profile_) profile_->end_step();
    const BatchLoader::Position next = loader_->position();
    state_.seconds += seconds;
    session_seconds_ += seconds;
    time_left_.trained(static_cast<double>(batch_size_), seconds);
    progress.update(progress_state(lr));
    state_.epoch = next.epoch;
    state_.batch = next.step;
    if (next.step == 0 || finished()) finish_epoch(progress, result);
    save_when_due(progress);
  }
  account(/*wait=*/true);
  if (profile_) profile_->end();
  const bool before_its_time = state_.step <= schedule_.warmup_steps && !finished();
  if (budget_ && state_.step > 0 && before_its_time) set_length(progress);
  progress.finish();
  result.signal = finished() ? 0 : stopped_by(signals);
  if (result.signal) save();
  else if (has_val()) result.test = test_best_weights();
}

TrainResult Trainer::run(const StopSignals& signals, ProgressLine& progress) {
  TrainResult result;
  last_save_ = std::chrono::steady_clock::now();
  add_by_fixed_tree(config_.deterministic);
  set_stall_limit(config_.stall_seconds);
  set_interruption([&signals] { return signals.requested(); });
  try {
    train(signals, progress, result);
  } catch (const ProcessLost& lost) {
    progress.finish();
    throw rescued(lost);
  }
  set_interruption({});
  result.best_top1 = state_.best_top1;
  result.best_tta = state_.best_tta;
  result.best_epoch = state_.best_epoch;
  result.epoch = state_.epoch;
  result.step = state_.step;
  result.seconds = state_.seconds;
  const auto images = static_cast<double>((state_.step - first_step_) * batch_size_);
  result.images_per_second = session_seconds_ > 0 ? images / session_seconds_ : 0;
  return result;
}

}  // namespace passband
