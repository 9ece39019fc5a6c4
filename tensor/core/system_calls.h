// The system calls that change files. Tests put others in their place: calls that fail, and a disk
// that forgets what was never synced.
#pragma once
#include <sys/types.h>

#include <cstddef>

namespace passband {

// Each call as POSIX has it: the result, or -1 and errno.
class SystemCalls {
 public:
  virtual ~SystemCalls() = default;
  virtual int open(const char* path, int flags, mode_t mode);
  virtual ssize_t write(int file, const void* bytes, size_t count);
  virtual int truncate(int file, off_t bytes);
  virtual int fsync(int file);
  virtual int close(int file);
  virtual int rename(const char* from, const char* to);
  virtual int unlink(const char* path);
};

// Those in force: the system's own unless replaced.
SystemCalls& system_calls();

// Puts `calls` in their place for its lifetime. Not for use while another thread writes files.
class ReplacedSystemCalls {
 public:
  explicit ReplacedSystemCalls(SystemCalls& calls);
  ~ReplacedSystemCalls();
  ReplacedSystemCalls(const ReplacedSystemCalls&) = delete;
  ReplacedSystemCalls& operator=(const ReplacedSystemCalls&) = delete;

 private:
  SystemCalls* before_;
};

}  // namespace passband
