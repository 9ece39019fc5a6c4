// What stands in for libjpeg-turbo in a build without it.
#include "data/jpeg.h"

namespace passband {

std::optional<std::string> jpeg_turbo_version() { return std::nullopt; }

int64_t bytes_to_decode(const JpegPart&, int64_t) { return 0; }

JpegResult decode_jpeg(std::span<const uint8_t>, int64_t, int64_t, const JpegPart&, uint8_t*,
                       PixelView&, std::string&) {
  return JpegResult::unsuited;
}

}  // namespace passband
