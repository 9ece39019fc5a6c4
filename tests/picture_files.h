// PNG and JPEG files for tests.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
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

// Up to a quality of 90 its colours are stored at half the size.
inline void write_jpeg(const std::filesystem::path& path, int width, int height, int channels,
                       const std::vector<uint8_t>& pixels, int quality = 95) {
  std::filesystem::create_directories(path.parent_path());
  stbi_write_jpg(path.c_str(), width, height, channels, pixels.data(), quality);
}

// Waves of many lengths, an edge and some noise: what a photograph has.
inline std::vector<uint8_t> scenery(int width, int height) {
  std::vector<uint8_t> pixels;
  uint32_t noise = 1;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c) {
        double value = 110 + 40 * std::sin(0.02 * x + c) + 30 * std::sin(0.05 * y - 0.03 * x);
        for (const int length : {31, 13, 7})
          value += 0.6 * length * std::sin(6.28 * (x + 2 * y + c) / length);
        if (x * height > y * width) value += 30;
        noise = noise * 1664525 + 1013904223;
        value += static_cast<double>(noise >> 29) - 3.5;
        pixels.push_back(static_cast<uint8_t>(std::min(255.0, std::max(0.0, value))));
      }
  return pixels;
}

// A JPEG whose coded data is all ones from its middle on, which no code is.
inline std::vector<uint8_t> with_damaged_data(std::vector<uint8_t> jpeg) {
  const std::array<uint8_t, 2> scan = {0xFF, 0xDA};
  const auto begin = std::search(jpeg.begin(), jpeg.end(), scan.begin(), scan.end());
  const auto middle = begin + (jpeg.end() - begin) / 2;
  for (auto at = middle; at + 3 < jpeg.end(); at += 2) at[0] = 0xFF, at[1] = 0;
  return jpeg;
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
