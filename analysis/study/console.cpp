#include "analysis/study/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "tensor/core/text.h"

namespace passband {
namespace {

bool on_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && !(kind && std::string(kind) == "dumb");
}

}  // namespace

Console::Console(size_t jobs, double quiet_seconds)
    : jobs_(jobs), quiet_seconds_(quiet_seconds), terminal_(on_terminal()) {}

double Console::seconds_since(Clock::time_point begin) const {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void Console::begin(size_t index, const std::string& name) {
  head_ = fmt::format("[{}/{}] {:<14} ", index + 1, jobs_, name);
  started_ = drawn_ = stretch_started_ = Clock::now();
  stretch_.clear();
  pace_ = Pace();
  if (!terminal_) return;
  fmt::print(stderr, "{}", head_);
  std::fflush(stderr);
}

// "42 %  resnet: 480 of 1024 pictures, 210/s  0:12 left"
std::string Console::describe(const Progress::Report& report) {
  if (report.label != stretch_ || report.count < stretch_count_) {
    stretch_ = report.label;
    stretch_started_ = started_;
    stretch_count_ = 0;
    if (report.done > 0 && report.count > 0) {
      stretch_started_ = Clock::now();
      stretch_count_ = report.count;
    }
  }
  const double in_stretch = seconds_since(stretch_started_);
  std::string text = fmt::format("{:.0f} %  ", 100 * report.done);
  if (!report.label.empty()) text += report.label + ": ";
  text += fmt::format("{} of {} {}", report.count, report.total, report.unit);
  const auto counted = static_cast<double>(report.count - stretch_count_);
  if (counted > 0 && in_stretch > 0) text += fmt::format(", {:.3g}/s", counted / in_stretch);
  if (const auto left = pace_.left(seconds_since(started_), report.done))
    text += fmt::format("  {} left", format_duration(*left));
  return text;
}

void Console::update(const Progress::Report& report) {
  if (report.kept) pace_.kept(seconds_since(started_), report.done);
  if (seconds_since(drawn_) < (terminal_ ? 0.1 : quiet_seconds_)) return;
  drawn_ = Clock::now();
  fmt::print(stderr, "{}{}{}{}", terminal_ ? "\r\033[K" : "", head_, describe(report),
             terminal_ ? "" : "\n");
  std::fflush(stderr);
}

void Console::end(const std::string& outcome) {
  fmt::print(stderr, "{}{}{}\n", terminal_ ? "\r\033[K" : "", head_, outcome);
  std::fflush(stderr);
}

}  // namespace passband
