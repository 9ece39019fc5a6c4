// Antialiased bilinear scaling of pictures.
#pragma once
#include <cstdint>

namespace passband {

// Pixels (height, width, 3) of 8 bits, `row_bytes` from row to row: a picture or a part of one.
struct PixelView {
  const uint8_t* pixels = nullptr;
  int64_t height = 0, width = 0, row_bytes = 0;
};

// Whole pixels of a picture.
struct PictureWindow {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

inline PictureWindow centre_square(int64_t height, int64_t width) {
  const int64_t side = height < width ? height : width;
  return {(height - side) / 2, (width - side) / 2, side, side};
}

// A rectangle within a picture, its corners anywhere between pixels.
struct Box {
  double top = 0, left = 0, height = 0, width = 0;
};

// A triangle filter, widened by the ratio when shrinking (Pillow's BILINEAR). Only pixels that the
// box touches are looked at, as if they had been cut out before. out: (out_height, out_width, 3).
void resize_bilinear(const PixelView& in, const Box& box, uint8_t* out, int64_t out_height,
                     int64_t out_width);

// The same of all of `in`.
void resize_bilinear(const uint8_t* in, int64_t height, int64_t width, int64_t row_bytes,
                     uint8_t* out, int64_t out_height, int64_t out_width);

}  // namespace passband
