#include "analysis/report/file_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "tensor/core/error.h"
#include "tensor/core/file.h"

namespace passband {
namespace {

int open_lock(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  CHECK(descriptor >= 0, "cannot make the lock ", path.string(), ": ", std::strerror(errno));
  return descriptor;
}

// Whether `path` still names the open file: a holder may have removed it while we waited.
bool still_named(int descriptor, const std::filesystem::path& path) {
  struct stat open_file {
  }, named{};
  return ::fstat(descriptor, &open_file) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path, const std::function<void()>& waiting) {
  using namespace std::chrono_literals;
  for (;;) {
    std::error_code made;
    std::filesystem::create_directories(path.parent_path(), made);
    descriptor_ = open_lock(path);
    const bool held = try_lock(descriptor_);
    if (held && still_named(descriptor_, path)) return;
    ::close(descriptor_);
    descriptor_ = -1;
    if (held) continue;
    if (waiting) waiting();
    std::this_thread::sleep_for(100ms);
  }
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace passband
