// Durable file replacement with POSIX calls: temporary file, fsync, rename, fsync of the directory.
#include "tensor/core/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iomanip>
#include <utility>
#include <vector>

#include "tensor/core/error.h"
#include "tensor/core/system_calls.h"

namespace passband {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporary = ".tmp-";
constexpr size_t kRandomDigits = 16;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) system_calls().close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  // Network file systems report a failed write only here, so the result counts.
  int close() {
    const int fd = fd_;
    fd_ = -1;
    return system_calls().close(fd);
  }

 private:
  int fd_;
};

[[noreturn]] void fail(const std::string& path, size_t bytes, std::string_view step, int reason) {
  throw Error(concat_text("cannot write ", path, ": ", std::strerror(reason), " (", step, "; ",
                          bytes, " bytes needed); a file already there is unchanged"));
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = system_calls().write(fd, bytes.data(), bytes.size());
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

// Random, since process ids repeat: in a container every program may have the same one.
std::string temporary_name(const std::string& path) {
  uint64_t random = 0;
  if (::getentropy(&random, sizeof random) != 0)
    throw Error(concat_text("cannot write ", path, ": no random numbers: ", std::strerror(errno)));
  return concat_text(path, kTemporary, std::hex, std::setw(kRandomDigits), std::setfill('0'),
                     random);
}

// Of this version, or of an earlier one (<path>.tmp-<process>-<counter>).
bool is_temporary(const std::string& name) {
  const size_t at = name.rfind(kTemporary);
  if (at == std::string::npos || at == 0 || at + kTemporary.size() == name.size()) return false;
  const std::string_view rest = std::string_view(name).substr(at + kTemporary.size());
  const bool older = rest.find('-') != std::string_view::npos;
  return (older || rest.size() == kRandomDigits) &&
         rest.find_first_not_of(older ? "0123456789-" : "0123456789abcdef") ==
             std::string_view::npos;
}

bool has_a_name(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) != 0 || status.st_nlink > 0;
}

// A new file beside the one that is to be replaced. Removed again unless the rename has made it the
// real one.
class Temporary {
 public:
  explicit Temporary(const std::string& beside) : file_(-1) {
    constexpr int kAttempts = 100;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      path_ = temporary_name(beside);
      Descriptor file(
          system_calls().open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
      if (!file.valid() && errno == EEXIST) continue;
      if (!file.valid()) break;
      // Whoever removes stale files may have come between the two calls.
      if (!try_lock(file.get()) || !has_a_name(file.get())) continue;
      file_ = file.release();
      return;
    }
    path_.clear();
  }
  ~Temporary() {
    if (!path_.empty()) system_calls().unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const std::string& path() const { return path_; }
  Descriptor take_file() { return Descriptor(std::exchange(file_, -1)); }
  void keep() { path_.clear(); }

 private:
  std::string path_;
  int file_;
};

std::string directory_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
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
  Temporary temporary(path);
  Descriptor file = temporary.take_file();
  if (!file.valid()) fail(path, bytes.size(), "creating a temporary file beside it", errno);
  if (!write_all(file.get(), bytes)) fail(path, bytes.size(), "writing", errno);
  // A failed fsync may have dropped the dirty pages, so it is never tried again: the temporary file
  // is lost.
  if (system_calls().fsync(file.get()) != 0) fail(path, bytes.size(), "fsync", errno);
  // Keeps the lock until the file has its name.
  const Descriptor locked(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
  if (file.close() != 0) fail(path, bytes.size(), "closing", errno);
  if (system_calls().rename(temporary.path().c_str(), path.c_str()) != 0)
    fail(path, bytes.size(), "renaming", errno);
  temporary.keep();

  // The rename itself lives in the directory. Some file systems cannot sync one (EINVAL): nothing
  // more can be done there.
  Descriptor directory(
      system_calls().open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (directory.valid() && system_calls().fsync(directory.get()) != 0 && errno != EINVAL)
    throw Error(concat_text("wrote ", path, " but cannot make it durable: ", std::strerror(errno),
                            " (fsync of its directory)"));
}

int64_t remove_stale_temporaries(const std::string& directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::recursive_directory_iterator item(directory, error), end; !error && item != end;
       item.increment(error))
    if (is_temporary(item->path().filename().string()) && !item->is_symlink(error) &&
        item->is_regular_file(error))
      found.push_back(item->path());
  return std::ranges::count_if(found, [](const fs::path& path) {
    const Descriptor file(
        system_calls().open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0));
    // Locked for as long as it takes: then its writer, if it is just beginning, takes another name.
    return file.valid() && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 &&
           system_calls().unlink(path.c_str()) == 0;
  });
}

bool try_lock(int descriptor) {
  return ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

LogFile::LogFile(const std::string& path)
    : path_(path),
      file_(system_calls().open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)),
      bytes_(std::max<off_t>(0, ::lseek(file_, 0, SEEK_END))) {
  if (file_ < 0)
    throw Error(concat_text(path, ": cannot be opened for writing: ", std::strerror(errno)));
}

LogFile::~LogFile() {
  if (file_ >= 0) system_calls().close(file_);
}

LogFile::LogFile(LogFile&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)), bytes_(other.bytes_) {}

LogFile& LogFile::operator=(LogFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void LogFile::append(std::string_view text) {
  if (write_all(file_, text)) {
    bytes_ += std::ssize(text);
    return;
  }
  const int reason = errno;
  // What cannot be cut off again is the last that is written here.
  if (system_calls().truncate(file_, bytes_) != 0) system_calls().close(std::exchange(file_, -1));
  throw Error(concat_text(path_, ": cannot be written: ", std::strerror(reason)));
}

void LogFile::sync() {
  if (system_calls().fsync(file_) != 0)
    throw Error(concat_text(path_, ": cannot be made durable: ", std::strerror(errno)));
}

}  // namespace passband
