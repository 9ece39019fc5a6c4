// The decoders within limits, and gzip framing around stb's inflate.
#include "data/image.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string_view>

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
    if (file[at] != 0xFF) {
      const void* const next = std::memchr(&file[at], 0xFF, file.size() - at);
      at =
          next ? static_cast<size_t>(static_cast<const uint8_t*>(next) - file.data()) : file.size();
      continue;
    }
    if (marker == 0xFF || standalone) {
      at += standalone ? 2 : 1;
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

void EncodedPicture::refuse(const std::string& reason) const {
  throw UnreadablePicture(path_, reason);
}

EncodedPicture::EncodedPicture(const fs::path& path)
    : EncodedPicture(read_file_bytes(path, kMaxImageFileBytes), path.string()) {}

EncodedPicture::EncodedPicture(std::vector<uint8_t> file, const std::string& name)
    : path_(name), file_(std::move(file)) {
  const FileKind kind =
      file_kind({reinterpret_cast<const char*>(file_.data()), std::min(file_.size(), kFileHead)});
  jpeg_ = kind == FileKind::jpeg;
  if (jpeg_)
    if (const std::string fault = jpeg_fault(file_); !fault.empty()) refuse(fault);
  int width = 0, height = 0, channels = 0;
  // The decoder's own idea of a JPEG is wider: fill bytes before its start would lead past the
  // checks above.
  if ((!jpeg_ && kind != FileKind::png) ||
      !stbi_info_from_memory(file_.data(), static_cast<int>(file_.size()), &width, &height,
                             &channels))
    refuse(why_no_header(kind, file_));
  if (width > kMaxImageSide || height > kMaxImageSide || int64_t{width} * height > kMaxImagePixels)
    refuse(concat_text(width, " x ", height, " pixels, the limit is ", kMaxImagePixels,
                       " pixels and ", kMaxImageSide, " a side"));
  if (kind == FileKind::png)
    if (const std::string fault = png_fault(file_); !fault.empty()) refuse(fault);
  height_ = height, width_ = width;
}

Image EncodedPicture::decode_by_stb() const {
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, FreePixels> pixels(stbi_load_from_memory(
      file_.data(), static_cast<int>(file_.size()), &width, &height, &channels, 3));
  if (!pixels && std::string_view(stbi_failure_reason()) == "outofmem") throw std::bad_alloc();
  // The decoder's reason may hold bytes of the file.
  if (!pixels) refuse(concat_text("damaged data: ", quote(stbi_failure_reason())));
  if (height != height_ || width != width_) refuse("damaged data: two sizes");
  return {height, width,
          std::vector<uint8_t>(pixels.get(), pixels.get() + int64_t{3} * width * height)};
}

bool EncodedPicture::decode_part(const JpegPart& part, uint8_t* memory, PixelView& decoded) const {
  if (!jpeg_) return false;
  std::string fault;
  const JpegResult result = decode_jpeg(file_, height_, width_, part, memory, decoded, fault);
  if (result == JpegResult::damaged) refuse(concat_text("damaged data: ", quote(fault)));
  return result == JpegResult::decoded;
}

Image EncodedPicture::decode(PictureDecoder decoder) const {
  if (decoder != PictureDecoder::fastest || !jpeg_) return decode_by_stb();
  Image image{height_, width_, std::vector<uint8_t>(static_cast<size_t>(height_ * width_ * 3))};
  PixelView whole;
  const JpegPart all{.height = height_, .width = width_};
  return decode_part(all, image.pixels.data(), whole) ? std::move(image) : decode_by_stb();
}

namespace {

// The most that a window may be shrunk by while it is decoded.
int64_t scale_for(const PictureWindow& window, int64_t out_height, int64_t out_width) {
  for (const int64_t scale : {8, 4, 2})
    if (window.height >= scale * out_height && window.width >= scale * out_width) return scale;
  return 1;
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

JpegPart part_at(const PictureWindow& w, int64_t scale) {
  const int64_t top = w.top / scale, left = w.left / scale;
  return {scale, top, left, ceil_div(w.top + w.height, scale) - top,
          ceil_div(w.left + w.width, scale) - left};
}

// Nothing is written there before.
std::unique_ptr<uint8_t[]> memory_for(const JpegPart& part, int64_t width) {
  return std::make_unique_for_overwrite<uint8_t[]>(
      static_cast<size_t>(bytes_to_decode(part, width)));
}

}  // namespace

void EncodedPicture::resize(const PictureWindow& window, uint8_t* out, int64_t out_height,
                            int64_t out_width, PictureDecoder decoder) const {
  const JpegPart part = part_at(window, scale_for(window, out_height, out_width));
  std::unique_ptr<uint8_t[]> memory;
  if (jpeg_) memory = memory_for(part, width_);
  PixelView pixels;
  if (decoder == PictureDecoder::fastest && decode_part(part, memory.get(), pixels)) {
    const auto scale = static_cast<double>(part.scale);
    const Box box{static_cast<double>(window.top) / scale - static_cast<double>(part.top),
                  static_cast<double>(window.left) / scale - static_cast<double>(part.left),
                  static_cast<double>(window.height) / scale,
                  static_cast<double>(window.width) / scale};
    return resize_bilinear(pixels, box, out, out_height, out_width);
  }
  const Image whole = decode_by_stb();
  resize_bilinear(&whole.pixels[(window.top * width_ + window.left) * 3], window.height,
                  window.width, width_ * 3, out, out_height, out_width);
}

void EncodedPicture::check_data() const {
  constexpr int64_t kCoarsest = 8;  // entropy decoding remains, little else
  const JpegPart part = part_at({0, 0, height_, width_}, kCoarsest);
  PixelView pixels;
  if (!decode_part(part, memory_for(part, width_).get(), pixels)) decode_by_stb();
}

Image read_image(const fs::path& path) { return EncodedPicture(path).decode(); }

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

namespace {

// Bytes that fill `content` from its front on, a stream that goes on after them included.
bool inflate_into(std::span<const uint8_t> stream, std::vector<uint8_t>& content) {
  constexpr size_t kLargest = std::numeric_limits<int>::max();
  if (stream.size() > kLargest || content.size() > kLargest) return false;
  const int inflated = stbi_zlib_decode_buffer(
      reinterpret_cast<char*>(content.data()), static_cast<int>(content.size()),
      reinterpret_cast<const char*>(stream.data()), static_cast<int>(stream.size()));
  return inflated == static_cast<int>(content.size());
}

uint32_t adler32(std::span<const uint8_t> content) {
  constexpr uint32_t kModulus = 65521, kStretch = 5552;  // additions that 32 bits hold
  uint32_t a = 1, b = 0;
  for (size_t begin = 0; begin < content.size(); begin += kStretch) {
    for (const uint8_t byte :
         content.subspan(begin, std::min<size_t>(kStretch, content.size() - begin)))
      b += a += byte;
    a %= kModulus;
    b %= kModulus;
  }
  return b << 16 | a;
}

}  // namespace

std::vector<uint8_t> inflate_zlib_start(std::span<const uint8_t> stream, int64_t bytes,
                                        const fs::path& path) {
  // stb stops with an error where the room ends, and has then filled it but for the copy that does
  // not fit: no copy, and no block of stored bytes, is longer than this.
  constexpr int64_t kLongestCopy = 65535;
  std::vector<uint8_t> room(static_cast<size_t>(bytes + kLongestCopy));
  if (stream.size() < 8 || (stream[0] & 15) != 8)
    throw DataError(concat_text(path.string(), ": damaged: no zlib stream"));
  inflate_into(stream, room);
  room.resize(static_cast<size_t>(bytes));
  return room;
}

std::vector<uint8_t> inflate_zlib(std::span<const uint8_t> stream, int64_t expected,
                                  const fs::path& path) {
  std::vector<uint8_t> content(static_cast<size_t>(expected));
  if (stream.size() < 8 || !inflate_into(stream, content))
    throw DataError(concat_text(path.string(), ": truncated or damaged: it must inflate to ",
                                expected, " bytes"));
  const uint8_t* sum = stream.data() + stream.size() - 4;  // big-endian
  if (adler32(content) !=
      (uint32_t{sum[0]} << 24 | uint32_t{sum[1]} << 16 | uint32_t{sum[2]} << 8 | uint32_t{sum[3]}))
    throw DataError(
        concat_text(path.string(), ": damaged: the Adler-32 of its content does not match"));
  return content;
}

}  // namespace passband
