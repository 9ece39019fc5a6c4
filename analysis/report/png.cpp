// PNG encoding by stb_image_write.
#include "analysis/report/png.h"

#include "analysis/report/text.h"
#include "tensor/core/error.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace passband::plot {

std::string encode_png(std::span<const uint8_t> pixels, int64_t width, int64_t height,
                       int channels) {
  CHECK(width > 0 && height > 0 && static_cast<int64_t>(pixels.size()) == width * height * channels,
        "png: ", pixels.size(), " bytes cannot be ", width, " x ", height, " pixels of ", channels,
        " channels");
  std::string bytes;
  const auto append = [](void* out, void* data, int size) {
    static_cast<std::string*>(out)->append(static_cast<const char*>(data),
                                           static_cast<size_t>(size));
  };
  const int stride = static_cast<int>(width) * channels;
  const int done =
      stbi_write_png_to_func(append, &bytes, static_cast<int>(width), static_cast<int>(height),
                             channels, pixels.data(), stride);
  CHECK(done != 0, "png: cannot encode ", width, " x ", height, " pixels: out of memory");
  return bytes;
}

std::string png_data_uri(std::span<const uint8_t> pixels, int64_t width, int64_t height,
                         int channels) {
  const std::string bytes = encode_png(pixels, width, height, channels);
  return "data:image/png;base64," +
         base64({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

}  // namespace passband::plot
