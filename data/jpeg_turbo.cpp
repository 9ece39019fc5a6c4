// libjpeg-turbo's scanline interface. Its errors leave it by longjmp: the frames in between hold
// nothing that would have to be destroyed.
#include "data/jpeg.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <new>

#include <jpeglib.h>

#include <jerror.h>

namespace passband {
namespace {

struct Decoding {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  std::jmp_buf out{};
  std::array<char, JMSG_LENGTH_MAX> message{};
};

[[noreturn]] void leave(j_common_ptr info) {
  auto& decoding = *static_cast<Decoding*>(info->client_data);
  (*info->err->format_message)(info, decoding.message.data());
  std::longjmp(decoding.out, 1);
}

// The library would go on with grey.
bool leaves_pixels_out(int code) {
  return code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_JPEG_EOF;
}

void on_warning(j_common_ptr info, int level) {
  if (level < 0 && leaves_pixels_out(info->err->msg_code)) leave(info);
}

// Colours are interpolated between their neighbours, which are missing at the edge of a crop.
constexpr int64_t kMargin = 2;
// A crop begins with a block of the picture's coarsest colour: 4 x 8 columns at most.
constexpr int64_t kWidestBlock = 32;

// The columns of a row that is decoded for a part, at most.
int64_t row_width(const JpegPart& part, int64_t width) {
  return std::min((width + part.scale - 1) / part.scale, part.width + 2 * kMargin + kWidestBlock);
}

struct Request {
  std::span<const uint8_t> file;
  int64_t height, width;
  JpegPart part;
  uint8_t* memory;
  PixelView* decoded;
};

void begin(Decoding& decoding, const Request& request) {
  jpeg_decompress_struct& info = decoding.info;
  info.err = jpeg_std_error(&decoding.errors);
  decoding.errors.error_exit = leave;
  decoding.errors.emit_message = on_warning;
  info.client_data = &decoding;
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, request.file.data(), static_cast<unsigned long>(request.file.size()));
  jpeg_read_header(&info, TRUE);
}

// False where the library wants longer rows than there is room for.
bool read_rows(jpeg_decompress_struct& info, const Request& request) {
  const JpegPart& part = request.part;
  info.out_color_space = JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  info.scale_num = 1;
  info.scale_denom = static_cast<unsigned>(part.scale);
  jpeg_start_decompress(&info);
  const int64_t first = std::max<int64_t>(0, part.left - kMargin);
  const int64_t end = std::min<int64_t>(info.output_width, part.left + part.width + kMargin);
  auto left = static_cast<JDIMENSION>(first);
  auto width = static_cast<JDIMENSION>(end - first);
  if (width < info.output_width) jpeg_crop_scanline(&info, &left, &width);
  else left = 0;
  if (info.output_width > row_width(part, request.width)) return false;
  if (part.top > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(part.top));
  const int64_t bytes = int64_t{info.output_width} * 3;
  *request.decoded = {request.memory + (part.left - left) * 3, part.height, part.width, bytes};
  for (int64_t y = 0; y < part.height; ++y) {
    JSAMPROW row = request.memory + y * bytes;
    jpeg_read_scanlines(&info, &row, 1);
  }
  return true;
}

JpegResult run(Decoding& decoding, const Request& request) {
  if (setjmp(decoding.out)) return JpegResult::damaged;
  begin(decoding, request);
  jpeg_decompress_struct& info = decoding.info;
  if (info.num_components != 1 && info.num_components != 3) return JpegResult::unsuited;
  if (info.image_height != request.height || info.image_width != request.width) {
    decoding.errors.msg_code = 0;
    std::snprintf(decoding.message.data(), decoding.message.size(), "two sizes");
    return JpegResult::damaged;
  }
  return read_rows(info, request) ? JpegResult::decoded : JpegResult::unsuited;
}

}  // namespace

std::optional<std::string> jpeg_turbo_version() {
#define PASSBAND_TEXT_OF(x) #x
#define PASSBAND_TEXT(x) PASSBAND_TEXT_OF(x)
  return PASSBAND_TEXT(LIBJPEG_TURBO_VERSION);
#undef PASSBAND_TEXT
#undef PASSBAND_TEXT_OF
}

int64_t bytes_to_decode(const JpegPart& part, int64_t width) {
  return part.height * row_width(part, width) * 3;
}

JpegResult decode_jpeg(std::span<const uint8_t> file, int64_t height, int64_t width,
                       const JpegPart& part, uint8_t* memory, PixelView& decoded,
                       std::string& fault) {
  Decoding decoding;
  const JpegResult result = run(decoding, {file, height, width, part, memory, &decoded});
  jpeg_destroy_decompress(&decoding.info);
  if (result == JpegResult::damaged && decoding.errors.msg_code == JERR_OUT_OF_MEMORY)
    throw std::bad_alloc();
  if (result == JpegResult::damaged) fault = decoding.message.data();
  return result;
}

}  // namespace passband
