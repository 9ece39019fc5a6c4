// What stands in for libjpeg-turbo in a build without it.
#include "data/jpeg.h"

namespace passband {

std::optional<std::string> jpeg_turbo_version() { return std::nullopt; }

JpegResult decode_jpeg(std::span<const uint8_t>, int64_t, int64_t, const JpegPart&, uint8_t*,
                       std::string&) {
  return JpegResult::unsuited;
}

}  // namespace passband
