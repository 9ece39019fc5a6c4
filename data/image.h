// Decoding PNG and JPEG within limits (JPEG by libjpeg-turbo where the build has it, the rest by
// stb_image), scaling while decoding, and gzip inflation.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/jpeg.h"
#include "data/resize.h"
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

enum class PictureDecoder : uint8_t {
  fastest,  // of this build
  stb,
};

// A PNG or JPEG file, told apart by content: read, its structure checked, not decoded. Grey and
// palette pictures become RGB, alpha is dropped, CMYK is converted. A JPEG that ends before its end
// marker, or a PNG without its last chunk, is refused: stb_image would return a half-grey picture.
class EncodedPicture {
 public:
  // Throws UnreadablePicture naming the file and the reason (another format, by its name,
  // truncated, a checksum, too large), DataError when the file cannot be read at all.
  explicit EncodedPicture(const std::filesystem::path& path);
  // The same of bytes that were read already; `name` says where, for messages.
  EncodedPicture(std::vector<uint8_t> file, const std::string& name);

  int64_t height() const { return height_; }
  int64_t width() const { return width_; }
  std::span<const uint8_t> file() const { return file_; }

  // The functions below throw UnreadablePicture for damaged data.
  Image decode(PictureDecoder decoder = PictureDecoder::fastest) const;

  // The pixels of a window, scaled by resize_bilinear. out: (out_height, out_width, 3).
  // libjpeg-turbo decodes no more than that needs: the window alone, and at a half, a quarter or an
  // eighth of its size while that stays at least as large as `out`. Such a smaller picture is close
  // to the mean of its pixels (data/jpeg.h): the result differs from that of full size by 1 to 2
  // grey levels on average where photographs are shrunk to less than half.
  void resize(const PictureWindow& window, uint8_t* out, int64_t out_height, int64_t out_width,
              PictureDecoder decoder = PictureDecoder::fastest) const;

  // Goes through all of its coded data.
  void check_data() const;

 private:
  Image decode_by_stb() const;
  // False where this build does not decode it by libjpeg-turbo.
  bool decode_part(const JpegPart& part, uint8_t* memory, PixelView& decoded) const;
  [[noreturn]] void refuse(const std::string& reason) const;

  std::filesystem::path path_;
  std::vector<uint8_t> file_;
  int64_t height_ = 0, width_ = 0;
  bool jpeg_ = false;
};

// EncodedPicture(path).decode().
Image read_image(const std::filesystem::path& path);

// The content of a gzip file (RFC 1952) whose inflated size must be `expected` bytes; checks size
// and CRC-32. `path` is for messages. Throws DataError.
std::vector<uint8_t> inflate_gzip(std::span<const uint8_t> file, int64_t expected,
                                  const std::filesystem::path& path);

// The content of a zlib stream (RFC 1950) whose inflated size must be `expected` bytes; checks size
// and Adler-32. Throws DataError.
std::vector<uint8_t> inflate_zlib(std::span<const uint8_t> stream, int64_t expected,
                                  const std::filesystem::path& path);
// Its first `bytes` bytes, unchecked. Throws DataError when it is damaged before them.
std::vector<uint8_t> inflate_zlib_start(std::span<const uint8_t> stream, int64_t bytes,
                                        const std::filesystem::path& path);

}  // namespace passband
