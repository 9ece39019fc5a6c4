// Durable file replacement with POSIX calls: temporary file, fsync, rename, fsync of the directory.
#include "tensor/core/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tensor/core/error.h"

namespace passband {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Network file systems report a failed write only here, so the result counts.
  int close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd);
  }

 private:
  int fd_;
};

// Removes the temporary file unless the rename has made it the real one.
class Temporary {
 public:
  explicit Temporary(std::string path) : path_(std::move(path)) {}
  ~Temporary() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const std::string& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

[[noreturn]] void fail(const std::string& path, size_t bytes, std::string_view step, int reason) {
  throw Error(concat_text("cannot write ", path, ": ", std::strerror(reason), " (", step, "; ",
                          bytes, " bytes needed); a file already there is unchanged"));
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    if (written == 0) {
      errno = ENOSPC;
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

std::string temporary_name(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  return concat_text(path, ".tmp-", ::getpid(), "-", counter++);
}

std::string directory_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

std::string read_file(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) throw DataError(concat_text("cannot read ", path, ": ", std::strerror(errno)));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || S_ISDIR(status.st_mode))
    throw DataError(concat_text("cannot read ", path, ": ",
                                std::strerror(S_ISDIR(status.st_mode) ? EISDIR : errno)));

  std::string bytes;
  bytes.reserve(static_cast<size_t>(status.st_size));
  char block[1 << 16];
  for (;;) {
    const ssize_t count = ::read(file.get(), block, sizeof block);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw DataError(concat_text("cannot read ", path, ": ", std::strerror(errno)));
    if (count == 0) return bytes;
    bytes.append(block, static_cast<size_t>(count));
  }
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  Temporary temporary(temporary_name(path));
  Descriptor file(::open(temporary.path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file.valid()) {
    const int reason = errno;
    temporary.keep();
    fail(path, bytes.size(), "creating a temporary file beside it", reason);
  }
  if (!write_all(file.get(), bytes)) fail(path, bytes.size(), "writing", errno);
  // A failed fsync may have dropped the dirty pages, so it is never tried again: the temporary file
  // is lost.
  if (::fsync(file.get()) != 0) fail(path, bytes.size(), "fsync", errno);
  if (file.close() != 0) fail(path, bytes.size(), "closing", errno);
  if (::rename(temporary.path().c_str(), path.c_str()) != 0)
    fail(path, bytes.size(), "renaming", errno);
  temporary.keep();

  // The rename itself lives in the directory. Some file systems cannot sync one (EINVAL): nothing
  // more can be done there.
  Descriptor directory(::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid() && ::fsync(directory.get()) != 0 && errno != EINVAL)
    throw Error(concat_text("wrote ", path, " but cannot make it durable: ", std::strerror(errno),
                            " (fsync of its directory)"));
}

}  // namespace passband
