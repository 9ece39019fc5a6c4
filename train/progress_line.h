// The progress of a run for the person at the terminal: one line that is redrawn on a terminal,
// plain lines now and then elsewhere.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "tensor/core/text.h"

namespace passband {

struct ProgressState {
  int64_t epoch = 0, epochs = 0;  // epoch counts from 1; a part of an epoch counts as one
  int64_t step = 0, steps = 0;
  double loss = 0, accuracy = 0, lr = 0;  // running means of this epoch; accuracy in [0, 1]
  double images_per_second = 0;           // since the start (or resume)
  double seconds_left = 0;                // with evaluations
  int slowest_rank = -1;                  // of several processes
  double behind = 0;                      // how much longer than the mean it takes, as a share
};

// In `columns` or less: the time left stays longest, then what stands before it in the line.
std::string progress_text(const ProgressState& state, int64_t columns);

class ProgressLine {
 public:
  // Draws on stderr. Off a terminal: a line every `seconds_between`. Quiet: draws nothing.
  explicit ProgressLine(bool quiet = false, double seconds_between = 10);
  void update(const ProgressState& state);
  // A line that stays (end of an epoch, an evaluation).
  void note(const std::string& line);
  void finish();

 private:
  bool quiet_, terminal_;
  bool drawn_ = false;
  double seconds_between_;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace passband
