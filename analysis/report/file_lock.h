// A lock that processes share by the name of a file: who holds it writes, the others wait.
#pragma once
#include <filesystem>
#include <functional>

namespace passband {

// Held while alive, and given up by the system when the holder dies, however it dies. On a file
// system that knows no locks it holds nothing.
class FileLock {
 public:
  // Makes the file at `path` if it is missing. While another process holds the lock, `waiting` is
  // called about ten times a second; what it throws ends the wait. Throws Error when the file can
  // not be made.
  explicit FileLock(const std::filesystem::path& path, const std::function<void()>& waiting = {});
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace passband
