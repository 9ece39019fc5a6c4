// PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3.
#include "models/stored_zip.h"

#include <algorithm>

#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

constexpr uint32_t kUnknown32 = 0xffffffff, kLocal = 0x04034b50, kCentral = 0x02014b50,
                   kEnd = 0x06054b50, kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                 kLocatorBytes = 20;

// A number of `bytes` bytes; the text must hold them.
uint64_t number(const std::string& text, size_t at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint64_t{static_cast<uint8_t>(text[at + i])} << 8 * i;
  return value;
}

}  // namespace

StoredZip::StoredZip(std::ifstream& file, uint64_t size, std::string path)
    : file_(file), size_(size), path_(std::move(path)) {
  const std::string text = directory();
  size_t at = 0;
  for (uint64_t i = 0; i < count_; ++i) add_entry(text, at);
}

void StoredZip::fail(const std::string& why) const {
  throw DataError(
      concat_text(path_, ": is a damaged zip archive: ", why, "; take a whole copy of it"));
}

std::string StoredZip::read(uint64_t begin, uint64_t size) {
  if (begin > size_ || size > size_ - begin) fail("it is cut short");
  std::string bytes(size, '\0');
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(begin));
  if (!file_.read(bytes.data(), static_cast<std::streamsize>(size)))
    throw DataError(concat_text("cannot read ", path_, ": it changed while it was being read"));
  return bytes;
}

// The central directory; sets the number of its entries.
std::string StoredZip::directory() {
  constexpr uint64_t kLongestTail = 65535 + kEndBytes + kLocatorBytes + kEnd64Bytes;
  const uint64_t tail_begin = size_ - std::min(size_, kLongestTail);
  const std::string tail = read(tail_begin, size_ - tail_begin);
  const size_t end = tail.rfind("PK\x05\x06");
  if (end == std::string::npos || tail.size() - end < kEndBytes)
    fail("it has no directory, so it is cut short");
  count_ = number(tail, end + 10, 2);
  uint64_t bytes = number(tail, end + 12, 4), begin = number(tail, end + 16, 4);
  if (end >= kLocatorBytes && number(tail, end - kLocatorBytes, 4) == kLocator64) {
    const std::string end64 = read(number(tail, end - kLocatorBytes + 8, 8), kEnd64Bytes);
    if (number(end64, 0, 4) != kEnd64) fail("its directory is not where it says");
    count_ = number(end64, 32, 8);
    bytes = number(end64, 40, 8);
    begin = number(end64, 48, 8);
  }
  if (count_ > bytes / kCentralBytes) fail("its directory is shorter than its entries");
  return read(begin, bytes);
}

void StoredZip::add_entry(const std::string& directory, size_t& at) {
  if (directory.size() - at < kCentralBytes || number(directory, at, 4) != kCentral)
    fail("its directory is cut short");
  const uint64_t method = number(directory, at + 10, 2);
  uint64_t size = number(directory, at + 24, 4), local = number(directory, at + 42, 4);
  const uint64_t packed = number(directory, at + 20, 4);
  const size_t name_bytes = number(directory, at + 28, 2), extra = number(directory, at + 30, 2);
  const size_t comment = number(directory, at + 32, 2);
  if (directory.size() - at - kCentralBytes < name_bytes + extra + comment)
    fail("its directory is cut short");
  const std::string name = directory.substr(at + kCentralBytes, name_bytes);
  if (method != 0)
    throw DataError(concat_text(path_, ": ", quote(name),
                                " in it is compressed, which torch.save never does: unpack the "
                                "archive and give the file of weights in it"));
  // Sizes and offsets beyond 32 bits stand in an extra field, in this order.
  const size_t extras_end = at + kCentralBytes + name_bytes + extra;
  for (size_t field = extras_end - extra; field + 4 <= extras_end;) {
    const uint64_t kind = number(directory, field, 2);
    const size_t length = std::min<size_t>(number(directory, field + 2, 2), extras_end - field - 4);
    size_t value = field + 4, left = length;
    const auto take = [&](uint64_t known, uint64_t& to) {
      if (known != kUnknown32 || left < 8) return;
      to = number(directory, value, 8);
      value += 8, left -= 8;
    };
    if (kind == 1) {
      uint64_t ignored = 0;
      take(size, size), take(packed, ignored), take(local, local);
    }
    field += 4 + length;
  }
  const std::string header = read(local, kLocalBytes);
  if (number(header, 0, 4) != kLocal)
    fail(concat_text("no entry stands where ", quote(name), " is"));
  const uint64_t begin = local + kLocalBytes + number(header, 26, 2) + number(header, 28, 2);
  if (begin > size_ || size > size_ - begin) fail(concat_text(quote(name), " is cut short"));
  if (!entries_.insert({name, {begin, size}}).second)
    fail(concat_text("two entries are called ", quote(name)));
  at = extras_end + comment;
}

}  // namespace passband
