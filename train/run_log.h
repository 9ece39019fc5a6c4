// The lines that a training adds to its run: metrics.jsonl and summary.csv. No log ends a training.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "tensor/core/checksum.h"
#include "tensor/core/file.h"
#include "train/evaluation.h"
#include "train/event_file.h"

namespace passband {

// Lines that cannot be written (a full disk) are said once, kept, and written as soon as they can
// be.
class RunLog {
 public:
  // Of a new run, or of one that goes on: lines after `step`, and rows of epochs after
  // `epochs_done`, are dropped, so that nothing is logged twice.
  explicit RunLog(const std::filesystem::path& run, int64_t step = 0, int64_t epochs_done = 0);

  void step(int64_t step, int64_t epoch, double loss, double accuracy, double lr);
  // An evaluation; `split`: of which pictures, "val" or "test".
  void evaluation(int64_t step, int64_t epoch, const char* split, const Evaluation& evaluation);
  // A row of summary.csv, with the mean loss of the epoch's steps.
  void summary(int64_t epoch, double train_loss, const Evaluation& evaluation, double lr);
  // From here on, numbers go into TensorBoard's event files too; of a run that goes on after
  // `step`.
  void write_events(int64_t step);
  // Makes the lines so far durable and records their checksum (models/run_files.h).
  void record();

 private:
  void append(const std::string& line);
  void complain(const std::string& what);
  // Into the event file; where that fails, it is said once, and no more are written.
  void event(const std::string& tag, double value, int64_t step);

  std::filesystem::path run_;
  LogFile metrics_;
  Checksum checksum_;    // of its lines
  std::string pending_;  // lines that it lacks
  std::string summary_;  // all rows of summary.csv
  bool complained_ = false;
  std::optional<EventFile> events_;
};

}  // namespace passband
