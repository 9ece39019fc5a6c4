// Files read whole, replaced whole or not at all, and logs that grow by lines. What was written
// survives a crash at any moment.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace passband {

// All bytes of the file at `path`. Throws DataError with the path and the system's reason.
std::string read_file(const std::string& path);

// Replaces the file at `path` by `bytes`: written to a temporary file in the same directory, fsync,
// rename, fsync of the directory. Readers see the old file or the new one, never a part. Throws
// Error (path, reason, bytes needed) when anything fails, a full disk included: the old file is
// then intact and the temporary one is removed. A program killed at once leaves the temporary one,
// <path>.tmp-<16 random hexadecimal digits>.
void write_file_atomically(const std::string& path, std::string_view bytes);

// Removes the temporary files that killed programs left in `directory` and in the folders below it;
// one that a running program still writes is locked, and stays. Returns how many were removed; what
// cannot be removed is left.
int64_t remove_stale_temporaries(const std::string& directory);

// Takes the lock of an open file, which the system gives up when the descriptor is closed, by
// whatever end of the program. False when another process has it; on a file system that knows no
// locks everybody gets it.
bool try_lock(int descriptor);

// A file open for appending, made when it is missing.
class LogFile {
 public:
  LogFile() = default;  // of no file: only to be assigned to
  // Throws Error with the system's reason.
  explicit LogFile(const std::string& path);
  ~LogFile();
  LogFile(LogFile&& other) noexcept;
  LogFile& operator=(LogFile&& other) noexcept;

  // Throws Error when not all of `text` could be written: then none of it stands in the file, so
  // that no line joins a torn one.
  void append(std::string_view text);
  // Returns when all that was appended would survive a loss of power. Throws Error.
  void sync();
  int64_t bytes() const { return bytes_; }  // in the file

 private:
  std::string path_;
  int file_ = -1;
  int64_t bytes_ = 0;
};

}  // namespace passband
