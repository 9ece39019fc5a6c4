// The structure of a PNG file: its chunks, their checksums and its end.
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace passband {

// What is wrong with the chunks of a PNG file (ISO 15948), or nothing: each lies within the file,
// its CRC-32 is that of its type and data, and IEND is the last one. The decoder looks at none of
// this.
std::string png_fault(std::span<const uint8_t> file);

}  // namespace passband
