#include "data/crc32.h"

#include <array>

namespace passband {
namespace {

using Table = std::array<uint32_t, 256>;

constexpr Table make_table(uint32_t reflected) {
  Table table{};
  for (uint32_t n = 0; n < 256; ++n) {
    uint32_t value = n;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) ? reflected ^ (value >> 1) : value >> 1;
    table[n] = value;
  }
  return table;
}

template <class Bytes> uint32_t checksum(const Table& table, const Bytes& bytes) {
  uint32_t crc = ~0u;
  for (const auto byte : bytes) crc = table[(crc ^ static_cast<uint8_t>(byte)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

constexpr Table kIeee = make_table(0xEDB88320u), kCastagnoli = make_table(0x82F63B78u);

}  // namespace

uint32_t crc32(std::span<const uint8_t> bytes) { return checksum(kIeee, bytes); }
uint32_t crc32c(std::string_view bytes) { return checksum(kCastagnoli, bytes); }

}  // namespace passband
