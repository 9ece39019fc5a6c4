#include "data/tar.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kBlock = kTarBlock, kRecord = 20 * kBlock;
constexpr int64_t kLargestExtension = int64_t{1} << 20;  // of a pax header, or a long name

using Block = std::array<char, kTarBlock>;

// A field of a header, up to its first NUL.
std::string_view field(const Block& block, size_t at, size_t length) {
  const std::string_view all(block.data() + at, length);
  return all.substr(0, all.find('\0'));
}

// Octal digits between spaces, or, with the first bit set, a big-endian number (GNU's and star's,
// for sizes from 8 GiB on). Nothing when it is neither, negative, or does not fit.
std::optional<int64_t> number(const Block& block, size_t at, size_t length) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(block[at + i]); };
  int64_t value = 0;
  if (byte(0) & 0x80) {
    value = byte(0) & 0x7F;
    for (size_t i = 1; i < length; ++i) {
      if (value > std::numeric_limits<int64_t>::max() >> 8) return std::nullopt;
      value = value << 8 | byte(i);
    }
    return byte(0) & 0x40 ? std::nullopt : std::optional(value);
  }
  std::string_view digits = field(block, at, length);
  const size_t begin = std::min(digits.find_first_not_of(' '), digits.size());
  digits = digits.substr(begin, digits.find(' ', begin) - begin);
  for (const char digit : digits) {
    if (digit < '0' || digit > '7') return std::nullopt;
    value = value << 3 | (digit - '0');  // 12 digits at most
  }
  return value;
}

std::optional<int64_t> decimal(std::string_view digits) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  if (digits.empty()) return std::nullopt;
  int64_t value = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9' || value > (kMost - (digit - '0')) / 10) return std::nullopt;
    value = value * 10 + (digit - '0');
  }
  return value;
}

// The sum of a header's bytes, its own field read as spaces: of unsigned bytes, or, as some have
// written it, of signed ones.
bool sum_is_right(const Block& block) {
  constexpr size_t kField = 148, kLength = 8;
  const std::optional<int64_t> stated = number(block, kField, kLength);
  int64_t plain = 0, with_signs = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const char c = i >= kField && i < kField + kLength ? ' ' : block[i];
    plain += static_cast<unsigned char>(c);
    with_signs += static_cast<signed char>(c);
  }
  return stated && (*stated == plain || *stated == with_signs);
}

std::string name_in(const Block& block) {
  const std::string name(field(block, 0, 100));
  const bool posix = std::memcmp(block.data() + 257, "ustar\0", 6) == 0;  // GNU's has a space there
  const std::string_view prefix = posix ? field(block, 345, 155) : std::string_view{};
  return prefix.empty() ? name : concat_text(prefix, "/", name);
}

int64_t padded(int64_t bytes) { return (bytes + kBlock - 1) / kBlock * kBlock; }

}  // namespace

struct TarReader::Extended {
  std::optional<std::string> name;
  std::optional<int64_t> size;
  bool sparse = false;
};

DamagedTar::DamagedTar(const fs::path& path, int64_t at, const std::string& why)
    : DataError(concat_text(path.string(), " at offset ", at, ": ", why)),
      offset(at),
      reason(why) {}

TarReader::TarReader(const fs::path& path, int64_t begin) : path_(path), at_(begin) {
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (file_ < 0 || ::fstat(file_, &status) != 0 || !S_ISREG(status.st_mode)) {
    const std::string why = file_ < 0 ? std::strerror(errno) : "it is no regular file";
    if (file_ >= 0) ::close(file_);
    throw DataError(concat_text(path.string(), ": cannot be read: ", why));
  }
  bytes_ = status.st_size;
}

TarReader::~TarReader() { ::close(file_); }

void TarReader::refuse(const std::string& why) const { throw DamagedTar(path_, refused_at_, why); }

void TarReader::read(int64_t at, void* out, int64_t count) const {
  auto* to = static_cast<char*>(out);
  while (count > 0) {
    const ssize_t got = ::pread(file_, to, static_cast<size_t>(count), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw DataError(concat_text(path_.string(), ": cannot be read: ", std::strerror(errno)));
    if (got == 0) refuse("the archive is truncated");
    to += got, at += got, count -= got;
  }
}

std::string TarReader::read_text(int64_t at, int64_t count, const char* what) const {
  if (count > kLargestExtension)
    refuse(concat_text(what, " of ", count, " bytes; the limit is ", kLargestExtension));
  std::string text(static_cast<size_t>(count), '\0');
  read(at, text.data(), count);
  return text;
}

// Records "LENGTH KEY=VALUE\n", of which LENGTH counts all (POSIX.1-2001, pax).
void TarReader::read_pax(const std::string& records, Extended& into) const {
  std::string_view rest = records;
  while (!rest.empty() && rest[0] != '\0') {
    const size_t space = rest.find(' ');
    const std::optional<int64_t> length =
        space == std::string_view::npos ? std::nullopt : decimal(rest.substr(0, space));
    if (!length || *length > std::ssize(rest) || *length < static_cast<int64_t>(space) + 3 ||
        rest[static_cast<size_t>(*length) - 1] != '\n')
      refuse("a record of its pax header is damaged");
    const std::string_view record =
        rest.substr(space + 1, static_cast<size_t>(*length) - space - 2);
    rest.remove_prefix(static_cast<size_t>(*length));
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos) refuse("a record of its pax header is damaged");
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key == "path") into.name = value;
    if (key.starts_with("GNU.sparse.")) into.sparse = true;
    if (key != "size") continue;
    into.size = decimal(value);
    if (!into.size) refuse("its pax header states a size that is no number");
  }
}

