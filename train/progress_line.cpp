#include "train/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace passband {
namespace {

std::string describe(const ProgressState& s) {
  const double rate = s.seconds > 0 ? static_cast<double>(s.images) / s.seconds : 0;
  const double per_step = s.steps_done > 0 ? s.seconds / static_cast<double>(s.steps_done) : 0;
  const double left = per_step * static_cast<double>(s.steps - s.step);
  return fmt::format(
      "epoch {}/{}  step {}/{}  loss {:.4f}  acc {:.2f} %  lr {:.4g}  {:.0f} images/s  {} left",
      s.epoch, s.epochs, s.step, s.steps, s.loss, 100 * s.accuracy, s.lr, rate,
      format_duration(left));
}

}  // namespace

ProgressLine::ProgressLine(double quiet_seconds)
    : terminal_(isatty(STDERR_FILENO) != 0), quiet_seconds_(quiet_seconds) {
  const char* kind = std::getenv("TERM");
  if (kind && std::string(kind) == "dumb") terminal_ = false;
}

void ProgressLine::update(const ProgressState& state) {
  const auto now = std::chrono::steady_clock::now();
  const double since = std::chrono::duration<double>(now - last_).count();
  if (since < (terminal_ ? 0.1 : quiet_seconds_)) return;
  last_ = now;
  if (terminal_) {
    fmt::print(stderr, "\r\033[K{}", describe(state));
    drawn_ = true;
  } else {
    fmt::print(stderr, "{}\n", describe(state));
  }
  std::fflush(stderr);
}

void ProgressLine::note(const std::string& line) {
  finish();
  fmt::print(stderr, "{}\n", line);
}

void ProgressLine::finish() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
  drawn_ = false;
}

}  // namespace passband
