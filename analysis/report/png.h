// PNG images in memory, for heatmaps and pictures inside figures.
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace passband::plot {

// Encodes height x width pixels of `channels` bytes (3 RGB, 4 RGBA), row-major, as PNG.
std::string encode_png(std::span<const uint8_t> pixels, int64_t width, int64_t height,
                       int channels);

// "data:image/png;base64,...": the image as a URI that needs no file.
std::string png_data_uri(std::span<const uint8_t> pixels, int64_t width, int64_t height,
                         int channels);

}  // namespace passband::plot
