// Ctrl-C and friends: the first SIGINT, SIGTERM or SIGUSR1 asks the trainer to finish its step and
// save; a second one ends the program at once (what is on disk stays whole: every file is replaced
// atomically).
#pragma once

namespace passband {

// Installs the handlers for the lifetime of the guard.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The signal that asked for a stop, or 0.
  int requested() const;
};

}  // namespace passband
