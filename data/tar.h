// Tar archives, read by their headers: nothing is unpacked. POSIX.1-1988 (ustar) and POSIX.1-2001
// (pax), with GNU's long names and sizes, and what came before both (v7).
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tensor/core/error.h"

namespace passband {

constexpr int64_t kTarBlock = 512;

struct TarMember {
  std::string name;               // any bytes: a name, never a path to be opened
  int64_t header = 0;             // where its first header begins in the archive
  int64_t offset = 0, bytes = 0;  // of its content in the archive
  bool file = true;  // false: a link, a device, a sparse file; content is none or not plain
};

// An archive that is damaged or truncated from a place on, before which all was read.
struct DamagedTar : DataError {
  DamagedTar(const std::filesystem::path& path, int64_t at, const std::string& why);
  int64_t offset;      // of the header that is wrong
  std::string reason;  // without the name of the archive
};

class TarReader {
 public:
  // Reads from the header at `begin` on. Throws DataError when the file cannot be opened.
  explicit TarReader(const std::filesystem::path& path, int64_t begin = 0);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  // The next member that is no folder, in the order of the archive; nothing at its end. Throws
  // DamagedTar for a header whose checksum or number is wrong, a content that the archive does not
  // hold, an archive without an end (two blocks of zeros; one is accepted).
  std::optional<TarMember> next();

  // All of a member's content. Throws DataError.
  std::vector<uint8_t> content(const TarMember& member) const;

  int64_t bytes() const { return bytes_; }  // of the archive

 private:
  struct Extended;  // what headers before a member say of it
  enum class Kind : uint8_t { member, folder, extension, end };
  Kind read_header(Extended& extended, TarMember& member);
  void read_extension(char type, const TarMember& at, Extended& into);
  void read(int64_t at, void* out, int64_t count) const;
  std::string read_text(int64_t at, int64_t count, const char* what) const;
  void read_pax(const std::string& records, Extended& into) const;
  int64_t extra_of_sparse(std::array<char, kTarBlock> block) const;
  [[noreturn]] void refuse(const std::string& why) const;

  std::filesystem::path path_;
  int file_ = -1;
  int64_t bytes_ = 0, at_ = 0;  // at_: of the header that comes next
  int64_t refused_at_ = 0;
  std::optional<int64_t> size_of_all_;  // by a global pax header
};

// `count` bytes of a file from `offset` on. Throws DataError when it has not as many, or cannot be
// read.
std::vector<uint8_t> read_file_part(const std::filesystem::path& path, int64_t offset,
                                    int64_t count);

// The blocks of one regular file in ustar's format before its content, whose owner, time and mode
// are always the same. The name has at most 100 bytes, the content less than 8 GiB.
std::string tar_header(const std::string& name, int64_t bytes);
// The zeros that a content of so many bytes is followed by.
std::string tar_padding(int64_t bytes);
// The end of an archive that is `bytes` long so far: a multiple of 10 KiB, as tar writes it.
std::string tar_end(int64_t bytes);

}  // namespace passband
