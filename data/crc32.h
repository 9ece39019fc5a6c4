// Checksums of 32 bits by division of polynomials.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace passband {

// CRC-32 (ISO 3309), of PNG chunks and gzip files: polynomial 0x04c11db7, reflected.
uint32_t crc32(std::span<const uint8_t> bytes);
// CRC-32C (Castagnoli), of TensorBoard's records: polynomial 0x1edc6f41, reflected (RFC 3720).
uint32_t crc32c(std::string_view bytes);

}  // namespace passband
