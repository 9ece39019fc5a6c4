#include "train/progress_line.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "train/say.h"

namespace passband {
namespace {

int64_t terminal_columns() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

}  // namespace

std::string progress_text(const ProgressState& s, int64_t columns) {
  const std::string left = format_duration(s.seconds_left) + " left";
  std::vector<std::string> parts = {fmt::format("epoch {}/{}", s.epoch, s.epochs),
                                    fmt::format("step {}/{}", s.step, s.steps),
                                    fmt::format("loss {:.4f}", s.loss),
                                    fmt::format("acc {:.2f} %", 100 * s.accuracy),
                                    fmt::format("lr {:.4g}", s.lr),
                                    fmt::format("{:.0f} images/s", s.images_per_second)};
  if (s.slowest_rank >= 0)
    parts.push_back(fmt::format("slowest: rank {} (+{:.0f} %)", s.slowest_rank, 100 * s.behind));
  const auto room = static_cast<size_t>(std::max<int64_t>(columns, 0));
  std::string text;
  for (const std::string& part : parts)
    if (text.size() + part.size() + 2 + left.size() <= room) text += part + "  ";
    else break;
  return (text + left).substr(0, room);
}

ProgressLine::ProgressLine(bool quiet, double seconds_between)
    : quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0), seconds_between_(seconds_between) {
  const char* kind = std::getenv("TERM");
  if (kind && std::string(kind) == "dumb") terminal_ = false;
}

void ProgressLine::update(const ProgressState& state) {
  if (quiet_) return;
  const auto now = std::chrono::steady_clock::now();
  const double since = std::chrono::duration<double>(now - last_).count();
  if (since < (terminal_ ? 0.1 : seconds_between_)) return;
  last_ = now;
  if (terminal_) {
    // In the last column, some terminals begin a new line.
    say("\r\033[K" + progress_text(state, terminal_columns() - 1));
    drawn_ = true;
  } else {
    say(progress_text(state, 1000) + '\n');
  }
}

void ProgressLine::note(const std::string& line) {
  finish();
  if (!quiet_) say(line + '\n');
}

void ProgressLine::finish() {
  if (drawn_) say("\r\033[K");
  drawn_ = false;
}

}  // namespace passband
