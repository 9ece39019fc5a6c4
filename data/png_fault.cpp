#include "data/png_fault.h"

#include <algorithm>
#include <cctype>

#include "data/crc32.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

uint32_t big_endian32(std::span<const uint8_t> at) {
  return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | uint32_t{at[3]};
}

}  // namespace

std::string png_fault(std::span<const uint8_t> file) {
  constexpr size_t signature = 8, frame = 12;  // a chunk's length, type and checksum
  std::span<const uint8_t> rest = file.subspan(std::min(signature, file.size()));
  while (rest.size() >= frame) {
    const size_t length = big_endian32(rest);
    if (length > rest.size() - frame) break;
    const std::string type(rest.begin() + 4, rest.begin() + 8);
    if (!std::ranges::all_of(type, [](unsigned char c) { return std::isalpha(c); }))
      return "the PNG is damaged (a chunk has no type)";
    if (crc32(rest.subspan(4, 4 + length)) != big_endian32(rest.subspan(8 + length)))
      return concat_text("the PNG is damaged (the checksum of its ", type,
                         " chunk does not match)");
    if (type == "IEND") return "";
    rest = rest.subspan(frame + length);
  }
  return "the PNG is truncated (it has no IEND chunk)";
}

}  // namespace passband
