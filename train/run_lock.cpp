#include "train/run_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "tensor/core/error.h"
#include "tensor/core/file.h"

namespace passband {

RunLock::RunLock(const std::filesystem::path& run)
    : directory_(::open(run.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (directory_ < 0 || try_lock(directory_)) return;
  ::close(directory_);
  throw UsageError(concat_text(run.string(),
                               ": another train is at work on this run; wait until it has ended, "
                               "or begin a run of your own with --recipe ",
                               run.string()));
}

RunLock::~RunLock() {
  if (directory_ >= 0) ::close(directory_);
}

RunLock::RunLock(RunLock&& other) noexcept : directory_(std::exchange(other.directory_, -1)) {}

RunLock& RunLock::operator=(RunLock&& other) noexcept {
  std::swap(directory_, other.directory_);
  return *this;
}

}  // namespace passband
