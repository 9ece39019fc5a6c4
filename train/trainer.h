// The training loop.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "data/loader.h"
#include "nn/lookahead.h"
#include "nn/optimizer.h"
#include "train/config.h"
#include "train/progress_line.h"
#include "train/run_writer.h"
#include "train/schedule.h"
#include "train/signals.h"
#include "train/step_profile.h"
#include "train/time_budget.h"
#include "train/time_left.h"
#include "train/training_step.h"

namespace passband {

struct TrainResult {
  Evaluation last;  // of the weights at the end, on the pictures that choose the best ones
  // Of the best weights on the test pictures, where others chose them: once, at the end.
  std::optional<Evaluation> test;
  double best_top1 = 0;
  double best_tta = -1;  // of the same weights, over views; -1: not asked for
  int64_t best_epoch = 0, epoch = 0, step = 0;
  double seconds = 0;  // of training, evaluation not counted
  double images_per_second = 0;
  int signal = 0;  // what stopped it, 0 = it ran to its end
};

class Trainer {
 public:
  // Makes all that training needs, and checks it, but writes nothing. The weights begin as the
  // settings say, unless `resumes`: then restore() follows. `data` must outlive the trainer.
  Trainer(const RunSettings& settings, const DataSplits& data, bool resumes = false);
  // Takes over what a run saved.
  void restore(const std::filesystem::path& run);
  // Learns what steps and evaluations take, in a small share of `budget` seconds of training. After
  // this a trainer is spent.
  TrainingPace measure_pace(double budget, const StopSignals& signals);
  // Ends the training when the budget does, as far as the end of the warm-up, or a stop before it,
  // can tell: then the number of epochs is set once more.
  void keep_to(const TimeBudget& budget);
  // Where run() writes; of several processes, the first one alone does.
  void write_to(RunWriter writer);
  // Where that one writes.
  void belongs_to(const std::filesystem::path& run) { directory_ = run; }

  // Called on the first process after each evaluation, with the weights that were evaluated; must
  // leave them as they are.
  void watched_by(std::function<void(const Model& model, int64_t epoch)> watcher) {
    watcher_ = std::move(watcher);
  }
  // Writes profile.json into the run's directory; all processes call it.
  void record_profile(int64_t steps);
  // The pictures that choose the best weights.
  const Dataset& judges() const { return has_val() ? data_.val : data_.test; }

  // Throws NonFiniteLoss; ProcessLost, after what can be saved has been.
  TrainResult run(const StopSignals& signals, ProgressLine& progress);

  const std::filesystem::path& directory() const { return directory_; }
  const Model& model() const { return *model_; }
  // How the weights began, a line each.
  const std::vector<std::string>& notes() const { return notes_; }
  Device device() const { return device_; }
  const TrainState& state() const { return state_; }
  int64_t steps_per_epoch() const { return loader_->batches_per_epoch(); }
  int64_t batch_size() const { return batch_size_; }
  bool finished() const { return state_.step >= last_step_; }

 private:
  // Steps and evaluations, until the end or a signal.
  void train(const StopSignals& signals, ProgressLine& progress, TrainResult& result);
  double take_step(double lr, const StopSignals& signals);
  const Batch& next_batch();
  // The signal that stops all processes, or 0.
  int stopped_by(const StopSignals& signals) const;
  // All processes begin with the weights of the first.
  void share_beginning();
  // Statistics of batch norms, of which each process has its own.
  void share_buffers();
  // Saves, once a process is lost, what the others have; the error with where to go on.
  ProcessLost rescued(const ProcessLost& lost);
  // Adds up and logs the steps that have come back from the device; `wait` for all.
  void account(bool wait);
  void finish_epoch(ProgressLine& progress, TrainResult& result);
  // What the steps until `end` cost, on average, beside those on pictures of full size.
  double cost_until(int64_t end) const;
  // By the budget.
  void set_length(ProgressLine& progress);
  Evaluation evaluate_and_keep_best(int64_t epoch);
  Evaluation test_best_weights();
  bool has_val() const { return data_.val.count > 0; }
  void save_when_due(ProgressLine& progress);
  int64_t evaluated_pictures() const;
  int64_t pictures_still_to_evaluate() const;
  TrainParts parts();
  void save();
  void keep_checkpoint(int64_t epoch);
  void show(int64_t epoch);
  ProgressState progress_state(double lr) const;

  RunSettings config_;
  const DataSplits& data_;
  Device device_;
  std::unique_ptr<Model> model_;
  std::vector<std::string> notes_;
  std::optional<WeightAverage> average_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<Lookahead> lookahead_;
  std::unique_ptr<Proxy> proxy_;
  // where they stay on the device
  std::unique_ptr<ResidentPictures> train_pictures_, test_pictures_;
  std::unique_ptr<TrainingStep> step_;
  std::unique_ptr<BatchLoader> loader_;
  std::optional<RunWriter> writer_;
  std::filesystem::path directory_;
  std::function<void(const Model&, int64_t)> watcher_;
  std::unique_ptr<StepProfile> profile_;
  RankTimes rank_times_;
  int agreed_signal_ = 0;  // of several processes
  Schedule schedule_;
  TimeLeft time_left_;
  std::optional<TimeBudget> budget_;  // until it has set the number of epochs
  TrainState state_;
  int64_t batch_size_ = 0;
  int64_t last_step_ = 0;       // where this call stops
  int64_t first_step_ = 0;      // where this call began
  double session_seconds_ = 0;  // trained in this call
  std::chrono::steady_clock::time_point last_save_{};
};

}  // namespace passband
