// The console while analyses run: one line each, redrawn on a terminal.
#pragma once
#include <chrono>
#include <string>

#include "analysis/study/progress.h"

namespace passband {

// Draws on stderr. Off a terminal an analysis that takes long gets a line every `quiet_seconds`.
class Console {
 public:
  explicit Console(size_t jobs, double quiet_seconds = 10);
  void begin(size_t index, const std::string& name);
  void update(const Progress::Report& report);
  void end(const std::string& outcome);  // "kept from before", "12.3 s"

 private:
  using Clock = std::chrono::steady_clock;
  double seconds_since(Clock::time_point begin) const;
  std::string describe(const Progress::Report& report);

  size_t jobs_;
  double quiet_seconds_;
  bool terminal_;
  std::string head_;  // "[2/9] fourier     "
  Clock::time_point started_, drawn_;
  Pace pace_;
  std::string stretch_;  // whose units are counted, since when and from which
  Clock::time_point stretch_started_;
  int64_t stretch_count_ = 0;
};

}  // namespace passband
