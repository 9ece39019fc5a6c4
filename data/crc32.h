// CRC-32 (ISO 3309), the checksum of PNG chunks and gzip files.
#pragma once
#include <cstdint>
#include <span>

namespace passband {

uint32_t crc32(std::span<const uint8_t> bytes);

}  // namespace passband
