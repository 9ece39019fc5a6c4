// RunLock: one training at a time works on a run.
#pragma once
#include <filesystem>

namespace passband {

// Held by this process, on the directory itself, until it ends, however it ends; it follows the
// directory when that is renamed. File systems that know no such locks give none, silently.
class RunLock {
 public:
  RunLock() = default;
  // Throws UsageError when another process holds it.
  explicit RunLock(const std::filesystem::path& run);
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&& other) noexcept;

 private:
  int directory_ = -1;
};

}  // namespace passband
