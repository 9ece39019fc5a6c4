// stb_image within limits, the triangle-filter resize, and gzip framing around stb's inflate.
#include "data/image.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>

#include "data/crc32.h"
#include "data/png_fault.h"
#include "tensor/core/error.h"
#include "tensor/core/file_kind.h"
#include "tensor/core/text.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS 16384
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace passband {
namespace fs = std::filesystem;

std::vector<uint8_t> read_file_bytes(const fs::path& path, int64_t limit) {
  std::error_code code;
  const uintmax_t bytes = fs::file_size(path, code);
  if (code) throw DataError(concat_text(path.string(), ": cannot be read: ", code.message()));
  if (bytes > static_cast<uintmax_t>(limit))
    throw DataError(concat_text(path.string(), ": is ", bytes, " bytes, the limit is ", limit));
  std::vector<uint8_t> content(bytes);
  std::ifstream file(path, std::ios::binary);
  if (!file ||
      !file.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(bytes)))
    throw DataError(concat_text(path.string(), ": cannot be read: ", std::strerror(errno)));
  return content;
}

namespace {

// Do the Huffman tables of a DHT segment stay within 256 codes each? The decoder does not ask.
bool huffman_tables_fit(std::span<const uint8_t> tables) {
  while (tables.size() > 16) {
    size_t codes = 0;
    for (size_t length = 1; length <= 16; ++length) codes += tables[length];
    if (codes > 256 || tables.size() < 17 + codes) return false;
    tables = tables.subspan(17 + codes);
  }
  return tables.empty();
}

// What is wrong with the marker structure of a JPEG file, or nothing. Segments are stepped over by
// their length (they may embed a whole thumbnail, end marker included); inside coded data 0xFF is
// always followed by 0 or a restart number, so the first FF D9 met is the end of the picture.
std::string jpeg_fault(std::span<const uint8_t> file) {
  constexpr uint8_t tables = 0xC4, first_restart = 0xD0, start = 0xD8, end = 0xD9;
  size_t at = 2;
  while (at + 1 < file.size()) {
    const uint8_t marker = file[at + 1];
    const bool standalone = marker <= 1 || (marker >= first_restart && marker <= start);
    if (file[at] != 0xFF || marker == 0xFF || standalone) {
      at += file[at] == 0xFF && standalone ? 2 : 1;
      continue;
    }
    if (marker == end) return "";
    if (at + 4 > file.size()) break;
    const size_t length = size_t{file[at + 2]} << 8 | file[at + 3];
    if (length < 2) return "a segment of the JPEG has no length";
    if (marker == tables && at + 2 + length <= file.size() &&
        !huffman_tables_fit(file.subspan(at + 4, length - 2)))
      return "the Huffman tables of the JPEG are damaged";
    at += 2 + length;
  }
  return "the JPEG is truncated (it has no end marker)";
}

struct FreePixels {
  void operator()(stbi_uc* pixels) const { stbi_image_free(pixels); }
};

// Why a file has no header that the decoder knows.
std::string why_no_header(FileKind kind, std::span<const uint8_t> file) {
  if (kind == FileKind::empty) return "the file is empty";
  if (kind == FileKind::unknown) return "neither PNG nor JPEG";
  const std::string fault = kind == FileKind::png ? png_fault(file) : "";
  if (!fault.empty()) return fault;
  if (kind == FileKind::png || kind == FileKind::jpeg) return "its header is damaged";
  return concat_text("by its content it is ", words(kind), ", and only PNG and JPEG are read");
}

}  // namespace

UnreadablePicture::UnreadablePicture(const fs::path& path, std::string why)
    : DataError(concat_text(path.string(), ": unreadable picture: ", why)),
      reason(std::move(why)) {}

Image read_image(const fs::path& path) {
  const std::vector<uint8_t> file = read_file_bytes(path, kMaxImageFileBytes);
  const auto fail = [&](const std::string& reason) { throw UnreadablePicture(path, reason); };
  const int length = static_cast<int>(file.size());
  const FileKind kind =
      file_kind({reinterpret_cast<const char*>(file.data()), std::min(file.size(), kFileHead)});
  if (kind == FileKind::jpeg)
    if (const std::string fault = jpeg_fault(file); !fault.empty()) fail(fault);
  int width = 0, height = 0, channels = 0;
  // The decoder's own idea of a JPEG is wider: fill bytes before its start would lead past the
  // checks above.
  if ((kind != FileKind::jpeg && kind != FileKind::png) ||
      !stbi_info_from_memory(file.data(), length, &width, &height, &channels))
    fail(why_no_header(kind, file));
  if (width > kMaxImageSide || height > kMaxImageSide || int64_t{width} * height > kMaxImagePixels)
    fail(concat_text(width, " x ", height, " pixels, the limit is ", kMaxImagePixels,
                     " pixels and ", kMaxImageSide, " a side"));
  if (kind == FileKind::png)
    if (const std::string fault = png_fault(file); !fault.empty()) fail(fault);
  const std::unique_ptr<stbi_uc, FreePixels> pixels(
      stbi_load_from_memory(file.data(), length, &width, &height, &channels, 3));
  // The decoder's reason may hold bytes of the file.
  if (!pixels) fail(concat_text("damaged data: ", quote(stbi_failure_reason())));
  return {height, width,
          std::vector<uint8_t>(pixels.get(), pixels.get() + int64_t{3} * width * height)};
}

