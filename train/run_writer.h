// Writes a run directory (see models/run.h for its files). Every file is replaced whole or appended
// line by line.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "models/weights.h"
#include "nn/lookahead.h"
#include "nn/optimizer.h"
#include "train/config.h"
#include "train/proxy.h"
#include "train/run_lock.h"
#include "train/run_log.h"

namespace passband {

// What --resume needs beside the tensors.
struct TrainState {
  int64_t step = 0;                          // optimiser steps taken
  int64_t epoch = 0, batch = 0;              // position of the next batch
  double epoch_loss = 0, epoch_correct = 0;  // sums over the pictures of the running epoch
  int64_t epoch_images = 0;
  double best_top1 = -1;
  double best_tta = -1;  // over views, of the weights that are best without; -1: not asked for
  int64_t best_epoch = 0, best_count = 0;  // when, and on how many test pictures
  double seconds = 0;                      // of training, evaluation not counted
};

// What changes while a network trains; the last three may be null.
struct TrainParts {
  Model& model;
  Optimizer& optimizer;
  WeightAverage* average = nullptr;
  Lookahead* lookahead = nullptr;
  Proxy* proxy = nullptr;
};

class RunWriter {
 public:
  // Makes <parent>/<YYYYmmdd-HHMMSS>-<model>-<data>/ (a number is added when it exists) with its
  // config.toml, at once, and points runs/last at it. Throws Error when the directory can not be
  // made.
  static RunWriter create(const std::filesystem::path& parent, const RunConfig& config);
  // Goes on with an existing run, on which the caller holds the lock, after `state`; config.toml
  // becomes `config`.
  static RunWriter reopen(const std::filesystem::path& run, RunLock lock, const RunConfig& config,
                          const TrainState& state);

  // Puts another number of epochs into config.toml.
  void set_epochs(double epochs);

  const std::filesystem::path& directory() const { return directory_; }
  RunLog& log() { return log_; }

  void save_checkpoint(const TrainParts& parts, const TrainState& state);
  // As one of the weights along the run: see checkpoints() in models/run.h.
  void keep_checkpoint(const Model& model, int64_t epoch);
  void save_best(const Model& model, const Metadata& metadata);

 private:
  RunWriter(std::filesystem::path directory, RunLock lock, RunLog log, RunConfig config);

  std::filesystem::path directory_;
  RunLock lock_;
  RunLog log_;
  RunConfig config_;
};

// Reads what save_checkpoint wrote into the parts. Throws DataError naming the file, or saying that
// the run was stopped before its first save.
TrainState load_checkpoint(const std::filesystem::path& run, const TrainParts& parts);

}  // namespace passband
