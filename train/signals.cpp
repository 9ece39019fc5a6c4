#include "train/signals.h"

#include <array>
#include <csignal>

namespace passband {
namespace {

volatile std::sig_atomic_t requested_signal = 0;
constexpr std::array kSignals = {SIGINT, SIGTERM, SIGUSR1};

void on_signal(int signal) {
  requested_signal = signal;
  std::signal(signal, SIG_DFL);
}

}  // namespace

StopSignals::StopSignals() {
  requested_signal = 0;
  for (const int signal : kSignals) std::signal(signal, on_signal);
}

StopSignals::~StopSignals() {
  for (const int signal : kSignals) std::signal(signal, SIG_DFL);
}

int StopSignals::requested() const { return requested_signal; }

}  // namespace passband
