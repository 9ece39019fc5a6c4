// Decoding PNG and JPEG (stb_image, with limits), scaling, and gzip inflation.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tensor/core/error.h"

namespace passband {

struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;  // (height, width, 3)
};

// What a decoder accepts: files are read whole, so both the file and the picture it claims to hold
// are bounded first.
constexpr int64_t kMaxImageFileBytes = int64_t{256} << 20;
constexpr int64_t kMaxImagePixels = int64_t{64} << 20;
constexpr int kMaxImageSide = 16384;

// Reads a whole file of at most `limit` bytes. Throws DataError naming the file.
std::vector<uint8_t> read_file_bytes(const std::filesystem::path& path, int64_t limit);

// A file that is no whole PNG or JPEG picture.
struct UnreadablePicture : DataError {
  UnreadablePicture(const std::filesystem::path& path, std::string why);
  std::string reason;
};

// Decodes a PNG or JPEG file, told apart by content; grey and palette pictures become RGB, alpha is
// dropped, CMYK is converted. Throws UnreadablePicture naming the file and the reason (another
// format, by its name, truncated, a checksum, too large), DataError when the file cannot be read at
// all. A JPEG that ends before its end marker, or a PNG without its last chunk, is refused: the
// decoder itself would return a half-grey picture.
Image read_image(const std::filesystem::path& path);

// Antialiased bilinear scaling: a triangle filter, widened by the ratio when shrinking (Pillow's
// BILINEAR). `in` is (height, width, 3) with `row_bytes` from row to row, so that a crop is scaled
// in place. out: (out_height, out_width, 3).
void resize_bilinear(const uint8_t* in, int64_t height, int64_t width, int64_t row_bytes,
                     uint8_t* out, int64_t out_height, int64_t out_width);

// The centre square of the picture, scaled. out: (side, side, 3).
void resize_centre_square(const Image& image, int64_t side, uint8_t* out);

// The content of a gzip file (RFC 1952) whose inflated size must be `expected` bytes; checks size
// and CRC-32. `path` is for messages. Throws DataError.
std::vector<uint8_t> inflate_gzip(std::span<const uint8_t> file, int64_t expected,
                                  const std::filesystem::path& path);

}  // namespace passband