// What the header at at_ says, which is stepped over, with what belongs to it.
TarReader::Kind TarReader::read_header(Extended& extended, TarMember& member) {
  refused_at_ = at_;
  if (at_ == bytes_) refuse("the archive is truncated (it has no end marker)");
  Block block{};
  read(at_, block.data(), kBlock);
  if (block == Block{}) return Kind::end;
  if (!sum_is_right(block)) refuse("no header of a tar archive (its checksum is wrong)");
  const char type = block[156];
  const bool link = type == '1' || type == '2', device = type >= '3' && type <= '6';
  const bool extension = std::string_view("xXgLK").find(type) != std::string_view::npos;
  const std::optional<int64_t> size =
      extended.size && !extension ? extended.size : number(block, 124, 12);
  if (!size) refuse("the size of a member is negative, too large or no number");
  member.bytes = link || device ? 0 : *size;  // whatever size these state
  member.offset = at_ + kBlock;
  if (type == 'S') member.offset += extra_of_sparse(block);
  if (member.bytes > bytes_ - member.offset)
    refuse(concat_text("the archive is truncated: of the ", member.bytes, " bytes of a member ",
                       bytes_ - member.offset, " are there"));
  at_ = std::min(member.offset + padded(member.bytes), bytes_);
  if (extension) {
    read_extension(type, member, extended);
    return Kind::extension;
  }
  member.name = extended.name.value_or(name_in(block));
  const bool plain = type == '\0' || type == '0' || type == '7';
  member.file = plain && !extended.sparse;
  return type == '5' || (plain && member.name.ends_with('/')) ? Kind::folder : Kind::member;
}

// What further blocks of its map an old sparse file of GNU's has after its header.
int64_t TarReader::extra_of_sparse(Block block) const {
  int64_t bytes = 0;
  for (size_t more = 482; block[more] != 0; more = 504) {
    bytes += kBlock;
    read(at_ + bytes, block.data(), kBlock);
  }
  return bytes;
}

void TarReader::read_extension(char type, const TarMember& at, Extended& into) {
  if (type == 'K') return;  // where a link leads
  const std::string text =
      read_text(at.offset, at.bytes, type == 'L' ? "a long name" : "a pax header");
  if (type == 'L') {
    into.name = text.substr(0, text.find('\0'));
  } else if (type == 'g') {
    Extended all;
    read_pax(text, all);
    if (all.size) size_of_all_ = into.size = all.size;
  } else {
    read_pax(text, into);
  }
}

std::optional<TarMember> TarReader::next() {
  while (true) {
    Extended extended{.size = size_of_all_};
    TarMember member;
    const int64_t first = at_;
    Kind kind = read_header(extended, member);
    while (kind == Kind::extension) kind = read_header(extended, member);
    if (kind == Kind::end && first != at_)
      refuse("the archive ends where a header has announced a member");
    if (kind == Kind::end) return std::nullopt;
    member.header = first;
    if (kind == Kind::member) return member;
  }
}

std::vector<uint8_t> TarReader::content(const TarMember& member) const {
  std::vector<uint8_t> bytes(static_cast<size_t>(member.bytes));
  read(member.offset, bytes.data(), member.bytes);
  return bytes;
}

std::vector<uint8_t> read_file_part(const fs::path& path, int64_t offset, int64_t count) {
  const auto refuse = [&](const std::string& why) {
    throw DataError(concat_text(path.string(), ": cannot be read: ", why));
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) refuse(std::strerror(errno));
  std::vector<uint8_t> bytes;
  int64_t done = 0;
  int fault = 0;
  try {
    bytes.resize(static_cast<size_t>(count));
  } catch (...) {
    ::close(file);
    throw;
  }
  while (done < count && fault == 0) {
    const ssize_t got =
        ::pread(file, bytes.data() + done, static_cast<size_t>(count - done), offset + done);
    if (got == 0) break;
    if (got > 0) done += got;
    else if (errno != EINTR) fault = errno;
  }
  ::close(file);
  if (fault != 0) refuse(std::strerror(fault));
  if (done < count) refuse(concat_text("it ends before byte ", offset + count));
  return bytes;
}

std::string tar_header(const std::string& name, int64_t bytes) {
  CHECK(!name.empty() && name.size() <= 100, "tar: a name of ", name.size(), " bytes");
  CHECK(bytes >= 0 && bytes < int64_t{1} << 33, "tar: a member of ", bytes, " bytes");
  std::string block(kBlock, '\0');
  const auto put = [&](size_t at, std::string_view text) {
    std::ranges::copy(text, block.begin() + static_cast<int64_t>(at));
  };
  const auto octal = [&](size_t at, size_t digits, int64_t value) {
    for (size_t i = digits; i-- > 0; value >>= 3)
      block[at + i] = static_cast<char>('0' + (value & 7));
  };
  put(0, name);
  octal(100, 7, 0644);
  octal(108, 7, 0);  // owner
  octal(116, 7, 0);  // group
  octal(124, 11, bytes);
  octal(136, 11, 0);  // time
  put(148, "        ");
  block[156] = '0';
  put(257, std::string_view("ustar\00000", 8));
  octal(329, 7, 0);
  octal(337, 7, 0);
  int64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  octal(148, 6, sum);
  block[154] = '\0';
  return block;
}

std::string tar_padding(int64_t bytes) {
  return std::string(static_cast<size_t>(padded(bytes) - bytes), '\0');
}

std::string tar_end(int64_t bytes) {
  const int64_t least = bytes + 2 * kBlock;
  return std::string(static_cast<size_t>((least + kRecord - 1) / kRecord * kRecord - bytes), '\0');
}

}  // namespace passband
