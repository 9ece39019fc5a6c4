// JPEG by libjpeg-turbo, where the build has found it: a part of a picture, decoded smaller if that
// is enough.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "data/resize.h"

namespace passband {

// A part of a picture whose pixels are squares of `scale` pixels of the file: 1, 2, 4 or 8.
struct JpegPart {
  int64_t scale = 1;
  int64_t top = 0, left = 0, height = 0, width = 0;  // in pixels of that size
};

// The library's version; nothing in a build without it.
std::optional<std::string> jpeg_turbo_version();

enum class JpegResult : uint8_t {
  decoded,
  unsuited,  // four colours, or no library: for the other decoder
  damaged,
};

// Bytes of memory that the part of a picture of `width` columns is decoded into.
int64_t bytes_to_decode(const JpegPart& part, int64_t width);

// Decodes the part of a JPEG file of height x width pixels (as its header has been found to say)
// into `memory`, bytes_to_decode of them, where `decoded` is then the part: of a whole picture all
// of it. Whatever the part, a pixel is the one of the whole picture at this scale. Otherwise than
// scale 1 the inverse transform of each block of 8 x 8 is made for 8 / scale values a side from its
// lowest frequencies, which is close to the mean over scale x scale pixels and saves the transform
// of what would be averaged away. When the coded data is damaged or ends early, `fault` says why;
// what the library just warns of otherwise passes. Throws std::bad_alloc.
JpegResult decode_jpeg(std::span<const uint8_t> file, int64_t height, int64_t width,
                       const JpegPart& part, uint8_t* memory, PixelView& decoded,
                       std::string& fault);

}  // namespace passband
