#include "train/signals.h"

#include <array>
#include <csignal>

#include "tensor/core/collective.h"

namespace passband {
namespace {

volatile std::sig_atomic_t requested_signal = 0;
constexpr std::array kSignals = {SIGINT, SIGTERM, SIGUSR1, SIGHUP, SIGXCPU, SIGXFSZ};

void on_signal(int signal) {
  requested_signal = signal;
  // When a terminal closes, both the system and the shell may say so. A file that may not grow says
  // so at each write, which then fails in words.
  std::signal(signal, signal == SIGHUP || signal == SIGXFSZ ? SIG_IGN : SIG_DFL);
}

}  // namespace

StopSignals::StopSignals() {
  requested_signal = 0;
  for (const int signal : kSignals) {
    before_[signal] = std::signal(signal, on_signal);
    if (signal == SIGHUP && before_[signal] == SIG_IGN) std::signal(signal, SIG_IGN);
  }
  before_[SIGPIPE] = std::signal(SIGPIPE, SIG_IGN);
}

StopSignals::~StopSignals() {
  for (const auto& [signal, handler] : before_) std::signal(signal, handler);
}

int StopSignals::requested() const { return requested_signal; }
int StopSignals::requested_anywhere() const {
  return static_cast<int>(largest_of_processes(requested_signal));
}

}  // namespace passband
