// Ctrl-C and friends: the first SIGINT, SIGTERM, SIGHUP (the terminal closed), SIGUSR1, SIGXCPU or
// SIGXFSZ (limits of the shell or the queue) asks the trainer to finish its step and save; a second
// one, but for SIGHUP and SIGXFSZ, ends the program at once (what is on disk stays whole: every
// file is replaced atomically). Output that nobody reads any more (SIGPIPE) ends nothing.
#pragma once
#include <map>

namespace passband {

// Installs the handlers for the lifetime of the guard. A SIGHUP that is ignored already (nohup)
// stays so.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The signal that asked for a stop, or 0.
  int requested() const;
  // The same of any of several processes, all of which ask at once.
  int requested_anywhere() const;

 private:
  std::map<int, void (*)(int)> before_;  // handlers by signal
};

}  // namespace passband
