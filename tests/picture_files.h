// PNG and JPEG files for tests.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

// Their PNG files hold stored blocks (made below): stb's own compressor takes seconds for large
// ones.
static unsigned char* store_zlib(unsigned char* data, int length, int* out_length, int quality);
#define STBIW_ZLIB_COMPRESS store_zlib
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace passband::testing {

// A deflate stream (RFC 1951) of stored blocks.
inline void append_stored(const uint8_t* content, size_t bytes, std::vector<uint8_t>& out) {
  for (size_t at = 0; at < bytes; at += 65535) {
    const size_t length = std::min<size_t>(65535, bytes - at);
    out.push_back(at + length == bytes);
    for (const size_t value : {length, ~length}) {
      out.push_back(static_cast<uint8_t>(value));
      out.push_back(static_cast<uint8_t>(value >> 8));
    }
    out.insert(out.end(), content + at, content + at + length);
  }
}

inline std::vector<uint8_t> colour(int width, int height, std::array<uint8_t, 3> rgb) {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < width * height; ++i) pixels.insert(pixels.end(), rgb.begin(), rgb.end());
  return pixels;
}

inline void write_png(const std::filesystem::path& path, int width, int height, int channels,
                      const std::vector<uint8_t>& pixels) {
  std::filesystem::create_directories(path.parent_path());
  stbi_write_png(path.c_str(), width, height, channels, pixels.data(), width * channels);
}

inline void write_jpeg(const std::filesystem::path& path, int width, int height, int channels,
                       const std::vector<uint8_t>& pixels) {
  std::filesystem::create_directories(path.parent_path());
  stbi_write_jpg(path.c_str(), width, height, channels, pixels.data(), 95);
}

}  // namespace passband::testing

static unsigned char* store_zlib(unsigned char* data, int length, int* out_length, int) {
  std::vector<uint8_t> out = {0x78, 0x01};
  passband::testing::append_stored(data, static_cast<size_t>(length), out);
  uint32_t a = 1, b = 0;  // Adler-32
  for (int i = 0; i < length; ++i) a = (a + data[i]) % 65521, b = (b + a) % 65521;
  for (const uint32_t value : {b >> 8, b, a >> 8, a}) out.push_back(static_cast<uint8_t>(value));
  *out_length = static_cast<int>(out.size());
  return static_cast<unsigned char*>(std::memcpy(std::malloc(out.size()), out.data(), out.size()));
}