namespace {

// The input pixels each output pixel looks at, along one axis: `width` weights from first[o] on,
// unused ones zero.
struct Taps {
  int64_t width = 0;
  std::vector<int64_t> first;  // (out)
  std::vector<float> weights;  // (out, width)
};

Taps triangle_taps(int64_t in, int64_t out) {
  const double ratio = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(ratio, 1.0);
  Taps taps{.width = std::min<int64_t>(in, static_cast<int64_t>(2 * support) + 2)};
  taps.first.resize(out);
  taps.weights.resize(out * taps.width);
  for (int64_t o = 0; o < out; ++o) {
    const double centre = (static_cast<double>(o) + 0.5) * ratio;
    const int64_t low = static_cast<int64_t>(std::max(0.0, centre - support));
    taps.first[o] = std::min(low, in - taps.width);
    float* weights = &taps.weights[o * taps.width];
    double sum = 0;
    for (int64_t k = 0; k < taps.width; ++k) {
      const double distance =
          std::abs(static_cast<double>(taps.first[o] + k) + 0.5 - centre) / support;
      weights[k] = static_cast<float>(std::max(0.0, 1.0 - distance));
      sum += weights[k];
    }
    for (int64_t k = 0; k < taps.width; ++k) weights[k] = static_cast<float>(weights[k] / sum);
  }
  return taps;
}

}  // namespace

void resize_bilinear(const uint8_t* in, int64_t height, int64_t width, int64_t row_bytes,
                     uint8_t* out, int64_t out_height, int64_t out_width) {
  const Taps across = triangle_taps(width, out_width), down = triangle_taps(height, out_height);
  const int64_t n = out_width * 3;
  std::vector<float> rows(height * n);  // (height, out_width, 3): scaled along rows
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < out_width; ++x) {
      const uint8_t* source = in + y * row_bytes + across.first[x] * 3;
      const float* weights = &across.weights[x * across.width];
      float red = 0, green = 0, blue = 0;
      for (int64_t k = 0; k < across.width; ++k, source += 3) {
        red += weights[k] * source[0];
        green += weights[k] * source[1];
        blue += weights[k] * source[2];
      }
      float* pixel = &rows[y * n + x * 3];
      pixel[0] = red, pixel[1] = green, pixel[2] = blue;
    }
  }
  std::vector<float> sum(n);
  for (int64_t y = 0; y < out_height; ++y) {
    std::fill(sum.begin(), sum.end(), 0.5f);
    for (int64_t k = 0; k < down.width; ++k) {
      const float weight = down.weights[y * down.width + k];
      if (weight == 0) continue;
      const float* row = &rows[(down.first[y] + k) * n];
      for (int64_t i = 0; i < n; ++i) sum[i] += weight * row[i];
    }
    for (int64_t i = 0; i < n; ++i) out[y * n + i] = static_cast<uint8_t>(std::min(sum[i], 255.0f));
  }
}

void resize_centre_square(const Image& image, int64_t side, uint8_t* out) {
  const int64_t square = std::min(image.height, image.width);
  const int64_t top = (image.height - square) / 2, left = (image.width - square) / 2;
  resize_bilinear(&image.pixels[(top * image.width + left) * 3], square, square, image.width * 3,
                  out, side, side);
}

namespace {

// Where the deflate stream starts after the gzip header and its optional fields; nothing if there
// is no such header.
std::optional<size_t> gzip_header_size(std::span<const uint8_t> file) {
  enum Flag { header_crc = 2, extra = 4, name = 8, comment = 16 };
  if (file.size() < 18 || file[0] != 0x1F || file[1] != 0x8B || file[2] != 8) return std::nullopt;
  size_t at = 10;
  if (file[3] & extra) at += 2 + (size_t{file[10]} | size_t{file[11]} << 8);
  for (const Flag text : {name, comment}) {
    if (!(file[3] & text)) continue;
    while (at < file.size() && file[at] != 0) ++at;
    ++at;
  }
  if (file[3] & header_crc) at += 2;
  if (at + 8 > file.size()) return std::nullopt;
  return at;
}

uint32_t little_endian32(const uint8_t* at) {
  return uint32_t{at[0]} | uint32_t{at[1]} << 8 | uint32_t{at[2]} << 16 | uint32_t{at[3]} << 24;
}

}  // namespace

std::vector<uint8_t> inflate_gzip(std::span<const uint8_t> file, int64_t expected,
                                  const fs::path& path) {
  const std::optional<size_t> start = gzip_header_size(file);
  if (!start) throw DataError(concat_text(path.string(), ": not a gzip file"));
  const uint8_t* trailer = file.data() + file.size() - 8;  // CRC-32 and size of the content
  std::vector<uint8_t> content(expected);
  // The trailer goes in as well: stb refuses a stream whose last code ends less than two bytes
  // before its input.
  const int inflated = stbi_zlib_decode_noheader_buffer(
      reinterpret_cast<char*>(content.data()), static_cast<int>(expected),
      reinterpret_cast<const char*>(file.data() + *start), static_cast<int>(file.size() - *start));
  if (inflated != expected || little_endian32(trailer + 4) != static_cast<uint32_t>(expected))
    throw DataError(concat_text(path.string(), ": truncated or damaged: it must inflate to ",
                                expected, " bytes"));
  if (crc32(content) != little_endian32(trailer))
    throw DataError(
        concat_text(path.string(), ": damaged: the CRC-32 of its content does not match"));
  return content;
}

}  // namespace passband
